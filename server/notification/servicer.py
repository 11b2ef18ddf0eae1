"""NotificationService: messages in, messages out."""

from typing import Any
from uuid import UUID

import grpc
from asyncpg import Record

from carelane.notification.v1 import notification_pb2, notification_service_pb2_grpc
from carelane.notification.v1 import notification_service_pb2 as pb
from server.core import rpc
from server.core.access import Caller
from server.core.db import Database
from server.core.errors import InvalidField, Unauthenticated
from server.core.paging import Pager
from server.core.wire import EnumNames, from_time, to_id
from server.notification import service

Context = grpc.aio.ServicerContext[Any, Any]

KINDS = EnumNames(notification_pb2.NotificationKind)


class NotificationServicer(notification_service_pb2_grpc.NotificationServiceServicer):
    """Serves the caller's own notifications."""

    def __init__(self, db: Database, pager: Pager) -> None:
        self._db = db
        self._pager = pager

    async def ListNotifications(
        self, request: pb.ListNotificationsRequest, context: Context
    ) -> pb.ListNotificationsResponse:
        caller, user_id = _signed_in()
        page = self._pager.page(caller, request)
        async with self._db.transaction(caller) as tx:
            rows = await service.page(
                tx, user_id, unread_only=request.unread_only, after=page.after, limit=page.limit
            )
            unread = await service.count_unread(tx, user_id)
        shown, token = page.cut(rows, "create_time", "notification_id")
        return pb.ListNotificationsResponse(
            notifications=map(_notification, shown),
            next_page_token=token,
            unread_count=unread,
        )

    async def MarkNotificationsRead(
        self, request: pb.MarkNotificationsReadRequest, context: Context
    ) -> pb.MarkNotificationsReadResponse:
        if request.all and request.notification_ids:
            raise InvalidField("notification_ids", "must be empty when all is set")
        caller, user_id = _signed_in()
        ids = [
            to_id(text, f"notification_ids[{number}]")
            for number, text in enumerate(request.notification_ids)
        ]
        async with self._db.transaction(caller, once=request) as tx:
            await service.mark_read(tx, user_id, everything=request.all, ids=ids)
            unread = await service.count_unread(tx, user_id)
            return tx.answer(pb.MarkNotificationsReadResponse(unread_count=unread))


def _signed_in() -> tuple[Caller, UUID]:
    caller = rpc.caller()
    if caller.user_id is None:
        raise Unauthenticated
    return caller, caller.user_id


def _notification(row: Record) -> notification_pb2.Notification:
    return notification_pb2.Notification(
        notification_id=str(row["notification_id"]),
        kind=KINDS.number(row["kind"]),
        title=row["title"],
        body=row["body"],
        subject_id=str(row["subject_id"]),
        create_time=from_time(row["create_time"]),
        read_time=from_time(row["read_time"]) if row["read_time"] else None,
    )
