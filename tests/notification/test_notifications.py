"""NotificationService: everybody reads their own, and marks it as read."""

from datetime import timedelta
from typing import Any
from uuid import UUID, uuid4

import asyncpg
import pytest
from sqlalchemy import bindparam, update

from carelane.notification.v1 import notification_pb2
from carelane.notification.v1 import notification_service_pb2 as pb
from server.core.access import Caller
from server.core.db import Database, sql
from server.notification.models import Notification
from tests.refusal import refused
from tests.rows import NOW, Served, add, add_person


async def add_notification(owner: Any, user_id: UUID, minutes: int = 0, **values: Any) -> UUID:
    notification_id = uuid4()
    usual = {
        "kind": "doctor_verified",
        "title": "You are verified",
        "body": "Patients can now find and book you.",
        "subject_id": user_id,
        "outbox_id": uuid4(),
        "create_time": NOW + timedelta(minutes=minutes),
    }
    await add(
        owner, "notification", notification_id=notification_id, user_id=user_id, **(usual | values)
    )
    return notification_id


async def listed(served: Served, user_id: UUID, **fields: Any) -> pb.ListNotificationsResponse:
    request = pb.ListNotificationsRequest(**fields)
    return await served.call("ListNotifications", request, by=("patient", user_id))  # type: ignore[no-any-return]


async def mark(served: Served, user_id: UUID, **fields: Any) -> pb.MarkNotificationsReadResponse:
    request = pb.MarkNotificationsReadRequest(**({"request_id": str(uuid4())} | fields))
    return await served.call("MarkNotificationsRead", request, by=("patient", user_id))  # type: ignore[no-any-return]


async def test_notifications_are_listed_with_the_newest_first(
    notifications: Served, owner: Any
) -> None:
    user = await add_person(owner)
    ids = [await add_notification(owner, user, minutes) for minutes in (2, 1, 3)]
    answer = await listed(notifications, user)
    found = [each.notification_id for each in answer.notifications]
    assert found == [str(ids[2]), str(ids[0]), str(ids[1])]
    assert (answer.unread_count, answer.next_page_token) == (3, "")


async def test_a_notification_says_what_happened_to_what_and_when(
    notifications: Served, owner: Any
) -> None:
    user = await add_person(owner)
    await add_notification(owner, user, read_time=NOW + timedelta(hours=1))
    (found,) = (await listed(notifications, user)).notifications
    assert found.kind == notification_pb2.NOTIFICATION_KIND_DOCTOR_VERIFIED
    assert (found.title, found.subject_id) == ("You are verified", str(user))
    assert found.create_time.seconds == int(NOW.timestamp())
    assert found.read_time.seconds == int(NOW.timestamp()) + 3600


