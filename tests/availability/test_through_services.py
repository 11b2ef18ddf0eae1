"""Random practices behind the real services: what they offer is what the obvious model finds.

What the engine is told comes out of the tables here, through the one query that reads them.
"""

from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from random import Random
from typing import Any
from uuid import uuid4

import pytest
from google.type import money_pb2, timeofday_pb2

from carelane.availability.v1 import availability_pb2, visit_type_pb2
from server.availability.holidays import Kept
from server.availability.hours import Hours, Rule, Span, Window
from server.availability.slots import Booked, Limits, Schedule, Terms
from server.core import wire
from server.core.clock import MovableClock
from tests.availability.drawn import CHANGING, DAY, MINUTE, Drawn, changes
from tests.availability.obvious import model
from tests.counts import count
from tests.refusal import refused
from tests.world import PracticeOf, World

PRICE = money_pb2.Money(currency_code="INR", units=500)
WAY = 20
TRIED = 6
NOT_KEPT = Kept(observed=False, country_code="IN", subdivision="")


@dataclass
class Town:
    """A doctor with two practices, and what is known of the first one without asking for it."""

    world: World
    random: Random
    here: PracticeOf
    there: PracticeOf
    first: date
    terms: Terms
    closures: list[tuple[date, date]] = field(default_factory=list)
    away: list[Span] = field(default_factory=list)
    visits: list[tuple[PracticeOf, datetime]] = field(default_factory=list)
    kept: Kept = NOT_KEPT
    hours: Hours | None = None

    async def build(self) -> None:
        await self.set_terms()
        await self.set_hours()
        await self.set_absences()
        for practice in self.random.choices([self.here, self.there], k=4):
            await self.take(practice)

    async def set_terms(self) -> None:
        terms = self.terms
        rules = visit_type_pb2.BookingRules(
            name="Consultation",
            length_minutes=terms.length,
            buffer_before_minutes=terms.before,
            buffer_after_minutes=terms.after,
            interval_minutes=terms.interval,
            offset_minutes=terms.offset,
            notice_minutes=terms.notice,
            horizon_days=terms.horizon,
            horizon_unit=2 if terms.business_days else 1,  # type: ignore[arg-type]
            grid=2 if terms.from_opening else 1,  # type: ignore[arg-type]
            capacity=terms.capacity,
            limits=visit_type_pb2.BookingLimits(day_visits=terms.limits.day_visits or 0),
            price=PRICE,
            is_default=True,
        )
        await self.edit("UpdateVisitType", visit_type_id=self.here.visit_type_id, rules=rules)

    async def set_hours(self) -> None:
        pick, zone = self.random, self.here.zone
        rules = [Rule(day, self.window()) for day in range(1, 8) for _ in range(2)]
        overrides = {self.first + pick.randint(-1, 2) * DAY: (self.window(),) for _ in range(1)}
        extras = [(self.first + pick.randint(-1, 2) * DAY, self.window())]
        self.hours = Hours(zone, tuple(rules), overrides, tuple(extras))
        await self.edit(
            "SetAvailability",
            practice_id=self.here.practice_id,
            rules=[
                availability_pb2.WeeklyRule(
                    day_of_week=rule.weekday,  # type: ignore[arg-type]
                    window=written(rule.window),
                )
                for rule in rules
            ],
            overrides=[
                availability_pb2.DateOverride(
                    date=wire.from_date(day), windows=map(written, windows)
                )
                for day, windows in overrides.items()
            ],
            extra_openings=[
                availability_pb2.ExtraOpening(date=wire.from_date(day), window=written(window))
                for day, window in extras
            ],
        )

    async def set_absences(self) -> None:
        pick = self.random
        closed = self.first + pick.randint(-2, 3) * DAY
        self.closures.append((closed, closed))
        days = {"first_date": closed, "last_date": closed}
        await self.edit("AddClosure", clinic_id=self.here.clinic_id, **days)
        self.kept = self.kept._replace(observed=pick.random() < 0.5)
        observed = {"observed": self.kept.observed}
        await self.edit("SetPublicHolidays", clinic_id=self.here.clinic_id, **observed)
        for where in ("", self.here.practice_id, self.there.practice_id):
            start = self.instant()
            span = Span(start, start + pick.randint(1, 120) * MINUTE)
            if where != self.there.practice_id:
                self.away.append(span)
            times = {"start_time": span.start, "end_time": span.end}
            await self.edit("AddTimeOff", practice_id=where, **times)
        ways = {"clinic_id": self.here.clinic_id, "other_clinic_id": self.there.clinic_id}
        await self.edit("SetTravelTime", **ways, minutes=WAY)

    async def take(self, practice: PracticeOf) -> None:
        """Book or hold a time that is offered, if there is one."""
        if starts := await self.offered(practice):
            start = self.random.choice(starts)
            fields = {"practice_id": practice.practice_id, "start_time": start}
            patient = await self.world.person()
            group = practice is self.here and self.terms.capacity > 1
            name = (
                "BookAppointment" if group else self.random.choice(["HoldSlot", "BookAppointment"])
            )
            await self.world.call(name, patient, request_id=uuid4(), **fields)
            self.visits.append((practice, start))

    async def edit(self, rpc_name: str, **fields: Any) -> None:
        owner = rpc_name in {"AddClosure", "SetPublicHolidays"}
        who = self.here.owner if owner else self.here.doctor
        await self.world.call(rpc_name, who, request_id=uuid4(), **fields)

    async def offered(self, practice: PracticeOf) -> list[datetime]:
        asked = {"practice_id": practice.practice_id, "from_date": self.first, "days": 2}
        answer = await self.world.call("GetSlots", doctor_id=practice.doctor.user_id, **asked)
        return [slot.start_time.ToDatetime(tzinfo=UTC) for day in answer.days for slot in day.slots]

    def expected(self, now: datetime) -> Drawn:
        """Write down what is known, for the model."""
        assert self.hours
        usual = Terms(30, 0, 0, 30, 0, 0, 60)
        here = [start for practice, start in self.visits if practice is self.here]
        there = [usual.taken(start) for practice, start in self.visits if practice is self.there]
        way = WAY * MINUTE
        schedule = Schedule(
            self.hours,
            self.terms,
            busy=[*map(self.terms.taken, here), *there],
            first=self.first,
            last=self.first + DAY,
            closed=self.closures,
            away=self.away,
            travel=[Span(start - way, end + way) for start, end in there],
            booked=[
                Booked(*self.terms.visit(start), here.count(start), self.terms.capacity > 1)
                for start in sorted(set(here))
            ],
        )
        return Drawn(schedule, now, tuple(self.closures), self.kept)

    def window(self) -> Window:
        return Window(self.random.randrange(0, 1440, 15), self.random.randrange(0, 1440, 15))

    def instant(self) -> datetime:
        midnight = datetime(self.first.year, self.first.month, self.first.day, tzinfo=UTC)
        return midnight + self.random.randrange(0, 2880, 10) * MINUTE


