"""Read the edit that is to be tried, and write what it would do."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from typing import Any
from uuid import UUID

from carelane.availability.v1 import availability_pb2, explanation_pb2
from carelane.availability.v1 import availability_service_pb2 as pb
from server.availability import (
    absence,
    edit,
    messages,
    service,
    time_off,
    visit_type_edit,
    visit_type_messages,
)
from server.availability.edit import PracticeHours
from server.availability.holidays import Kept
from server.availability.hours import Span
from server.availability.preview import Edit, Effect, Shown
from server.availability.stranded import Visit
from server.core import wire
from server.core.db import Lock, Transaction
from server.core.errors import InvalidField, NotFound
from server.core.paging import MAX_SIZE
from server.directory import visit_types

Change = Callable[[Transaction, PracticeHours], Edit]


def to_change(request: pb.PreviewScheduleChangeRequest) -> Change:
    """Read the edit; raises InvalidField."""
    name = str(request.WhichOneof("change"))
    with named(request):
        return _CHANGES[name](getattr(request, name))


def to_lock(request: pb.PreviewScheduleChangeRequest) -> Lock:
    """Lock the calendars that the edit locks."""
    practice_id = wire.to_id(request.practice_id, "practice_id")
    whole = request.HasField("closure") or request.HasField("public_holidays")
    return (absence.lock_clinic_of if whole else service.lock_by_practice)(practice_id)


def to_shown(request: pb.PreviewScheduleChangeRequest, found: PracticeHours) -> Shown:
    """Read which free times are compared."""
    wanted = request.visit_type_id or request.visit_type.visit_type_id
    return Shown(
        found.practice_id,
        wire.to_optional_id(wanted, "visit_type_id"),
        wire.to_optional_date(request, "from_date") or found.today,
        request.days or service.DEFAULT_DAYS,
    )


@contextmanager
def named(request: pb.PreviewScheduleChangeRequest) -> Iterator[None]:
    """Name the fields of the edit as they are in the request of the preview."""
    try:
        yield
    except InvalidField as invalid:
        (field,) = invalid.fields
        path = f"{request.WhichOneof('change')}.{field.path}"
        raise InvalidField(path, field.rule) from None


def from_effect(effect: Effect) -> pb.PreviewScheduleChangeResponse:
    """Write what the edit would do."""
    return pb.PreviewScheduleChangeResponse(
        stranded_visits=map(_from_stranded, effect.stranded[:MAX_SIZE]),
        stranded_count=len(effect.stranded),
        added_slots=_from_spans(effect.added),
        added_count=len(effect.added),
        removed_slots=_from_spans(effect.removed),
        removed_count=len(effect.removed),
    )


def _hours(change: pb.HoursChange) -> Change:
    wanted = (
        messages.to_rules(change.rules),
        messages.to_overrides(change.overrides),
        messages.to_extras(change.extra_openings),
    )
    return lambda tx, found: partial(edit.set_hours, tx, found, *wanted)


def _time_off(change: pb.TimeOffChange) -> Change:
    start = wire.to_time(change.start_time, "start_time")
    end = wire.to_time(change.end_time, "end_time")

    def made(tx: Transaction, found: PracticeHours) -> Edit:
        if change.everywhere and found.doctor_id != tx.user_id:
            raise NotFound("Only the doctor is away from all clinics.")
        practice_id = None if change.everywhere else found.practice_id
        return partial(time_off.add, tx, practice_id, start, end)

    return made


def _closure(change: pb.ClosureChange) -> Change:
    first = wire.to_date(change.first_date, "first_date")
    last = wire.to_date(change.last_date, "last_date")
    return lambda tx, found: partial(absence.add_closure, tx, found.clinic_id, first, last, name="")


def _public_holidays(change: pb.PublicHolidaysChange) -> Change:
    kept = Kept(change.observed, change.country_code, change.subdivision, tuple(change.open_on))
    return lambda tx, found: partial(absence.set_public_holidays, tx, found.clinic_id, kept)


def _visit_type(change: pb.VisitTypeChange) -> Change:
    visit_type_id = wire.to_id(change.visit_type_id, "visit_type_id")
    rules, currency = visit_type_messages.to_rules(change.rules)

    def made(tx: Transaction, found: PracticeHours) -> Edit:
        async def replaced(*, allow_stranded: bool) -> Any:
            old = await visit_types.find(tx, visit_type_id)
            if UUID(int=old["practice_id"].int) != found.practice_id:
                raise NotFound("There is no such visit type.")
            return await visit_type_edit.replace(
                tx, old, rules, currency, allow_stranded=allow_stranded
            )

        return replaced

    return made


_CHANGES: dict[str, Callable[[Any], Change]] = {
    "hours": _hours,
    "time_off": _time_off,
    "closure": _closure,
    "public_holidays": _public_holidays,
    "visit_type": _visit_type,
}


def _from_stranded(visit: Visit) -> explanation_pb2.StrandedVisit:
    return explanation_pb2.StrandedVisit(
        appointment_id=str(visit.appointment_id),
        start_time=wire.from_time(visit.span.start),
        end_time=wire.from_time(visit.span.end),
    )


def _from_spans(spans: Sequence[Span]) -> list[availability_pb2.Slot]:
    return [
        availability_pb2.Slot(
            start_time=wire.from_time(span.start), end_time=wire.from_time(span.end)
        )
        for span in spans[:MAX_SIZE]
    ]
