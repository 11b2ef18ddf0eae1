"""Rows put straight into the tables by the owner, and a servicer behind the guard to look at them.

For what no call can make quickly: the past, other people's things, states in between.
"""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any
from uuid import UUID, uuid4

from prometheus_client import CollectorRegistry

from server.core import log, rpc
from server.core.access import Caller
from server.core.channel import InProcessChannel
from server.core.errors import Unauthenticated
from server.core.metrics import CallMetrics

Connection = Any  # asyncpg.Connection, which is generic for its stubs only
NOW = datetime(2026, 7, 3, 5, 0, tzinfo=UTC)


@dataclass(frozen=True)
class Practice:
    """A verified doctor at a clinic in Kolkata, with one visit type of 30 minutes."""

    doctor_id: UUID
    clinic_id: UUID
    practice_id: UUID
    visit_type_id: UUID
    currency: str


async def add(owner: Connection, table: str, **values: Any) -> None:
    """Insert one row."""
    columns = ", ".join(values)
    places = ", ".join(f"${number}" for number in range(1, len(values) + 1))
    insert = f"INSERT INTO {table} ({columns}) VALUES ({places})"
    await owner.execute(insert, *values.values())


async def add_person(owner: Connection, role: str = "patient", **values: Any) -> UUID:
    """Add an account and answer its id."""
    user_id = uuid4()
    usual = {"email": f"{user_id}@mail.example", "full_name": "Asha Rao", "role": role}
    await add(owner, "user_account", user_id=user_id, **(usual | values))
    return user_id


async def add_doctor(owner: Connection, *, status: str = "verified", **values: Any) -> UUID:
    """Add a doctor's account and profile and answer the id of both."""
    doctor_id = await add_person(owner, "doctor", full_name="Dr. Meera Iyer")
    usual = {
        "full_name": "Dr. Meera Iyer",
        "qualifications": "MBBS",
        "practising_since": 2010,
        "languages": ["en"],
        "verification_status": status,
    }
    await add(owner, "doctor_profile", doctor_id=doctor_id, **(usual | values))
    return doctor_id


async def add_clinic(owner: Connection, *, currency: str = "INR") -> UUID:
    """Add a clinic and its city and answer the clinic's id."""
    city, clinic = uuid4(), uuid4()
    place = {"latitude": 22.57, "longitude": 88.36, "time_zone": "Asia/Kolkata"}
    city_row = {"slug": f"kolkata-{city}", "name": "Kolkata", "region": "West Bengal"}
    await add(
        owner, "city", city_id=city, country_code="IN", population=4_500_000, **city_row, **place
    )
    clinic_row = {"kind": "clinic", "name": "Lake Clinic", "address": "1 Lake Road"}
    ids = {"clinic_id": clinic, "city_id": city}
    await add(owner, "clinic", currency_code=currency, **ids, **clinic_row, **place)
    return clinic


async def add_practice(owner: Connection, *, currency: str = "INR") -> Practice:
    """Add a doctor at a clinic of their own."""
    doctor, clinic = await add_doctor(owner), await add_clinic(owner, currency=currency)
    made = Practice(doctor, clinic, uuid4(), uuid4(), currency)
    ids = {"doctor_id": doctor, "clinic_id": clinic, "practice_id": made.practice_id}
    await add(owner, "practice", fee=Decimal(500), **ids)
    await add(
        owner,
        "visit_type",
        visit_type_id=made.visit_type_id,
        practice_id=made.practice_id,
        name="Visit",
        length_minutes=30,
        interval_minutes=30,
        price=Decimal(500),
    )
    return made


async def add_visit(
    owner: Connection, at: Practice, patient: UUID, *, start: datetime = NOW, **values: Any
) -> UUID:
    """Add an appointment and answer its id; booked, unless `values` say otherwise."""
    appointment_id = uuid4()
    usual = {
        "status": "booked",
        "price": Decimal(500),
        "local_date": (start + timedelta(hours=5, minutes=30)).date(),
        "end_time": start + timedelta(minutes=30),
    }
    await add(
        owner,
        "appointment",
        appointment_id=appointment_id,
        clinic_id=at.clinic_id,
        practice_id=at.practice_id,
        doctor_id=at.doctor_id,
        patient_id=patient,
        visit_type_id=at.visit_type_id,
        visit_type_name="Visit",
        start_time=start,
        currency_code=at.currency,
        **(usual | values),
    )
    return appointment_id


class Served:
    """A servicer behind the guard; a token is a role and a user id."""

    def __init__(self, add_to_server: Any, servicer: Any, stub: Any) -> None:
        self.registry = rpc.Registry(
            _authenticate, logger=log.logger("CRITICAL"), metrics=CallMetrics(CollectorRegistry())
        )
        add_to_server(servicer, self.registry)
        self._stub = stub(InProcessChannel(self.registry))

    async def call(self, name: str, request: Any, *, by: tuple[str, UUID] | None = None) -> Any:
        """Call an RPC as a role and user id; as nobody without."""
        metadata = [("authorization", f"Bearer {by[0]} {by[1]}")] if by else []
        return await getattr(self._stub, name)(request, metadata=metadata)


async def _authenticate(token: str) -> Caller:
    role, _, user_id = token.partition(" ")
    if not role or not user_id:
        raise Unauthenticated
    return Caller(UUID(user_id), role, uuid4())