def written(window: Window) -> availability_pb2.Window:
    start, end = (timeofday_pb2.TimeOfDay(hours=n // 60, minutes=n % 60) for n in window)
    return availability_pb2.Window(start=start, end=end)


def drawn_terms(pick: Random) -> Terms:
    opening = pick.random() < 0.3
    return Terms(
        length=pick.choice([7, 20, 30, 45]),
        before=pick.choice([0, 5, 11]),
        after=pick.choice([0, 10, 13]),
        interval=pick.choice([10, 20, 30, 45]),
        offset=0 if opening else pick.choice([0, 5]),
        notice=pick.choice([0, 60, 1440]),
        horizon=pick.choice([3, 9]),
        from_opening=opening,
        business_days=pick.random() < 0.5,
        capacity=pick.choice([1, 1, 2]),
        limits=Limits(day_visits=pick.choice([None, 2])),
    )


async def town(world: World, clock: MovableClock, seed: int) -> Town:
    """Build one about a change of the clocks, some days before it."""
    pick = Random(seed)  # noqa: S311 - to draw tests
    zone, year = pick.choice(CHANGING), pick.randint(2026, 2040)
    first = pick.choice([*changes(zone, year), date(year, 5, 1)]) - pick.randint(0, 1) * DAY
    clock.set(datetime(first.year, first.month, first.day, tzinfo=UTC) - timedelta(hours=60))
    here = await world.practice(zone=zone)
    there = await world.practice(doctor=here.doctor, zone=zone)
    made = Town(world, pick, here, there, first, drawn_terms(pick))
    await made.build()
    return made


@pytest.mark.parametrize("seed", range(count(5, deep=200)))
async def test_the_services_offer_and_book_what_the_obvious_model_finds(
    world: World, clock: MovableClock, seed: int
) -> None:
    made = await town(world, clock, seed)
    now = clock.now()
    expected = model(made.expected(now))
    assert await made.offered(made.here) == expected
    at = {"practice_id": made.here.practice_id}
    for start in [made.instant() for _ in range(TRIED)]:
        day = start.astimezone(made.here.zone).date()
        if start not in expected and made.first <= day <= made.first + DAY:
            call = world.call(
                "BookAppointment", await world.person(), request_id=uuid4(), start_time=start, **at
            )
            assert (await refused(call)).reason in {"NOT_BOOKABLE", "SLOT_TAKEN"}
    if expected:
        start = made.random.choice(expected)
        await world.book(await world.person(), made.here, start)
        made.visits.append((made.here, start))
        assert await made.offered(made.here) == model(made.expected(clock.now()))
