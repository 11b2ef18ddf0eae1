"""Past and coming visits: inside opening hours, on the grid, and nobody in two places at once."""

import random
from collections import Counter, defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from uuid import UUID

from launch.seed.chance import Kind, Weighted
from launch.seed.doctors import Doctor
from launch.seed.families import Dependant, of_patients
from launch.seed.hours import starts
from launch.seed.people import Person, by_weight, patient
from launch.seed.practices import DEMO_DOCTOR, Practice, VisitType
from launch.seed.world import COMING_DAYS, PAST_DAYS, Chunk, World, quotas

DEMO_PATIENT = 0
DEMO_VISITS = {False: 6, True: 4}  # past, coming
DEMO_SHARE = 70
DEMO_DAYS = (0,) * 24 + (1, 2, 3, 4, 5, 6) * 3 + tuple(range(-PAST_DAYS, COMING_DAYS))
ATTEMPTS = 6
MOST_DAYS_AHEAD = 10
PAST = Weighted(("completed", "cancelled", "no_show"), (84, 9, 7))
COMING = Weighted(("booked", "cancelled"), (93, 7))
REASONS = (
    "First visit",
    "Follow-up after the last visit",
    "To show my reports",
    "The complaint is back",
    "Second opinion",
    "Regular check",
    "",
)
CANCEL_REASONS = ("Not able to come", "Feeling better", "Another day suits better", "")


@dataclass(frozen=True, slots=True)
class Visit:
    """An appointment with its payment; `decide_time` is when its state was reached."""

    number: int
    doctor: Doctor
    practice: Practice
    visit_type: VisitType
    patient: Person
    dependant: Dependant | None
    start: datetime
    end: datetime
    status: str
    reason: str
    cancelled_by: str | None
    cancel_reason: str
    create_time: datetime
    confirm_time: datetime | None
    decide_time: datetime

    @property
    def patient_id(self) -> UUID:
        return self.dependant.patient_id if self.dependant else self.patient.user_id

    @property
    def patient_name(self) -> str:
        return (self.dependant or self.patient).full_name


