"""Public holidays of the countries, by local day."""

from collections.abc import Collection, Iterator
from datetime import date
from functools import lru_cache
from typing import NamedTuple
from warnings import catch_warnings

from holidays import country_holidays, list_supported_countries

from server.core.errors import InvalidField

ESTIMATED = " (estimated)"
"""Follows the name of a holiday by the moon in a year for which its day is not announced yet."""
YEARS_AHEAD = 5


class Kept(NamedTuple):
    """Whose holidays a clinic keeps; it is open on those named in `open_on`."""

    observed: bool
    country_code: str
    subdivision: str
    open_on: tuple[str, ...] = ()


class Holiday(NamedTuple):
    """A public holiday; a day that is two has both names, with a `;` between."""

    day: date
    name: str


def check(kept: Kept, year: int) -> None:
    """Raise InvalidField for a country, a part of it or a holiday not known; `year` is the present.

    A holiday is known that is kept last year, this one or in the years ahead.
    """
    parts = list_supported_countries(include_aliases=False).get(kept.country_code)
    if parts is None:
        raise InvalidField("country_code", "must be a country whose public holidays are known")
    if kept.subdivision and kept.subdivision not in parts:
        raise InvalidField("subdivision", "must be a part of the country with holidays of its own")
    known = _known(kept, year) if kept.open_on else set()
    for index, name in enumerate(kept.open_on):
        if not _celebrated(name) <= known:
            rule = "must be a public holiday there, by its name in English"
            raise InvalidField(f"open_on[{index}]", rule)


@lru_cache(maxsize=1024)
def of_year(country_code: str, subdivision: str, year: int) -> tuple[Holiday, ...]:
    """Answer the public holidays of a country, or a part of it, in a year, by date.

    A country or part that the library does not know has none, and of far years those by the moon
    are left out.
    """
    try:
        with catch_warnings(action="ignore"):  # of such years
            found = country_holidays(
                country_code, subdiv=subdivision or None, years=year, language="en_US"
            )
    except NotImplementedError:
        return ()
    return tuple(Holiday(day, name) for day, name in sorted(found.items()))


def closed_days(kept: Kept, first: date, last: date) -> Iterator[date]:
    """Answer the days from `first` to `last` on which a clinic that keeps them is closed."""
    if not kept.observed:
        return
    for year in range(first.year, last.year + 1):
        for day, name in of_year(kept.country_code, kept.subdivision, year):
            if first <= day <= last and not is_open(name, kept.open_on):
                yield day


def is_open(name: str, open_on: Collection[str]) -> bool:
    """Say whether all that is celebrated on a day is switched off."""
    switched_off = {each.removesuffix(ESTIMATED) for each in open_on}
    return name in open_on or _celebrated(name) <= switched_off


def _known(kept: Kept, year: int) -> set[str]:
    return {
        part
        for each in range(year - 1, year + YEARS_AHEAD + 1)
        for holiday in of_year(kept.country_code, kept.subdivision, each)
        for part in _celebrated(holiday.name)
    }


def _celebrated(name: str) -> set[str]:
    """Answer what a day is, by the names that stay the same from year to year."""
    return {part.removesuffix(ESTIMATED) for part in name.split("; ")}
