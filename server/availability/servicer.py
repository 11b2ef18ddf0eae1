"""AvailabilityService: messages in, messages out."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import grpc

from carelane.availability.v1 import availability_service_pb2 as pb
from carelane.availability.v1 import availability_service_pb2_grpc
from server.availability import edit, messages, service
from server.core import rpc, wire
from server.core.db import Database, Reader
from server.core.errors import EtagMismatch

Context = grpc.aio.ServicerContext[Any, Any]


class AvailabilityServicer(availability_service_pb2_grpc.AvailabilityServiceServicer):
    """Serves opening hours to those who set them, and free times to everyone."""

    def __init__(self, db: Database) -> None:
        self._db = db

    async def SetAvailability(
        self, request: pb.SetAvailabilityRequest, context: Context
    ) -> pb.SetAvailabilityResponse:
        rules = messages.to_rules(request.rules)
        overrides = messages.to_overrides(request.overrides)
        caller, practice_id = rpc.caller(), wire.to_optional_id(request.practice_id, "practice_id")
        lock = service.lock_to_edit(practice_id, caller)
        async with self._db.transaction(caller, once=request, lock=lock) as tx:
            old = await edit.find_hours(tx, practice_id)
            _check_etag(request.etag, messages.etag(old.revision))
            saved = await edit.set_hours(
                tx, old, rules, overrides, allow_stranded=request.allow_stranded
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