class Planner:
    """Places the visits of one chunk. What is taken is kept until the chunk is done."""

    def __init__(self, world: World, chunk: Chunk) -> None:
        self._world = world
        self._chunk = chunk
        self._numbers = iter(chunk.appointments)
        self._busy: dict[UUID, list[tuple[datetime, datetime]]] = defaultdict(list)
        self._taken: set[tuple[int, date, int]] = set()
        self._demo_visits: dict[bool, set[int]] = {False: set(), True: set()}
        cities = by_weight(world)
        self.patients = [patient(world, number, cities) for number in chunk.patients]
        self.dependants = list(of_patients(world, chunk.patients, self.patients))
        self._dependant_of = {one.account_id: one for one in self.dependants}
        self._visits_of: Counter[UUID] = Counter()
        self._neighbours: dict[int, list[Person]] = defaultdict(list)
        for one in self.patients:
            self._neighbours[one.city].append(one)

    def visits(self, doctors: list[Doctor]) -> Iterator[Visit]:
        """Yield exactly as many visits as the chunk is to have, if there is room for them."""
        wanted = self._wanted(doctors)
        for attempt in range(ATTEMPTS):
            for doctor in doctors:
                for visit in self._of_doctor(doctor, attempt, wanted[doctor.number]):
                    wanted[doctor.number] -= 1
                    yield visit
            spread_missing(wanted)

    def _wanted(self, doctors: list[Doctor]) -> Counter[int]:
        """Give unverified doctors' shares to the others, and the demo doctor a full calendar."""
        wanted: Counter[int] = Counter()
        able = [doctor.number for doctor in doctors if doctor.verified]
        for doctor, share in zip(doctors, quotas(self._chunk), strict=True):
            taker = doctor.number if doctor.verified else able[doctor.number % len(able)]
            wanted[taker] += share
        if DEMO_DOCTOR in self._chunk.doctors:
            fill_demo_calendar(wanted)
        return wanted

    def _of_doctor(self, doctor: Doctor, attempt: int, wanted: int) -> Iterator[Visit]:
        if not wanted:
            return
        rng = self._world.chance.of(Kind.APPOINTMENT, doctor.number * ATTEMPTS + attempt)
        changed = {(o.practice.number, o.day) for o in doctor.overrides}
        for _ in range(wanted * 3):
            practice, day, minute = self._time(rng, doctor)
            free = (doctor.number, day, minute) not in self._taken
            if minute >= 0 and free and (practice.number, day) not in changed:
                visit = self._visit(rng, doctor, practice, day, minute)
                if visit:
                    yield visit
                    wanted -= 1
            if not wanted:
                return

    def _time(self, rng: random.Random, doctor: Doctor) -> tuple[Practice, date, int]:
        """Pick a practice, day and minute of the day; the minute is -1 when it is closed then."""
        practice = rng.choice(doctor.practices)
        days = DEMO_DAYS if doctor.number == DEMO_DOCTOR else range(-PAST_DAYS, COMING_DAYS)
        day = self._world.today + timedelta(days=rng.choice(days))
        windows = [w for w in practice.windows if w.weekday == day.isoweekday()]
        if not windows:
            return practice, day, -1
        return practice, day, rng.choice(starts(rng.choice(windows), practice.minutes))

    def _visit(
        self, rng: random.Random, doctor: Doctor, practice: Practice, day: date, minute: int
    ) -> Visit | None:
        """Make the visit and note what it takes; None when no patient is free then."""
        start, end = instants(self._world, doctor, practice, day, minute)
        earliest = min(start, self._world.now) - timedelta(days=MOST_DAYS_AHEAD)
        decided = doctor.licence.decide_time
        if decided is None or decided > earliest:
            return None
        someone = self._free_patient(rng, doctor, start, end, earliest)
        if someone is None:
            return None
        self._taken.add((doctor.number, day, minute))
        self._busy[someone.user_id].append((start, end))
        past = end <= self._world.now
        status = PAST.pick(rng) if past else COMING.pick(rng)
        return self._told(rng, doctor, practice, someone, start, end, status)

    def _told(
        self,
        rng: random.Random,
        doctor: Doctor,
        practice: Practice,
        someone: Person,
        start: datetime,
        end: datetime,
        status: str,
    ) -> Visit:
        """Add how the visit came about and what became of it."""
        now = self._world.now
        created = min(start, now) - timedelta(days=rng.uniform(0.2, MOST_DAYS_AHEAD))
        called_off = status == "cancelled"
        settled = end if status in {"completed", "no_show"} else created
        decided = created + (min(start, now) - created) * rng.random() if called_off else settled
        confirmed = (
            created + timedelta(hours=1.5) if rng.random() < 0.6 and not called_off else None
        )
        return Visit(
            number=next(self._numbers),
            doctor=doctor,
            practice=practice,
            visit_type=rng.choices(practice.visit_types, (3, 1)[: len(practice.visit_types)])[0],
            patient=someone,
            dependant=self._who_comes(someone),
            start=start,
            end=end,
            status=status,
            reason=rng.choice(REASONS),
            cancelled_by=rng.choice(("patient", "patient", "clinic")) if called_off else None,
            cancel_reason=rng.choice(CANCEL_REASONS) if called_off else "",
            create_time=created,
            confirm_time=confirmed,
            decide_time=max(decided, confirmed) if confirmed else decided,
        )

    def _who_comes(self, someone: Person) -> Dependant | None:
        """Say who is treated: of those who have a dependant, that one every third time."""
        self._visits_of[someone.user_id] += 1
        third = self._visits_of[someone.user_id] % 3 == 0
        return self._dependant_of.get(someone.user_id) if third else None

    def _free_patient(
        self,
        rng: random.Random,
        doctor: Doctor,
        start: datetime,
        end: datetime,
        earliest: datetime,
    ) -> Person | None:
        """Choose a patient, of the same city if possible, who had joined by then and has time."""
        pool = self._neighbours.get(doctor.person.city) or self.patients
        if self._wants_demo_patient(doctor, start):
            pool = [self.patients[DEMO_PATIENT]]
        for everyone in (False,) * 8 + (True,) * 8:
            one = rng.choice(self.patients if everyone else pool)
            free = all(end <= b or start >= e for b, e in self._busy[one.user_id])
            if free and one.create_time < earliest:
                return one
        return None

    def _wants_demo_patient(self, doctor: Doctor, start: datetime) -> bool:
        """Say whether the demo patient, who lives in the first city, should have this visit.

        The answer is yes a few times for past and coming ones, once each with any doctor.
        """
        if DEMO_PATIENT not in self._chunk.patients or doctor.person.city != 0:
            return False
        coming = start > self._world.now
        had = self._demo_visits[coming]
        if doctor.number in had or len(had) == DEMO_VISITS[coming]:
            return False
        had.add(doctor.number)
        return True


def spread_missing(wanted: Counter[int]) -> None:
    """Ask other doctors, one visit each, for what some had no room for."""
    numbers = sorted(wanted)
    missing = wanted.total()
    wanted.clear()
    for turn in range(missing):
        wanted[numbers[turn * 7 % len(numbers)]] += 1


def fill_demo_calendar(wanted: Counter[int]) -> None:
    """Move visits from other doctors, one of each, to the demo doctor."""
    missing = min(DEMO_SHARE, wanted.total() // 4) - wanted[DEMO_DOCTOR]
    for number in sorted(wanted, reverse=True):
        if missing > 0 and wanted[number] > 1 and number != DEMO_DOCTOR:
            wanted[number] -= 1
            wanted[DEMO_DOCTOR] += 1
            missing -= 1


def instants(
    world: World, doctor: Doctor, practice: Practice, day: date, minute: int
) -> tuple[datetime, datetime]:
    """Turn a local day and minute of the doctor's city into the visit's start and end."""
    zone = world.cities[doctor.person.city].zone
    local = datetime.combine(day, time(minute // 60, minute % 60), zone)
    start = local.astimezone(UTC)
    return start, start + timedelta(minutes=practice.minutes)
