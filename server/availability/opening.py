"""What opens and closes a practice, as parts of a query."""

from datetime import timedelta
from typing import Any
from uuid import UUID

from sqlalchemy import DATE, ColumnElement, ScalarSelect, bindparam, cast, func, select

from server.availability.models import (
    Closure,
    DateOverride,
    ExtraOpening,
    PublicHolidays,
    WeeklyRule,
)

YESTERDAY = cast(func.app_now() - timedelta(days=1), DATE)  # today in every zone, or before it


def rules_of(practice_id: ColumnElement[UUID]) -> ScalarSelect[Any]:
    """Select the weekly rules of a practice as one value; `hours_of` reads it."""
    return (
        select(
            func.jsonb_agg(
                func.jsonb_build_array(
                    WeeklyRule.weekday,
                    WeeklyRule.start_minute,
                    WeeklyRule.end_minute,
                    WeeklyRule.valid_from,
                    WeeklyRule.valid_until,
                )
            )
        )
        .where(WeeklyRule.practice_id == practice_id)
        .scalar_subquery()
    )


def overrides_of(practice_id: ColumnElement[UUID]) -> ScalarSelect[Any]:
    """Select its overrides from the day `first` to `last` as one value."""
    return (
        select(
            func.jsonb_agg(
                func.jsonb_build_array(DateOverride.day, DateOverride.starts, DateOverride.ends)
            )
        )
        .where(
            DateOverride.practice_id == practice_id,
            DateOverride.day.between(bindparam("first", type_=DATE), bindparam("last", type_=DATE)),
        )
        .scalar_subquery()
    )


def extras_of(practice_id: ColumnElement[UUID]) -> ScalarSelect[Any]:
    """Select its extra openings from the day `first` to `last` as one value."""
    return (
        select(
            func.jsonb_agg(
                func.jsonb_build_array(
                    ExtraOpening.day, ExtraOpening.start_minute, ExtraOpening.end_minute
                )
            )
        )
        .where(
            ExtraOpening.practice_id == practice_id,
            ExtraOpening.day.between(bindparam("first", type_=DATE), bindparam("last", type_=DATE)),
        )
        .scalar_subquery()
    )


def closures_of(clinic_id: ColumnElement[UUID]) -> ScalarSelect[Any]:
    """Select the closures of a clinic from now, or the day `first`, to `last` as one value."""
    return (
        select(func.array_agg(func.row(Closure.first_day, Closure.last_day)))
        .where(
            Closure.clinic_id == clinic_id,
            Closure.first_day <= bindparam("last", type_=DATE),
            Closure.last_day >= func.least(bindparam("first", type_=DATE), YESTERDAY),
        )
        .scalar_subquery()
    )


def holidays_of(clinic_id: ColumnElement[UUID]) -> ScalarSelect[Any]:
    """Select which public holidays a clinic keeps as one value."""
    return (
        select(
            func.jsonb_build_array(
                PublicHolidays.observed,
                PublicHolidays.country_code,
                PublicHolidays.subdivision,
                PublicHolidays.open_on,
            )
        )
        .where(PublicHolidays.clinic_id == clinic_id)
        .scalar_subquery()
    )
