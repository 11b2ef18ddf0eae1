"""Many callers at once: whatever crosses whatever, nothing is lost, doubled or left half done."""

from collections.abc import Awaitable, Callable
from contextlib import suppress
from datetime import datetime
from typing import Any
from uuid import uuid4

import grpc

from carelane.availability.v1 import availability_pb2
from server.core.access import Caller
from server.directory import verification
from tests.refusal import Refusal
from tests.reliability.history import BOOKED, CHANCE, History, booking, starts, times, together
from tests.world import Person, PracticeOf, World

FAR = 100  # days ahead that can be booked
REFUSALS = {
    "SLOT_TAKEN",
    "PATIENT_BUSY",
    "NOT_BOOKABLE",
    "NOT_FOUND",
    "ILLEGAL_STATUS_CHANGE",
    "TOO_EARLY",
    "ETAG_MISMATCH",
    "STRANDS_APPOINTMENTS",
}


async def people(world: World, count: int) -> list[Person]:
    return [await world.person() for _ in range(count)]


async def test_each_request_has_one_effect_however_often_it_is_sent(
    live_world: World, owner: Any
) -> None:
    practice = await live_world.practice(horizon_days=FAR)
    history, patients = History(practice), await people(live_world, 10)
    for number, start in enumerate(starts(practice, times(20, 1000))):
        history.request(patients[number % 10], start)
    repeats = [sent for sent in history.sent for _ in range(10)]
    CHANCE.shuffle(repeats)
    book = booking(live_world, practice)
    await together(sent.attempt(book) for sent in repeats)
    assert history.outcomes() == {BOOKED}
    assert not await history.violations(owner)


async def test_of_one_request_id_with_two_contents_one_has_an_effect(
    live_world: World, owner: Any
) -> None:
    practice, patient = await live_world.practice(horizon_days=FAR), await live_world.person()
    history, book = History(practice), booking(live_world, practice)
    wanted = starts(practice, times(20, 200))
    for one, other in zip(wanted[::2], wanted[1::2], strict=True):
        first, second = history.request(patient, one), history.request(patient, other)
        second.request_id = first.request_id
    pairs = [sent for sent in history.sent for _ in range(3)]
    CHANCE.shuffle(pairs)
    await together(sent.attempt(book) for sent in pairs)
    assert history.outcomes() == {BOOKED, "REQUEST_ID_REUSED"}
    for one, other in zip(history.sent[::2], history.sent[1::2], strict=True):
        assert len(one.booked | other.booked) == 1
    assert not await history.violations(owner)


async def test_repeats_of_a_request_that_is_rolled_back_are_answered_each(
    live_world: World, owner: Any
) -> None:
    practice = await live_world.practice(horizon_days=FAR)
    history, book = History(practice), booking(live_world, practice)
    quick, slow = await people(live_world, 2)
    attempts: list[Awaitable[Any]] = []
    for start in starts(practice, times(10, 200)):
        rival, repeated = history.request(quick, start), history.request(slow, start)
        attempts += [rival.attempt(book), *(repeated.attempt(book) for _ in range(6))]
    await together(attempts)
    assert history.outcomes() <= {BOOKED, "SLOT_TAKEN"}
    for rival, repeated in zip(history.sent[::2], history.sent[1::2], strict=True):
        assert len(rival.booked) + len(repeated.booked) == 1
    assert not await history.violations(owner)


class Storm:
    """Changes of a practice's time, one after the other chosen by chance; a few starts for all."""

    def __init__(self, world: World, practice: PracticeOf, patients: list[Person]) -> None:
        self.world, self.practice, self.patients = world, practice, patients
        self.history = History(practice)
        self.reasons: set[str] = set()
        self._starts = starts(practice, 6)
        self._changes: list[Callable[[], Awaitable[Any]]] = [
            *[self._book] * 6,
            *[self._cancel] * 3,
            self._confirm,
            self._complete,
            self._set_hours,
            self._verify_anew,
        ]

    async def change(self) -> None:
        """Make one of the changes; what refuses it must be one of the rules."""
        try:
            await CHANCE.choice(self._changes)()
        except grpc.aio.AioRpcError as error:
            self.reasons.add(Refusal(error).reason)

    async def _book(self) -> None:
        sent = self.history.request(CHANCE.choice(self.patients), CHANCE.choice(self._starts))
        await sent.attempt(booking(self.world, self.practice))

    async def _end(self, rpc_name: str, by: Person) -> None:
        booked = [visit for sent in self.history.sent[-20:] for visit in sent.booked]
        if booked:
            chosen = {"appointment_id": CHANCE.choice(booked), "request_id": uuid4()}
            await self.world.call(rpc_name, by, **chosen)

    async def _cancel(self) -> None:
        await self._end("CancelAppointment", CHANCE.choice([self.practice.doctor, self._owner]))

    async def _confirm(self) -> None:
        await self._end("ConfirmAppointment", self._owner)

    async def _complete(self) -> None:
        await self._end("CompleteAppointment", self.practice.doctor)

    @property
    def _owner(self) -> Person:
        return self.practice.owner

    async def _set_hours(self) -> None:
        where = {"practice_id": self.practice.practice_id}
        found = (await self.world.call("GetAvailability", self._owner, **where)).availability
        hours = {"rules": found.rules, "etag": found.etag, "allow_stranded": True}
        closed = availability_pb2.DateOverride(date=_date(CHANCE.choice(self._starts)))
        overrides = [closed] if CHANCE.random() < 0.3 else []
        again = {"request_id": uuid4(), "overrides": overrides}
        await self.world.call("SetAvailability", self._owner, **where, **hours, **again)

    async def _verify_anew(self) -> None:
        """Let the doctor change the licence, which hides them until an administrator decides."""
        doctor = self.practice.doctor
        async with self.world.db.transaction(doctor.caller) as tx:
            await tx.one(verification.LOCK_PROFILE, doctor=doctor.user_id)
            await verification.request(tx, doctor.user_id, (uuid4().hex, "Council", 2010))
        admin = Caller(uuid4(), "admin")
        with suppress(verification.NotPending):  # another change of the licence was decided on
            async with self.world.db.transaction(admin) as tx:
                await verification.decide(
                    tx, doctor_id=doctor.user_id, decision="verified", reason=""
                )


def _date(start: datetime) -> Any:
    return {"year": start.year, "month": start.month, "day": start.day}


async def test_a_storm_of_crossing_changes_leaves_everything_in_order(
    live_world: World, owner: Any
) -> None:
    practice = await live_world.practice()
    storm = Storm(live_world, practice, await people(live_world, 12))
    await together((storm.change() for _ in range(times(200, 10_000))), width=30)
    assert storm.reasons | storm.history.outcomes() <= REFUSALS | {BOOKED}
    assert BOOKED in storm.history.outcomes()
    assert not await storm.history.violations(owner)
