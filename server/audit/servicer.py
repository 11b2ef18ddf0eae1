"""AuditService: messages in, messages out."""

from collections.abc import AsyncIterator
from contextlib import aclosing
from typing import Any
from uuid import UUID

import grpc

from carelane.audit.v1 import audit_service_pb2 as pb
from carelane.audit.v1 import audit_service_pb2_grpc
from server.audit import service
from server.audit.messages import from_access, from_entry
from server.audit.service import Filter
from server.core import rpc, wire
from server.core.db import Database
from server.core.paging import Pager

Context = grpc.aio.ServicerContext[Any, Any]


class AuditServicer(audit_service_pb2_grpc.AuditServiceServicer):
    """Serves those who may know who did what."""

    def __init__(self, db: Database, pager: Pager) -> None:
        self._db = db
        self._pager = pager

    async def ListAuditEntries(
        self, request: pb.ListAuditEntriesRequest, context: Context
    ) -> pb.ListAuditEntriesResponse:
        caller = rpc.caller()
        page = self._pager.page(caller, request)
        wanted = _filter(request.filter, wire.to_optional_id(request.clinic_id, "clinic_id"))
        async with self._db.transaction(caller) as tx:
            rows = await service.entries(tx, wanted, after=page.after, size=page.limit)
        shown, token = page.cut(rows, "create_time", "audit_id")
        return pb.ListAuditEntriesResponse(entries=map(from_entry, shown), next_page_token=token)

    async def ListClinicAuditEntries(
        self, request: pb.ListClinicAuditEntriesRequest, context: Context
    ) -> pb.ListClinicAuditEntriesResponse:
        caller = rpc.caller()
        page = self._pager.page(caller, request)
        clinic_id = wire.to_id(request.clinic_id, "clinic_id")
        wanted = _filter(request.filter, clinic_id)
        async with self._db.transaction(caller) as tx:
            await service.check_owner(tx, clinic_id)
            rows = await service.entries(tx, wanted, after=page.after, size=page.limit)
        shown, token = page.cut(rows, "create_time", "audit_id")
        return pb.ListClinicAuditEntriesResponse(
            entries=map(from_entry, shown), next_page_token=token
        )

    async def ExportAudit(
        self, request: pb.ExportAuditRequest, context: Context
    ) -> AsyncIterator[pb.ExportAuditResponse]:
        clinic_id = wire.to_optional_id(request.clinic_id, "clinic_id")
        wanted = _filter(request.filter, clinic_id)
        async with aclosing(service.export(self._db, rpc.caller(), wanted)) as parts:
            async for rows in parts:
                yield pb.ExportAuditResponse(entries=map(from_entry, rows))

    async def ListMyAccess(
        self, request: pb.ListMyAccessRequest, context: Context
    ) -> pb.ListMyAccessResponse:
        caller = rpc.caller()
        page = self._pager.page(caller, request)
        async with self._db.transaction(caller) as tx:
            rows = await service.own_access(tx, after=page.after, size=page.limit)
            shown, token = page.cut(rows, "create_time", "audit_id")
            entries = [from_access(row, tx.user_id) for row in shown]
        return pb.ListMyAccessResponse(entries=entries, next_page_token=token)


def _filter(message: pb.AuditFilter, clinic_id: UUID | None) -> Filter:
    return Filter(
        actor=wire.to_optional_id(message.actor_id, "filter.actor_id"),
        clinic=clinic_id,
        act=message.act or None,
        kind=message.object_kind or None,
        thing=wire.to_optional_id(message.object_id, "filter.object_id"),
        since=wire.to_optional_time(message, "from_time"),
        until=wire.to_optional_time(message, "until_time"),
        request=message.request_id or None,
    )