async def test_pages_follow_each_other_without_gap_or_repeat(
    notifications: Served, owner: Any
) -> None:
    user = await add_person(owner)
    made = [await add_notification(owner, user, minutes // 2) for minutes in range(7)]
    found, token = [], ""
    while True:
        answer = await listed(notifications, user, page_size=3, page_token=token)
        found += [each.notification_id for each in answer.notifications]
        token = answer.next_page_token
        if not token:
            break
    assert len(found) == 7
    assert set(found) == {str(each) for each in made}


async def test_what_was_read_can_be_left_out(notifications: Served, owner: Any) -> None:
    user = await add_person(owner)
    await add_notification(owner, user, read_time=NOW)
    unread = await add_notification(owner, user)
    answer = await listed(notifications, user, unread_only=True)
    assert [each.notification_id for each in answer.notifications] == [str(unread)]


async def test_nobody_sees_what_another_person_is_told(notifications: Served, owner: Any) -> None:
    await add_notification(owner, await add_person(owner))
    answer = await listed(notifications, await add_person(owner))
    assert (len(answer.notifications), answer.unread_count) == (0, 0)


async def test_a_page_token_of_another_person_is_refused(notifications: Served, owner: Any) -> None:
    user, other = await add_person(owner), await add_person(owner)
    for minutes in range(2):
        await add_notification(owner, user, minutes)
    token = (await listed(notifications, user, page_size=1)).next_page_token
    refusal = await refused(listed(notifications, other, page_size=1, page_token=token))
    assert refusal.reason == "INVALID_PAGE_TOKEN"


async def test_a_negative_page_size_is_refused(notifications: Served) -> None:
    refusal = await refused(listed(notifications, uuid4(), page_size=-1))
    assert list(refusal.fields) == ["page_size"]


@pytest.mark.parametrize("name", ["ListNotifications", "MarkNotificationsRead"])
async def test_who_is_not_signed_in_is_refused(notifications: Served, name: str) -> None:
    refusal = await refused(notifications.call(name, getattr(pb, f"{name}Request")()))
    assert refusal.reason == "UNAUTHENTICATED"


async def test_named_notifications_are_marked_as_read(notifications: Served, owner: Any) -> None:
    user = await add_person(owner)
    ids = [str(await add_notification(owner, user)) for _ in range(3)]
    answer = await mark(notifications, user, notification_ids=ids[:2])
    assert answer.unread_count == 1
    unread = (await listed(notifications, user, unread_only=True)).notifications
    assert [each.notification_id for each in unread] == ids[2:]


async def test_all_are_marked_as_read_at_once(notifications: Served, owner: Any) -> None:
    user, other = await add_person(owner), await add_person(owner)
    for person in (user, user, other):
        await add_notification(owner, person)
    assert (await mark(notifications, user, all=True)).unread_count == 0
    assert (await listed(notifications, other)).unread_count == 1


async def test_the_notification_of_another_person_is_passed_over(
    notifications: Served, owner: Any
) -> None:
    user, other = await add_person(owner), await add_person(owner)
    theirs = await add_notification(owner, other)
    await mark(notifications, user, notification_ids=[str(theirs)])
    assert (await listed(notifications, other)).unread_count == 1


async def test_the_time_of_the_first_reading_stays(notifications: Served, owner: Any) -> None:
    user = await add_person(owner)
    await add_notification(owner, user, read_time=NOW)
    await mark(notifications, user, all=True)
    (found,) = (await listed(notifications, user)).notifications
    assert found.read_time.seconds == int(NOW.timestamp())


async def test_a_repeated_request_marks_nothing_new(notifications: Served, owner: Any) -> None:
    user, request_id = await add_person(owner), str(uuid4())
    await add_notification(owner, user)
    assert (await mark(notifications, user, all=True, request_id=request_id)).unread_count == 0
    await add_notification(owner, user)
    assert (await mark(notifications, user, all=True, request_id=request_id)).unread_count == 0
    assert (await listed(notifications, user)).unread_count == 1


async def test_a_request_id_with_other_contents_is_refused(
    notifications: Served, owner: Any
) -> None:
    user, request_id = await add_person(owner), str(uuid4())
    await mark(notifications, user, all=True, request_id=request_id)
    refusal = await refused(mark(notifications, user, request_id=request_id))
    assert refusal.reason == "REQUEST_ID_REUSED"


async def test_marking_is_audited(notifications: Served, owner: Any) -> None:
    user = await add_person(owner)
    await add_notification(owner, user)
    await mark(notifications, user, all=True)
    actions = await owner.fetch("SELECT action FROM audit WHERE actor_id = $1", user)
    assert [row["action"] for row in actions] == ["notification.read"]


@pytest.mark.parametrize(
    ("fields", "path"),
    [
        ({"request_id": ""}, "request_id"),
        ({"notification_ids": ["x"]}, "notification_ids[0]"),
        ({"notification_ids": [str(uuid4())] * 201}, "notification_ids"),
        ({"notification_ids": [str(uuid4())], "all": True}, "notification_ids"),
    ],
)
async def test_an_invalid_field_is_named(
    notifications: Served, fields: dict[str, Any], path: str
) -> None:
    refusal = await refused(mark(notifications, uuid4(), **fields))
    assert (refusal.reason, list(refusal.fields)) == ("INVALID_FIELD", [path])


async def test_a_person_cannot_change_what_they_were_told(committed: Database, owner: Any) -> None:
    user = await add_person(owner)
    await add_notification(owner, user)
    edit = sql(update(Notification).values(title=bindparam("text")))
    with pytest.raises(asyncpg.InsufficientPrivilegeError):
        async with committed.transaction(Caller(user, "patient")) as tx:
            await tx.run(edit, text="You have won")
