"""Decisions on requests to be verified: one each, whoever decides at once, and told."""

import asyncio
from datetime import timedelta
from typing import Any
from uuid import UUID, uuid4

import pytest

from server.core.access import Caller
from server.core.clock import MovableClock
from server.core.db import Database
from server.core.errors import NotFound
from server.directory import verification
from server.directory.profile import Licence
from server.directory.verification import LicenceInUse, NotPending
from tests.world import World

ADMIN = Caller(uuid4(), "admin")


async def waiting_doctor(world: World) -> UUID:
    """Answer a doctor whose licence waits for a decision."""
    practice = await world.practice(verified=False)
    async with world.db.transaction(practice.doctor.caller) as tx:
        licence = Licence(uuid4().hex, "Council", 2010)
        await verification.request(tx, practice.doctor.user_id, licence)
    return practice.doctor.user_id


async def decide(db: Database, doctor_id: UUID, decision: Any, reason: str = "") -> Any:
    async with db.transaction(ADMIN) as tx:
        return await verification.decide(tx, doctor_id=doctor_id, decision=decision, reason=reason)


async def pending(db: Database, limit: int, after: Any = None) -> list[Any]:
    async with db.transaction(ADMIN) as tx:
        return await verification.list_pending(tx, after=after, limit=limit)


async def test_a_decision_answers_the_request_with_its_evidence(world: World) -> None:
    doctor_id = await waiting_doctor(world)
    row = await decide(world.db, doctor_id, "rejected", "The scan cannot be read.")
    assert (row["doctor_id"], row["status"]) == (doctor_id, "rejected")
    assert row["reason"] == "The scan cannot be read."
    assert row["decide_time"]
    assert (row["full_name"], row["licence_council"]) == ("Dr. Meera Nair", "Council")


async def test_a_request_is_decided_once(world: World) -> None:
    doctor_id = await waiting_doctor(world)
    await decide(world.db, doctor_id, "verified")
    with pytest.raises(NotPending):
        await decide(world.db, doctor_id, "rejected", "Late.")


async def test_who_has_no_profile_is_not_found(world: World) -> None:
    with pytest.raises(NotFound):
        await decide(world.db, uuid4(), "verified")


async def test_the_longest_wait_comes_first_page_by_page(world: World, clock: MovableClock) -> None:
    clock.advance(timedelta(days=-9000))
    doctors = []
    for _ in range(5):
        doctors.append(await waiting_doctor(world))
        clock.advance(timedelta(hours=1))
    found: list[Any] = []
    after = None
    while len(found) < 5:
        rows = await pending(world.db, 2, after)
        found += rows
        after = (rows[-1]["create_time"], rows[-1]["verification_id"])
    assert [row["doctor_id"] for row in found[:5]] == doctors


async def test_of_administrators_deciding_at_once_one_decides(
    live_world: World, owner: Any
) -> None:
    doctor_id = await waiting_doctor(live_world)
    answers = await asyncio.gather(
        *(decide(live_world.db, doctor_id, kind, "x") for kind in ("verified", "rejected") * 4),
        return_exceptions=True,
    )
    made = [answer for answer in answers if not isinstance(answer, BaseException)]
    status = await owner.fetchval(
        "SELECT verification_status FROM doctor_profile WHERE doctor_id = $1", doctor_id
    )
    told = await owner.fetch(
        "SELECT topic, payload FROM outbox WHERE subject_id = $1 AND topic <> $2",
        doctor_id,
        "doctor.verification_requested",
    )
    assert [row["status"] for row in made] == [status]
    assert {type(error) for error in answers if error not in made} == {NotPending}
    assert [row["topic"] for row in told] == [f"doctor.{status}"]


async def test_a_decision_and_a_new_licence_at_once_leave_one_answer(
    live_world: World, owner: Any
) -> None:
    for _ in range(5):
        doctor_id = await waiting_doctor(live_world)
        await asyncio.gather(
            decide(live_world.db, doctor_id, "verified"), _change(live_world.db, doctor_id)
        )
        row = await owner.fetchrow(
            "SELECT p.verification_status, v.status FROM doctor_profile p JOIN verification v"
            " USING (doctor_id) WHERE doctor_id = $1 AND v.status <> 'superseded'",
            doctor_id,
        )
        assert row["verification_status"] == row["status"]


async def _change(db: Database, doctor_id: UUID) -> None:
    async with db.transaction(Caller(doctor_id, "doctor")) as tx:
        await tx.one(verification.LOCK_PROFILE, doctor=doctor_id)
        await verification.request(tx, doctor_id, Licence(uuid4().hex, "Council", 2011))


async def test_a_licence_in_use_is_refused_by_the_database(world: World) -> None:
    first, second = await waiting_doctor(world), await waiting_doctor(world)
    licence = Licence(uuid4().hex, "Council", 2010)
    for doctor_id in (first, first):
        async with world.db.transaction(Caller(doctor_id, "doctor")) as tx:
            await verification.request(tx, doctor_id, licence)
    with pytest.raises(LicenceInUse):
        async with world.db.transaction(Caller(second, "doctor")) as tx:
            await verification.request(tx, second, licence)


async def test_nobody_but_administrators_sees_requests_of_others(world: World) -> None:
    await waiting_doctor(world)
    stranger = await world.person()
    async with world.db.transaction(stranger.caller) as tx:
        assert await verification.list_pending(tx, after=None, limit=10) == []
