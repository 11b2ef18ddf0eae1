"""Page tokens belong to one list, one query and one caller."""

from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from carelane.directory.v1 import directory_service_pb2 as pb
from server.core.access import ANONYMOUS, Caller
from server.core.errors import InvalidField
from server.core.paging import InvalidPageToken, Pager

PAGER = Pager(b"a secret of tests alone")
PATIENT = Caller(UUID(int=1), "patient")
QUERY = pb.SearchDoctorsRequest(city="pune")
VALUES = (Decimal("4.50"), 3, -0.1, "Asha", date(2026, 2, 28), True, None, UUID(int=7))


def test_values_come_back_as_they_were() -> None:
    instant = datetime(2026, 3, 1, 9, 30, 0, 123456, tzinfo=UTC)
    token = PAGER.next((*VALUES, instant), PATIENT, QUERY)
    assert PAGER.start(token, PATIENT, QUERY) == (*VALUES, instant)


@given(st.lists(st.one_of(st.text(), st.floats(allow_nan=False), st.integers(), st.uuids())))
def test_any_values_come_back(values: list[Any]) -> None:
    token = PAGER.next(values, PATIENT, QUERY)
    if len(token) <= 1024:
        assert PAGER.start(token, PATIENT, QUERY) == tuple(values)


def test_the_first_page_has_no_token() -> None:
    assert PAGER.start("", PATIENT, QUERY) is None


def test_the_size_of_a_page_may_change_between_pages() -> None:
    token = PAGER.next(VALUES, PATIENT, QUERY)
    asked = pb.SearchDoctorsRequest(city="pune", page_size=7, page_token=token)
    assert PAGER.start(token, PATIENT, asked) == VALUES


@pytest.mark.parametrize(
    ("caller", "query"),
    [
        (Caller(UUID(int=2), "patient"), QUERY),
        (ANONYMOUS, QUERY),
        (PATIENT, pb.SearchDoctorsRequest(city="agra")),
        (PATIENT, pb.ListSpecialtiesRequest()),
    ],
    ids=["another person", "nobody", "another filter", "another list"],
)
def test_a_foreign_token_is_refused(caller: Caller, query: Any) -> None:
    with pytest.raises(InvalidPageToken) as caught:
        PAGER.start(PAGER.next(VALUES, PATIENT, QUERY), caller, query)
    assert (caught.value.reason, caught.value.fields[0].path) == (
        "INVALID_PAGE_TOKEN",
        "page_token",
    )


def test_every_changed_character_is_noticed() -> None:
    token = PAGER.next((1,), PATIENT, QUERY)
    for index, character in enumerate(token[:-1]):
        changed = token[:index] + ("A" if character != "A" else "B") + token[index + 1 :]
        with pytest.raises(InvalidPageToken):
            PAGER.start(changed, PATIENT, QUERY)


@pytest.mark.parametrize("token", ["a", "%%%", "é", "A" * 3000, "AAAA" * 10])
def test_what_is_no_token_is_refused(token: str) -> None:
    with pytest.raises(InvalidPageToken):
        PAGER.start(token, PATIENT, QUERY)


def test_an_older_secret_is_still_accepted() -> None:
    token = PAGER.next(VALUES, PATIENT, QUERY)
    rotated = Pager(b"the newer secret of tests", b"a secret of tests alone")
    assert rotated.start(token, PATIENT, QUERY) == VALUES
    with pytest.raises(InvalidPageToken):
        PAGER.start(rotated.next(VALUES, PATIENT, QUERY), PATIENT, QUERY)


@pytest.mark.parametrize(("asked", "size"), [(0, 50), (1, 1), (200, 200), (10_000, 200)])
def test_a_page_has_a_bounded_size(asked: int, size: int) -> None:
    assert Pager.size(asked) == size


def test_a_negative_size_is_refused() -> None:
    with pytest.raises(InvalidField):
        Pager.size(-1)


def test_a_weak_secret_is_refused() -> None:
    with pytest.raises(ValueError, match="16 bytes"):
        Pager(b"short")
