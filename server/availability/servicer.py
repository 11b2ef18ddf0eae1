"""AvailabilityService: messages in, messages out."""

from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import Any
from uuid import UUID

import grpc

from carelane.availability.v1 import availability_service_pb2 as pb
from carelane.availability.v1 import availability_service_pb2_grpc
from server.appointment.writes import record_reads
from server.availability import (
    absence,
    absence_messages,
    edit,
    explanation,
    messages,
    preview,
    preview_messages,
    service,
    time_off,
    travel,
    visit_type_edit,
    visit_type_messages,
)
from server.availability.holidays import Kept
from server.core import rpc, wire
from server.core.db import Database, Reader, Transaction
from server.core.errors import EtagMismatch
from server.core.paging import Pager
from server.directory import visit_types

Context = grpc.aio.ServicerContext[Any, Any]


class AvailabilityServicer(availability_service_pb2_grpc.AvailabilityServiceServicer):
    """Serves opening hours to those who set them, and free times to everyone."""

    def __init__(self, db: Database, pager: Pager) -> None:
        self._db = db
        self._pager = pager

    async def SetAvailability(
        self, request: pb.SetAvailabilityRequest, context: Context
    ) -> pb.SetAvailabilityResponse:
        rules = messages.to_rules(request.rules)
        overrides = messages.to_overrides(request.overrides)
        extras = messages.to_extras(request.extra_openings)
        caller, practice_id = rpc.caller(), wire.to_optional_id(request.practice_id, "practice_id")
        lock = service.lock_to_edit(practice_id, caller)
        async with self._db.transaction(caller, once=request, lock=lock) as tx:
            old = await edit.find_hours(tx, practice_id)
            _check_etag(request.etag, messages.etag(old.revision))
            saved = await edit.set_hours(
                tx, old, rules, overrides, extras, allow_stranded=request.allow_stranded
            )
            availability = messages.from_hours(saved)
            return tx.answer(pb.SetAvailabilityResponse(availability=availability))

    async def GetAvailability(
        self, request: pb.GetAvailabilityRequest, context: Context
    ) -> pb.GetAvailabilityResponse:
        practice_id = wire.to_optional_id(request.practice_id, "practice_id")
        async with self._db.transaction(rpc.caller()) as tx:
            found = await edit.find_hours(tx, practice_id)
        return pb.GetAvailabilityResponse(availability=messages.from_hours(found))

    async def GetSlots(self, request: pb.GetSlotsRequest, context: Context) -> pb.GetSlotsResponse:
        async with self._reader() as reader:
            days = await service.free_slots(
                reader,
                self._db.clock.now(),
                wire.to_id(request.doctor_id, "doctor_id"),
                practice_id=wire.to_optional_id(request.practice_id, "practice_id"),
                visit_type_id=wire.to_optional_id(request.visit_type_id, "visit_type_id"),
                first=wire.to_optional_date(request, "from_date"),
                days=request.days or service.DEFAULT_DAYS,
            )
        return pb.GetSlotsResponse(days=map(messages.from_slots, days))

    async def CreateVisitType(
        self, request: pb.CreateVisitTypeRequest, context: Context
    ) -> pb.CreateVisitTypeResponse:
        practice_id = wire.to_id(request.practice_id, "practice_id")
        rules, currency = visit_type_messages.to_rules(request.rules)
        lock = service.lock_by_practice(practice_id)
        async with self._db.transaction(rpc.caller(), once=request, lock=lock) as tx:
            row = await visit_types.create(tx, practice_id, rules, currency)
            made = visit_type_messages.from_row(row)
            return tx.answer(pb.CreateVisitTypeResponse(visit_type=made))

    async def UpdateVisitType(
        self, request: pb.UpdateVisitTypeRequest, context: Context
    ) -> pb.UpdateVisitTypeResponse:
        visit_type_id = wire.to_id(request.visit_type_id, "visit_type_id")
        rules, currency = visit_type_messages.to_rules(request.rules)
        lock = visit_types.lock(visit_type_id)
        async with self._db.transaction(rpc.caller(), once=request, lock=lock) as tx:
            old = await visit_types.find(tx, visit_type_id)
            _check_etag(request.etag, visit_type_messages.etag(old["revision"]))
            row = await visit_type_edit.replace(
                tx, old, rules, currency, allow_stranded=request.allow_stranded
            )
            saved = visit_type_messages.from_row(row)
            return tx.answer(pb.UpdateVisitTypeResponse(visit_type=saved))

    async def ListVisitTypes(
        self, request: pb.ListVisitTypesRequest, context: Context
    ) -> pb.ListVisitTypesResponse:
        page = self._pager.page(rpc.caller(), request)
        practice_id = wire.to_id(request.practice_id, "practice_id")
        async with self._db.transaction(rpc.caller()) as tx:
            rows = await visit_types.of_practice(
                tx, practice_id, after=page.after, limit=page.limit
            )
        shown, token = page.cut(rows, "name", "visit_type_id")
        return pb.ListVisitTypesResponse(
            visit_types=map(visit_type_messages.from_row, shown), next_page_token=token
        )

    async def AddTimeOff(
        self, request: pb.AddTimeOffRequest, context: Context
    ) -> pb.AddTimeOffResponse:
        start = wire.to_time(request.start_time, "start_time")
        end = wire.to_time(request.end_time, "end_time")
        caller, practice_id = rpc.caller(), wire.to_optional_id(request.practice_id, "practice_id")
        lock = service.lock_to_edit(practice_id, caller)
        async with self._db.transaction(caller, once=request, lock=lock) as tx:
            row = await time_off.add(
                tx, practice_id, start, end, allow_stranded=request.allow_stranded
            )
            added = absence_messages.from_time_off(row)
            return tx.answer(pb.AddTimeOffResponse(time_off=added))

    async def RemoveTimeOff(
        self, request: pb.RemoveTimeOffRequest, context: Context
    ) -> pb.RemoveTimeOffResponse:
        time_off_id = wire.to_id(request.time_off_id, "time_off_id")
        lock = time_off.lock_of(time_off_id)
        async with self._db.transaction(rpc.caller(), once=request, lock=lock) as tx:
            await time_off.remove(tx, time_off_id)
            return tx.answer(pb.RemoveTimeOffResponse())

    async def ListTimeOff(
        self, request: pb.ListTimeOffRequest, context: Context
    ) -> pb.ListTimeOffResponse:
        page = self._pager.page(rpc.caller(), request)
        practice_id = wire.to_optional_id(request.practice_id, "practice_id")
        async with self._db.transaction(rpc.caller()) as tx:
            rows = await time_off.listed(tx, practice_id, after=page.after, limit=page.limit)
        shown, token = page.cut(rows, "start_time", "time_off_id")
        return pb.ListTimeOffResponse(
            time_off=map(absence_messages.from_time_off, shown), next_page_token=token
        )

    async def AddClosure(
        self, request: pb.AddClosureRequest, context: Context
    ) -> pb.AddClosureResponse:
        clinic_id = wire.to_id(request.clinic_id, "clinic_id")
        first = wire.to_date(request.first_date, "first_date")
        last = wire.to_date(request.last_date, "last_date")
        async with self._clinic_calendars(request, clinic_id) as tx:
            row = await absence.add_closure(
                tx,
                clinic_id,
                first,
                last,
                name=request.name,
                allow_stranded=request.allow_stranded,
            )
            return tx.answer(pb.AddClosureResponse(closure=absence_messages.from_closure(row)))

    async def RemoveClosure(
        self, request: pb.RemoveClosureRequest, context: Context
    ) -> pb.RemoveClosureResponse:
        clinic_id = wire.to_id(request.clinic_id, "clinic_id")
        closure_id = wire.to_id(request.closure_id, "closure_id")
        async with self._clinic_calendars(request, clinic_id) as tx:
            await absence.remove_closure(tx, clinic_id, closure_id)
            return tx.answer(pb.RemoveClosureResponse())

    async def ListClosures(
        self, request: pb.ListClosuresRequest, context: Context
    ) -> pb.ListClosuresResponse:
        page = self._pager.page(rpc.caller(), request)
        clinic_id = wire.to_id(request.clinic_id, "clinic_id")
        async with self._db.transaction(rpc.caller()) as tx:
            rows = await absence.closures(tx, clinic_id, after=page.after, limit=page.limit)
        shown, token = page.cut(rows, "first_day", "closure_id")
        return pb.ListClosuresResponse(
            closures=map(absence_messages.from_closure, shown), next_page_token=token
        )

    async def SetPublicHolidays(
        self, request: pb.SetPublicHolidaysRequest, context: Context
    ) -> pb.SetPublicHolidaysResponse:
        clinic_id = wire.to_id(request.clinic_id, "clinic_id")
        wanted = Kept(
            request.observed, request.country_code, request.subdivision, tuple(request.open_on)
        )
        async with self._clinic_calendars(request, clinic_id) as tx:
            _, revision, today = await absence.public_holidays(tx, clinic_id)
            _check_etag(request.etag, absence_messages.etag(revision))
            kept, revision = await absence.set_public_holidays(
                tx, clinic_id, wanted, allow_stranded=request.allow_stranded
            )
            saved = absence_messages.from_kept(clinic_id, kept, revision, today.year)
            return tx.answer(pb.SetPublicHolidaysResponse(public_holidays=saved))

    async def GetPublicHolidays(
        self, request: pb.GetPublicHolidaysRequest, context: Context
    ) -> pb.GetPublicHolidaysResponse:
        clinic_id = wire.to_id(request.clinic_id, "clinic_id")
        async with self._db.transaction(rpc.caller()) as tx:
            kept, revision, today = await absence.public_holidays(tx, clinic_id)
        year = request.year or today.year
        found = absence_messages.from_kept(clinic_id, kept, revision, year)
        return pb.GetPublicHolidaysResponse(public_holidays=found)

    async def ExplainTime(
        self, request: pb.ExplainTimeRequest, context: Context
    ) -> pb.ExplainTimeResponse:
        async with self._db.transaction(rpc.caller()) as tx:
            explained = await explanation.explain(
                tx,
                tx.now,
                wire.to_id(request.practice_id, "practice_id"),
                wire.to_optional_id(request.visit_type_id, "visit_type_id"),
                wire.to_time(request.start_time, "start_time"),
            )
            record_reads(tx, "time.explained", explained.visits)
        return pb.ExplainTimeResponse(explanation=messages.from_explanation(explained))

    async def PreviewScheduleChange(
        self, request: pb.PreviewScheduleChangeRequest, context: Context
    ) -> pb.PreviewScheduleChangeResponse:
        change = preview_messages.to_change(request)
        lock = preview_messages.to_lock(request)
        async with preview.rolled_back(self._db, rpc.caller(), lock) as tx:
            found = await edit.find_hours(tx, wire.to_id(request.practice_id, "practice_id"))
            shown = preview_messages.to_shown(request, found)
            with preview_messages.named(request):
                effect = await preview.effect(tx, shown, change(tx, found))
        return preview_messages.from_effect(effect)

    async def SetTravelTime(
        self, request: pb.SetTravelTimeRequest, context: Context
    ) -> pb.SetTravelTimeResponse:
        clinic_id = wire.to_id(request.clinic_id, "clinic_id")
        other_id = wire.to_id(request.other_clinic_id, "other_clinic_id")
        caller = rpc.caller()
        lock = service.lock_to_edit(None, caller)
        async with self._db.transaction(caller, once=request, lock=lock) as tx:
            await travel.set_minutes(tx, clinic_id, other_id, request.minutes)
            saved = messages.from_travel((clinic_id, other_id, request.minutes))
            return tx.answer(pb.SetTravelTimeResponse(way=saved))

    async def ListTravelTimes(
        self, request: pb.ListTravelTimesRequest, context: Context
    ) -> pb.ListTravelTimesResponse:
        page = self._pager.page(rpc.caller(), request)
        async with self._db.transaction(rpc.caller()) as tx:
            rows = await travel.of_doctor(tx, after=page.after, limit=page.limit)
        shown, token = page.cut(rows, "first_clinic_id", "second_clinic_id")
        return pb.ListTravelTimesResponse(
            ways=map(messages.from_travel, shown), next_page_token=token
        )

    def _clinic_calendars(
        self, request: Any, clinic_id: UUID
    ) -> AbstractAsyncContextManager[Transaction]:
        """Open a transaction, once a request_id, that holds the calendars of a clinic's doctors."""
        lock = absence.lock_clinic(clinic_id)
        return self._db.transaction(rpc.caller(), once=request, lock=lock)

    @asynccontextmanager
    async def _reader(self) -> AsyncIterator[Reader]:
        """Read in the name of who is signed in: they are offered what they hold themselves."""
        caller = rpc.caller()
        if caller.user_id is None:
            yield self._db
        else:
            async with self._db.transaction(caller) as tx:
                yield tx


def _check_etag(given: str, current: str) -> None:
    """Raise EtagMismatch unless nothing is given, which overwrites."""
    if given and given != current:
        raise EtagMismatch
