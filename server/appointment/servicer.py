"""AppointmentService: messages in, messages out."""

from collections.abc import Awaitable, Callable
from datetime import timedelta
from functools import partial
from typing import Any, TypeVar
from uuid import UUID

import asyncpg
import grpc
from google.protobuf.message import Message

from carelane.appointment.v1 import appointment_service_pb2 as pb
from carelane.appointment.v1 import appointment_service_pb2_grpc
from server.appointment import (
    booking,
    following,
    holding,
    lists,
    moving,
    policy,
    progress,
    several,
)
from server.appointment.messages import STATUSES, etag, from_hold, from_policy, from_row
from server.appointment.writes import record_reads
from server.availability import service as availability
from server.core import rpc, wire
from server.core.access import Admission, Caller, admit_everybody
from server.core.db import Database, Transaction
from server.core.errors import EtagMismatch, Unauthenticated
from server.core.paging import Pager

Context = grpc.aio.ServicerContext[Any, Any]
Changed = TypeVar("Changed", bound=Message)
Change = Callable[[Transaction, UUID], Awaitable[asyncpg.Record]]


class AppointmentServicer(appointment_service_pb2_grpc.AppointmentServiceServicer):
    """Serves booking, the lists of both sides, and the way of a visit to its end."""

    def __init__(
        self,
        db: Database,
        pager: Pager,
        *,
        hold_time: timedelta = holding.LASTING,
        admit: Admission = admit_everybody,
    ) -> None:
        self._db = db
        self._pager = pager
        self._hold_time = hold_time
        self._admit = admit

    async def BookAppointment(
        self, request: pb.BookAppointmentRequest, context: Context
    ) -> pb.BookAppointmentResponse:
        caller, practice_id = rpc.caller(), wire.to_id(request.practice_id, "practice_id")
        await self._admit(caller)
        visit_type_id = wire.to_optional_id(request.visit_type_id, "visit_type_id")
        start = wire.to_time(request.start_time, "start_time")
        hold_id = wire.to_optional_id(request.hold_id, "hold_id")
        patient_id = wire.to_optional_id(request.patient_id, "patient_id")
        follows_id = wire.to_optional_id(request.follows_appointment_id, following.FIELD)
        lock = availability.lock_by_practice(practice_id)
        async with self._db.transaction(caller, once=request, lock=lock) as tx:
            row = await booking.book(
                tx,
                patient_id or tx.user_id,
                practice_id=practice_id,
                visit_type_id=visit_type_id,
                start=start,
                reason=request.reason,
                hold_id=hold_id,
                follows_id=follows_id,
            )
            return tx.answer(pb.BookAppointmentResponse(appointment=from_row(row)))

    async def BookFamily(
        self, request: pb.BookFamilyRequest, context: Context
    ) -> pb.BookFamilyResponse:
        caller = rpc.caller()
        await self._admit(caller)
        wanted = [
            _wanted(visit, caller, f"visits[{place}].")
            for place, visit in enumerate(request.visits)
        ]
        lock = several.lock([each.practice_id for each in wanted])
        async with self._db.transaction(caller, once=request, lock=lock) as tx:
            rows = await several.book_all(tx, wanted)
            return tx.answer(pb.BookFamilyResponse(appointments=map(from_row, rows)))

    async def BookSeries(
        self, request: pb.BookSeriesRequest, context: Context
    ) -> pb.BookSeriesResponse:
        caller = rpc.caller()
        await self._admit(caller)
        first = _wanted(request, caller)
        lock = several.lock([first.practice_id])
        async with self._db.transaction(caller, once=request, lock=lock) as tx:
            rows = await several.book_series(
                tx, first, weeks=request.every_weeks, count=request.visit_count
            )
            return tx.answer(pb.BookSeriesResponse(appointments=map(from_row, rows)))

    async def HoldSlot(self, request: pb.HoldSlotRequest, context: Context) -> pb.HoldSlotResponse:
        caller, practice_id = rpc.caller(), wire.to_id(request.practice_id, "practice_id")
        await self._admit(caller)
        visit_type_id = wire.to_optional_id(request.visit_type_id, "visit_type_id")
        start = wire.to_time(request.start_time, "start_time")
        lock = holding.lock(practice_id, caller)
        async with self._db.transaction(caller, once=request, lock=lock) as tx:
            row = await holding.hold(
                tx,
                tx.user_id,
                practice_id=practice_id,
                visit_type_id=visit_type_id,
                start=start,
                lasting=self._hold_time,
            )
            return tx.answer(pb.HoldSlotResponse(hold=from_hold(row)))

    async def ReleaseHold(
        self, request: pb.ReleaseHoldRequest, context: Context
    ) -> pb.ReleaseHoldResponse:
        hold_id = wire.to_id(request.hold_id, "hold_id")
        lock = holding.lock_hold(hold_id)
        async with self._db.transaction(rpc.caller(), once=request, lock=lock) as tx:
            await holding.release(tx, hold_id)
            return tx.answer(pb.ReleaseHoldResponse())

    async def GetAppointment(
        self, request: pb.GetAppointmentRequest, context: Context
    ) -> pb.GetAppointmentResponse:
        appointment_id = wire.to_id(request.appointment_id, "appointment_id")
        async with self._db.transaction(rpc.caller()) as tx:
            row = await progress.find(tx, appointment_id)
            record_reads(tx, "appointment.read", [row], subject_id=appointment_id)
        return pb.GetAppointmentResponse(appointment=from_row(row))

    async def ListAppointments(
        self, request: pb.ListAppointmentsRequest, context: Context
    ) -> pb.ListAppointmentsResponse:
        caller = rpc.caller()
        page = self._pager.page(caller, request)
        async with self._db.transaction(caller) as tx:
            rows = await lists.of_patient(
                tx,
                patient_id=wire.to_optional_id(request.patient_id, "patient_id"),
                statuses=[STATUSES.name(status) for status in request.statuses],
                since=wire.to_optional_time(request, "from_time"),
                until=wire.to_optional_time(request, "until_time"),
                latest=request.order != pb.APPOINTMENT_ORDER_EARLIEST,
                after=page.after,
                size=page.limit,
            )
        shown, token = page.cut(rows, "start_time", "appointment_id")
        return pb.ListAppointmentsResponse(appointments=map(from_row, shown), next_page_token=token)

    async def ListDoctorAppointments(
        self, request: pb.ListDoctorAppointmentsRequest, context: Context
    ) -> pb.ListDoctorAppointmentsResponse:
        caller = rpc.caller()
        page = self._pager.page(caller, request)
        async with self._db.transaction(caller) as tx:
            rows = await lists.of_clinic(
                tx,
                doctor_id=wire.to_optional_id(request.doctor_id, "doctor_id"),
                clinic_id=wire.to_optional_id(request.clinic_id, "clinic_id"),
                first=wire.to_optional_date(request, "from_date"),
                days=request.days or 1,
                statuses=[STATUSES.name(status) for status in request.statuses],
                after=page.after,
                size=page.limit,
            )
            shown, token = page.cut(rows, "start_time", "appointment_id")
            record_reads(tx, "schedule.read", shown)
        return pb.ListDoctorAppointmentsResponse(
            appointments=map(from_row, shown), next_page_token=token
        )

    async def ConfirmAppointment(
        self, request: pb.ConfirmAppointmentRequest, context: Context
    ) -> pb.ConfirmAppointmentResponse:
        return await self._change(request, pb.ConfirmAppointmentResponse, progress.confirm)

    async def CancelAppointment(
        self, request: pb.CancelAppointmentRequest, context: Context
    ) -> pb.CancelAppointmentResponse:
        cancel = partial(progress.cancel, reason=request.reason)
        return await self._change(request, pb.CancelAppointmentResponse, cancel)

    async def CompleteAppointment(
        self, request: pb.CompleteAppointmentRequest, context: Context
    ) -> pb.CompleteAppointmentResponse:
        return await self._change(request, pb.CompleteAppointmentResponse, progress.complete)

    async def MarkNoShow(
        self, request: pb.MarkNoShowRequest, context: Context
    ) -> pb.MarkNoShowResponse:
        return await self._change(request, pb.MarkNoShowResponse, progress.mark_no_show)

    async def UndoNoShow(
        self, request: pb.UndoNoShowRequest, context: Context
    ) -> pb.UndoNoShowResponse:
        return await self._change(request, pb.UndoNoShowResponse, progress.undo_no_show)

    async def RescheduleAppointment(
        self, request: pb.RescheduleAppointmentRequest, context: Context
    ) -> pb.RescheduleAppointmentResponse:
        start = wire.to_time(request.start_time, "start_time")

        async def move(tx: Transaction, appointment_id: UUID) -> asyncpg.Record:
            visit = await progress.find(tx, appointment_id)
            if request.etag and request.etag != etag(visit):
                raise EtagMismatch
            return await moving.move(tx, visit, start)

        return await self._change(request, pb.RescheduleAppointmentResponse, move)

    async def SetCancelPolicy(
        self, request: pb.SetCancelPolicyRequest, context: Context
    ) -> pb.SetCancelPolicyResponse:
        practice_id = wire.to_id(request.practice_id, "practice_id")
        async with self._db.transaction(rpc.caller(), once=request) as tx:
            saved = await policy.set_policy(tx, practice_id, request.notice_minutes)
            message = from_policy(practice_id, *saved)
            return tx.answer(pb.SetCancelPolicyResponse(cancel_policy=message))

    async def GetCancelPolicy(
        self, request: pb.GetCancelPolicyRequest, context: Context
    ) -> pb.GetCancelPolicyResponse:
        practice_id = wire.to_id(request.practice_id, "practice_id")
        found = await policy.find(self._db, practice_id)
        return pb.GetCancelPolicyResponse(cancel_policy=from_policy(practice_id, *found))

    async def _change(
        self, request: Any, response: Callable[..., Changed], change: Change
    ) -> Changed:
        """Run a change of the appointment that the request names, and answer it as it then is."""
        appointment_id = wire.to_id(request.appointment_id, "appointment_id")
        lock = progress.lock(appointment_id)
        async with self._db.transaction(rpc.caller(), once=request, lock=lock) as tx:
            row = await change(tx, appointment_id)
            return tx.answer(response(appointment=from_row(row)))


def _wanted(
    message: pb.FamilyVisit | pb.BookSeriesRequest, caller: Caller, path: str = ""
) -> several.Wanted:
    """Read a visit; one without patient is the caller's."""
    patient_id = wire.to_optional_id(message.patient_id, f"{path}patient_id") or caller.user_id
    if patient_id is None:
        raise Unauthenticated
    return several.Wanted(
        wire.to_id(message.practice_id, f"{path}practice_id"),
        wire.to_optional_id(message.visit_type_id, f"{path}visit_type_id"),
        wire.to_time(message.start_time, f"{path}start_time"),
        patient_id,
        message.reason,
    )
