"""QueueService: messages in, messages out."""

from collections.abc import AsyncIterator
from contextlib import aclosing
from functools import partial
from typing import Any
from uuid import UUID

import grpc

from carelane.queue.v1 import queue_service_pb2 as pb
from carelane.queue.v1 import queue_service_pb2_grpc
from carelane.queue.v1.queue_pb2 import QueueSettings
from server.appointment import progress
from server.availability import service as availability
from server.core import rpc, wire
from server.core.access import Caller
from server.core.db import Database
from server.queue import day, service
from server.queue.day import Practice
from server.queue.messages import from_entry, from_place, from_queue, from_step
from server.queue.watching import Watching

Context = grpc.aio.ServicerContext[Any, Any]


class QueueServicer(queue_service_pb2_grpc.QueueServiceServicer):
    """Serves the day at the clinic."""

    def __init__(self, db: Database) -> None:
        self._db = db
        self._watching = Watching(db)

    async def CheckIn(self, request: pb.CheckInRequest, context: Context) -> pb.CheckInResponse:
        appointment_id = wire.to_id(request.appointment_id, "appointment_id")
        lock = progress.lock(appointment_id)
        async with self._db.transaction(rpc.caller(), once=request, lock=lock) as tx:
            entry = await service.check_in(tx, appointment_id)
            return tx.answer(pb.CheckInResponse(entry=from_entry(entry)))

    async def CallNext(self, request: pb.CallNextRequest, context: Context) -> pb.CallNextResponse:
        practice_id = wire.to_id(request.practice_id, "practice_id")
        lock = availability.lock_by_practice(practice_id)
        async with self._db.transaction(rpc.caller(), once=request, lock=lock) as tx:
            entry = await service.call_next(tx, practice_id)
            return tx.answer(pb.CallNextResponse(entry=from_entry(entry)))

    async def StartConsultation(
        self, request: pb.StartConsultationRequest, context: Context
    ) -> pb.StartConsultationResponse:
        appointment_id = wire.to_id(request.appointment_id, "appointment_id")
        lock = progress.lock(appointment_id)
        async with self._db.transaction(rpc.caller(), once=request, lock=lock) as tx:
            entry = await service.start(tx, appointment_id)
            return tx.answer(pb.StartConsultationResponse(entry=from_entry(entry)))

    async def RunningLate(
        self, request: pb.RunningLateRequest, context: Context
    ) -> pb.RunningLateResponse:
        practice_id = wire.to_id(request.practice_id, "practice_id")
        lock = availability.lock_by_practice(practice_id)
        async with self._db.transaction(rpc.caller(), once=request, lock=lock) as tx:
            queue = await service.say_late(tx, practice_id, minutes=request.late_minutes)
            waits = queue.waits(tx.now, await day.remember(tx, queue.practice))
            return tx.answer(pb.RunningLateResponse(queue=from_queue(queue, tx.now, waits)))

    async def SetQueueSettings(
        self, request: pb.SetQueueSettingsRequest, context: Context
    ) -> pb.SetQueueSettingsResponse:
        practice_id = wire.to_id(request.practice_id, "practice_id")
        minutes = request.no_show_grace_minutes
        async with self._db.transaction(rpc.caller(), once=request) as tx:
            await service.set_grace(tx, practice_id, minutes=minutes)
            settings = QueueSettings(practice_id=str(practice_id), no_show_grace_minutes=minutes)
            return tx.answer(pb.SetQueueSettingsResponse(queue_settings=settings))

    async def GetQueue(self, request: pb.GetQueueRequest, context: Context) -> pb.GetQueueResponse:
        practice_id = wire.to_id(request.practice_id, "practice_id")
        async with self._db.transaction(rpc.caller()) as tx:
            queue = await day.read(tx, practice_id)
            day.record_read(tx, queue.practice, queue.patients)
            waits = queue.waits(tx.now, await day.remember(tx, queue.practice))
            return pb.GetQueueResponse(queue=from_queue(queue, tx.now, waits))

    async def GetQueuePlace(
        self, request: pb.GetQueuePlaceRequest, context: Context
    ) -> pb.GetQueuePlaceResponse:
        appointment_id = wire.to_id(request.appointment_id, "appointment_id")
        async with self._db.transaction(rpc.caller()) as tx:
            visit = await progress.find(tx, appointment_id)
        # Who may see one visit may not see the others, but how many there are: as the doctor.
        async with self._db.transaction(Caller(visit["doctor_id"], "doctor")) as tx:
            queue = await day.read(tx, visit["practice_id"])
            waits = queue.waits(tx.now, await day.remember(tx, queue.practice))
            place = queue.place(appointment_id)
        return pb.GetQueuePlaceResponse(queue_place=from_place(queue, place, tx.now, waits))

    async def WatchQueue(
        self, request: pb.WatchQueueRequest, context: Context
    ) -> AsyncIterator[pb.WatchQueueResponse]:
        caller, shown = rpc.caller(), set[UUID]()
        find = partial(self._find, caller, wire.to_id(request.practice_id, "practice_id"))
        async with aclosing(self._watching.steps(await find(), find)) as steps:
            async for step in steps:
                if more := step.after.queue.patients - shown:
                    async with self._db.transaction(caller) as tx:
                        day.record_read(tx, step.after.queue.practice, more)
                    shown |= more
                yield from_step(step)

    async def _find(self, caller: Caller, practice_id: UUID) -> Practice:
        """Find the practice; NotFound unless its queue is the caller's business."""
        async with self._db.transaction(caller) as tx:
            return await day.find_practice(tx, practice_id)
