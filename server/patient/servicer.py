"""PatientService: messages in, messages out."""

import re
from typing import Any

import asyncpg
import grpc

from carelane.patient.v1 import dependant_pb2, patient_service_pb2_grpc
from carelane.patient.v1 import patient_service_pb2 as pb
from server.core import rpc, wire
from server.core.db import Database
from server.core.errors import InvalidField
from server.core.paging import Pager
from server.patient import service

Context = grpc.aio.ServicerContext[Any, Any]
# As the contract has it for accounts.
_NAME = re.compile(r"[^\x00-\x1f\x7f]*[^\x00-\x20\x7f][^\x00-\x1f\x7f]*")
_RELATIONS = wire.EnumNames(dependant_pb2.Relation)


class PatientServicer(patient_service_pb2_grpc.PatientServiceServicer):
    """Serves the dependants of those who book."""

    def __init__(self, db: Database, pager: Pager) -> None:
        self._db = db
        self._pager = pager

    async def AddDependant(
        self, request: pb.AddDependantRequest, context: Context
    ) -> pb.AddDependantResponse:
        caller, born = rpc.caller(), wire.to_optional_date(request, "birth_date")
        if born and born > self._db.clock.now().date():
            raise InvalidField("birth_date", "must not be in the future")
        if not _NAME.fullmatch(request.full_name.strip()):
            raise InvalidField("full_name", "must be a name: some letters, all in one line")
        async with self._db.transaction(caller, once=request, lock=service.lock(caller)) as tx:
            row = await service.add(
                tx,
                full_name=request.full_name,
                relation=_RELATIONS.name(request.relation),
                birth_date=born,
            )
            return tx.answer(pb.AddDependantResponse(dependant=_from_row(row)))

    async def ListDependants(
        self, request: pb.ListDependantsRequest, context: Context
    ) -> pb.ListDependantsResponse:
        caller = rpc.caller()
        page = self._pager.page(caller, request)
        async with self._db.transaction(caller) as tx:
            rows = await service.dependants(
                tx,
                ended=request.include_ended,
                after=page.after,
                size=page.limit,
            )
        shown, token = page.cut(rows, "create_time", "patient_id")
        return pb.ListDependantsResponse(dependants=map(_from_row, shown), next_page_token=token)

    async def EndDependant(
        self, request: pb.EndDependantRequest, context: Context
    ) -> pb.EndDependantResponse:
        caller, patient_id = rpc.caller(), wire.to_id(request.patient_id, "patient_id")
        async with self._db.transaction(caller, once=request, lock=service.lock(caller)) as tx:
            row = await service.end(tx, patient_id)
            return tx.answer(pb.EndDependantResponse(dependant=_from_row(row)))


def _from_row(row: asyncpg.Record) -> dependant_pb2.Dependant:
    return dependant_pb2.Dependant(
        patient_id=str(row["patient_id"]),
        full_name=row["full_name"],
        relation=_RELATIONS.number(row["relation"]),
        birth_date=wire.from_date(row["birth_date"]) if row["birth_date"] else None,
        create_time=wire.from_time(row["create_time"]),
        end_time=wire.from_time(row["end_time"]) if row["end_time"] else None,
    )
