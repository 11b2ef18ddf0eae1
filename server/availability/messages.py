"""Convert hours and slots between messages and plain values."""

from collections.abc import Iterable
from datetime import date
from typing import Any

from asyncpg import Record
from google.type import timeofday_pb2

from carelane.availability.v1 import availability_pb2 as pb
from carelane.availability.v1 import explanation_pb2
from server.availability.edit import PracticeHours
from server.availability.explanation import Explanation
from server.availability.hours import Rule, Window
from server.availability.service import DaySlots
from server.core import wire
from server.core.errors import InvalidField

RULES = wire.EnumNames(explanation_pb2.BookingRule)


def to_rules(messages: Iterable[pb.WeeklyRule]) -> tuple[Rule, ...]:
    """Read weekly rules; raises InvalidField for impossible dates."""
    return tuple(_rule(message, f"rules[{index}]") for index, message in enumerate(messages))


def to_overrides(messages: Iterable[pb.DateOverride]) -> dict[date, tuple[Window, ...]]:
    """Read overrides by day; raises InvalidField for impossible dates and a day given twice."""
    overrides: dict[date, tuple[Window, ...]] = {}
    for index, message in enumerate(messages):
        day = wire.to_date(message.date, f"overrides[{index}].date")
        if day in overrides:
            raise InvalidField(f"overrides[{index}].date", "must be in the list once")
        overrides[day] = tuple(map(_window, message.windows))
    return overrides


def to_extras(messages: Iterable[pb.ExtraOpening]) -> tuple[tuple[date, Window], ...]:
    """Read extra openings; raises InvalidField for impossible dates."""
    return tuple(
        (wire.to_date(message.date, f"extra_openings[{index}].date"), _window(message.window))
        for index, message in enumerate(messages)
    )


def from_hours(hours: PracticeHours) -> pb.Availability:
    """Write the hours of a practice."""
    return pb.Availability(
        practice_id=str(hours.practice_id),
        time_zone=hours.hours.zone.key,
        rules=map(_from_rule, sorted(hours.hours.rules, key=_by_week)),
        overrides=[
            pb.DateOverride(date=wire.from_date(day), windows=map(_from_window, windows))
            for day, windows in sorted(hours.hours.overrides.items())
        ],
        update_time=wire.from_time(hours.update_time) if hours.update_time else None,
        etag=etag(hours.revision),
        extra_openings=[
            pb.ExtraOpening(date=wire.from_date(day), window=_from_window(window))
            for day, window in sorted(hours.hours.extras)
        ],
    )


def from_slots(day: DaySlots) -> pb.DaySlots:
    """Write the free times of a day."""
    schedule = day.offer.schedule
    visits = map(schedule.terms.visit, day.starts)
    return pb.DaySlots(
        practice_id=str(day.offer.practice_id),
        visit_type_id=str(day.offer.visit_type_id),
        date=wire.from_date(day.day),
        time_zone=schedule.zone.key,
        slots=[
            pb.Slot(start_time=wire.from_time(visit.start), end_time=wire.from_time(visit.end))
            for visit in visits
        ],
    )


def from_explanation(explained: Explanation) -> explanation_pb2.TimeExplanation:
    """Write why a time cannot be booked, or that it can."""
    why, visits, end = explained
    if why is None:
        return explanation_pb2.TimeExplanation(bookable=True)
    return explanation_pb2.TimeExplanation(
        rule=RULES.number(why.name.lower()),
        text=f"The start {why.value}.",
        visits=map(_from_visit, visits),
        hold_expire_time=wire.from_time(end) if end else None,
    )


def _from_visit(row: Record) -> explanation_pb2.TakingVisit:
    return explanation_pb2.TakingVisit(
        appointment_id=str(row["appointment_id"]),
        patient_name=row["full_name"] or "",
        start_time=wire.from_time(row["start_time"]),
        end_time=wire.from_time(row["end_time"]),
    )


def from_travel(row: Iterable[Any]) -> explanation_pb2.TravelTime:
    """Write the minutes between two clinics."""
    first, second, minutes = row
    return explanation_pb2.TravelTime(
        clinic_id=str(first), other_clinic_id=str(second), minutes=minutes
    )


def etag(revision: int) -> str:
    """Write a revision as an etag."""
    return f"r{revision}"


def _rule(message: pb.WeeklyRule, field: str) -> Rule:
    since = _optional_date(message, "valid_from", field)
    until = _optional_date(message, "valid_until", field)
    if since and until and until < since:
        raise InvalidField(f"{field}.valid_until", "must not be before valid_from")
    return Rule(message.day_of_week, _window(message.window), since, until)


def _optional_date(message: pb.WeeklyRule, name: Any, field: str) -> date | None:
    if not message.HasField(name):
        return None
    return wire.to_date(getattr(message, name), f"{field}.{name}")


def _window(message: pb.Window) -> Window:
    return Window(
        message.start.hours * 60 + message.start.minutes,
        message.end.hours * 60 + message.end.minutes,
    )


def _from_rule(rule: Rule) -> pb.WeeklyRule:
    return pb.WeeklyRule(
        day_of_week=rule.weekday,  # both count from Monday as 1
        window=_from_window(rule.window),
        valid_from=wire.from_date(rule.valid_from) if rule.valid_from else None,
        valid_until=wire.from_date(rule.valid_until) if rule.valid_until else None,
    )


def _from_window(window: Window) -> pb.Window:
    return pb.Window(start=_time_of_day(window.start), end=_time_of_day(window.end))


def _time_of_day(minute: int) -> Any:
    return timeofday_pb2.TimeOfDay(hours=minute // 60, minutes=minute % 60)


def _by_week(rule: Rule) -> tuple[Any, ...]:
    return (rule.weekday, rule.window, rule.valid_from or date.min, rule.valid_until or date.max)
