"""CalendarService: messages in, messages out."""

from typing import Any

import asyncpg
import grpc

from carelane.calendar.v1 import calendar_pb2, calendar_service_pb2_grpc
from carelane.calendar.v1 import calendar_service_pb2 as pb
from server.appointment import progress
from server.appointment.writes import record_reads
from server.calendar import feeds, ics
from server.core import rpc, wire
from server.core.db import Database
from server.core.errors import Replay

Context = grpc.aio.ServicerContext[Any, Any]


class CalendarServicer(calendar_service_pb2_grpc.CalendarServiceServicer):
    """Serves calendar files of visits, and the feeds of patients and doctors."""

    def __init__(self, db: Database, secrets: feeds.Secrets) -> None:
        self._db = db
        self._secrets = secrets

    async def GetAppointmentCalendar(
        self, request: pb.GetAppointmentCalendarRequest, context: Context
    ) -> pb.GetAppointmentCalendarResponse:
        appointment_id = wire.to_id(request.appointment_id, "appointment_id")
        async with self._db.transaction(rpc.caller()) as tx:
            visit = await progress.find(tx, appointment_id)
            record_reads(tx, "appointment.read", [visit], subject_id=appointment_id)
        return pb.GetAppointmentCalendarResponse(calendar=ics.of_visit(visit))

    async def GetCalendarFeed(
        self, request: pb.GetCalendarFeedRequest, context: Context
    ) -> pb.GetCalendarFeedResponse:
        async with self._db.transaction(rpc.caller()) as tx:
            return pb.GetCalendarFeedResponse(feed=_from_row(await feeds.find(tx)))

    async def RotateCalendarFeed(
        self, request: pb.RotateCalendarFeedRequest, context: Context
    ) -> pb.RotateCalendarFeedResponse:
        token = self._secrets.token(rpc.caller(), request.request_id)
        try:
            async with self._db.transaction(rpc.caller(), once=request) as tx:
                row = await feeds.rotate(tx, token)
                answer = tx.answer(pb.RotateCalendarFeedResponse(feed=_from_row(row)))
        except Replay as repeat:
            answer = pb.RotateCalendarFeedResponse.FromString(repeat.response)
        answer.token = token  # only now: what is stored for repeats has no secret in it
        return answer

    async def RevokeCalendarFeed(
        self, request: pb.RevokeCalendarFeedRequest, context: Context
    ) -> pb.RevokeCalendarFeedResponse:
        async with self._db.transaction(rpc.caller(), once=request) as tx:
            await feeds.revoke(tx)
            return tx.answer(pb.RevokeCalendarFeedResponse())

    async def ReadCalendarFeed(
        self, request: pb.ReadCalendarFeedRequest, context: Context
    ) -> pb.ReadCalendarFeedResponse:
        owner = await feeds.owner_of(self._db, request.token)
        async with self._db.transaction(owner) as tx:
            visits = await feeds.visits(tx)
            record_reads(tx, "calendar_feed.read", visits)
        write = ics.of_doctor if owner.role == "doctor" else ics.of_patient
        return pb.ReadCalendarFeedResponse(calendar=write(visits))


def _from_row(row: asyncpg.Record) -> calendar_pb2.CalendarFeed:
    return calendar_pb2.CalendarFeed(create_time=wire.from_time(row["create_time"]))
