"""Where the platform asks for it, only those book who have proven their address."""

from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import uuid4

import grpc
import pytest

from server.auth import contact
from server.core import wire
from server.settings import Settings
from tests.refusal import refused
from tests.world import Person, World, tomorrow

RPCS = ("BookAppointment", "HoldSlot", "BookFamily", "BookSeries", "JoinWaitlist")


@pytest.fixture
async def asks(world: World) -> dict[str, dict[str, Any]]:
    """What each of the RPCs is asked with, all at times that are free."""
    world.gate.required = True
    at = await world.practice()
    start = at.at(tomorrow(at), 10)
    practice = {"practice_id": at.practice_id, "request_id": uuid4()}
    time = practice | {"start_time": start}
    visit = {"practice_id": str(at.practice_id), "start_time": wire.from_time(start)}
    return {
        "BookAppointment": time,
        "HoldSlot": time,
        "BookFamily": {"request_id": uuid4(), "visits": [visit]},
        "BookSeries": time | {"every_weeks": 1, "visit_count": 2},
        "JoinWaitlist": practice | {"until_date": (datetime.now(UTC) + timedelta(30)).date()},
    }


async def verify(world: World, person: Person) -> None:
    async with world.db.transaction(person.caller) as tx:
        assert await contact.verify_email(tx, person.user_id, f"{person.user_id.hex}@MAIL.example")


@pytest.mark.parametrize("rpc", RPCS)
async def test_who_has_not_verified_is_refused_until_they_have(
    world: World, asks: dict[str, dict[str, Any]], rpc: str
) -> None:
    patient = await world.person()
    refusal = await refused(world.call(rpc, patient, **asks[rpc]))
    assert refusal.code is grpc.StatusCode.FAILED_PRECONDITION
    assert refusal.reason == "EMAIL_UNVERIFIED"
    await verify(world, patient)
    first = await world.call(rpc, patient, **asks[rpc])
    assert await world.call(rpc, patient, **asks[rpc]) == first


async def test_who_has_verified_is_looked_up_once(
    world: World, asks: dict[str, dict[str, Any]]
) -> None:
    patient = await world.person()
    await verify(world, patient)
    statements: list[str] = []

    def note(record: Any) -> None:
        statements.append(record.query)

    with world.db.connection.query_logger(note):  # type: ignore[attr-defined]
        for _ in range(2):
            await world.call("HoldSlot", patient, **asks["HoldSlot"])
    assert sum("email_verify_time" in query for query in statements) == 1


@pytest.mark.parametrize(
    ("settings", "asked"),
    [
        ({}, False),
        ({"require_verified_email": ""}, False),
        ({"require_verified_email": "true"}, True),
        ({"require_verified_email": "false"}, False),
    ],
)
def test_it_is_asked_for_where_the_settings_say_so(settings: Any, asked: bool) -> None:
    assert Settings(_env_file=None, **settings).asks_for_verified_email is asked
