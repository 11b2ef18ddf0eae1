"""People, clinics and doctors for tests, and the services behind the guard to call as them.

Rows are written as the people whose they are, under row-level security, so that it works on the
database that is rolled back as well as on the one that commits.
"""

from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any
from uuid import UUID, uuid4
from zoneinfo import ZoneInfo

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from prometheus_client import CollectorRegistry
from sqlalchemy import bindparam, insert, update

from carelane.admin.v1 import admin_service_pb2 as admin_pb
from carelane.admin.v1 import admin_service_pb2_grpc
from carelane.appointment.v1 import appointment_service_pb2 as appointment_pb
from carelane.appointment.v1 import appointment_service_pb2_grpc
from carelane.audit.v1 import audit_service_pb2 as audit_pb
from carelane.audit.v1 import audit_service_pb2_grpc
from carelane.availability.v1 import availability_service_pb2 as availability_pb
from carelane.availability.v1 import availability_service_pb2_grpc
from carelane.calendar.v1 import calendar_service_pb2 as calendar_pb
from carelane.calendar.v1 import calendar_service_pb2_grpc
from carelane.directory.v1 import directory_service_pb2 as directory_pb
from carelane.directory.v1 import directory_service_pb2_grpc
from carelane.key.v1 import key_service_pb2 as key_pb
from carelane.key.v1 import key_service_pb2_grpc
from carelane.patient.v1 import dependant_pb2, patient_service_pb2_grpc
from carelane.patient.v1 import patient_service_pb2 as patient_pb
from carelane.queue.v1 import queue_service_pb2 as queue_pb
from carelane.queue.v1 import queue_service_pb2_grpc
from carelane.waitlist.v1 import waitlist_service_pb2 as waitlist_pb
from carelane.waitlist.v1 import waitlist_service_pb2_grpc
from server.account.verified import VerifiedEmail
from server.admin.servicer import AdminServicer
from server.appointment.servicer import AppointmentServicer
from server.audit.servicer import AuditServicer
from server.auth.attempts import Attempts
from server.auth.authenticator import Authenticator
from server.auth.limits import Limits
from server.auth.models import UserAccount
from server.auth.tokens import SigningKey, Tokens
from server.availability import edit
from server.availability import service as availability
from server.availability.hours import Rule, Window
from server.availability.servicer import AvailabilityServicer
from server.calendar.feeds import Secrets
from server.calendar.servicer import CalendarServicer
from server.core import log, rpc, wire
from server.core.access import Caller
from server.core.channel import InProcessChannel
from server.core.db import Database, sql
from server.core.errors import Unauthenticated
from server.core.metrics import CallMetrics
from server.core.paging import Pager
from server.directory.models import (
    City,
    Clinic,
    ClinicMember,
    DoctorProfile,
    Practice,
    VisitType,
)
from server.directory.servicer import DirectoryServicer
from server.key.exchange import LiveKeys
from server.key.secret import SecretHashes
from server.key.servicer import KeyServicer, Means
from server.patient.servicer import PatientServicer
from server.queue.servicer import QueueServicer
from server.waitlist.servicer import WaitlistServicer

ROLES = ("patient", "doctor", "staff", "admin")


def _insert(table: Any, *columns: str) -> Any:
    """Compile an INSERT whose parameters are called v_<column>."""
    return sql(insert(table).values({name: bindparam(f"v_{name}") for name in columns}))


_USER = _insert(UserAccount, "user_id", "email", "full_name", "phone", "role")
_CLINIC = _insert(
    Clinic, "clinic_id", "kind", "name", "address", "city_id", "time_zone", "currency_code"
)
_MEMBER = _insert(ClinicMember, "clinic_id", "user_id", "role")
_PROFILE = _insert(
    DoctorProfile, "doctor_id", "full_name", "qualifications", "practising_since", "languages"
)
_VERIFY = sql(
    update(DoctorProfile)
    .where(DoctorProfile.doctor_id == bindparam("doctor"))
    .values(verification_status="verified")
)
_PRACTICE = _insert(Practice, "practice_id", "doctor_id", "clinic_id", "fee")
_VISIT_TYPE = _insert(
    VisitType,
    "visit_type_id",
    "practice_id",
    "name",
    "length_minutes",
    "buffer_before_minutes",
    "buffer_after_minutes",
    "interval_minutes",
    "offset_minutes",
    "notice_minutes",
    "horizon_days",
    "capacity",
    "price",
    "is_default",
    "day_visits",
)
NINE_TO_FIVE = tuple(Rule(weekday, Window(9 * 60, 17 * 60)) for weekday in range(1, 8))
VISIT = {
    "name": "Consultation",
    "length_minutes": 30,
    "buffer_before_minutes": 0,
    "buffer_after_minutes": 0,
    "interval_minutes": 30,
    "offset_minutes": 0,
    "notice_minutes": 0,
    "horizon_days": 60,
    "capacity": 1,
    "price": Decimal("500"),
    "is_default": True,
    "day_visits": None,
}


@dataclass(frozen=True)
class Person:
    """Somebody with an account; `token` signs them in."""

    user_id: UUID
    role: str

    @property
    def caller(self) -> Caller:
        return Caller(self.user_id, self.role)

    @property
    def token(self) -> str:
        return f"{self.role}:{self.user_id}"


@dataclass(frozen=True)
class PracticeOf:
    """A doctor's practice at a clinic."""

    doctor: Person
    owner: Person
    clinic_id: UUID
    practice_id: UUID
    visit_type_id: UUID
    zone: ZoneInfo

    def at(self, day: date, hour: int, minute: int = 0) -> datetime:
        """Answer the instant of a local time at the clinic."""
        return datetime(day.year, day.month, day.day, hour, minute, tzinfo=self.zone)


@dataclass
class World:
    """The services on one database, and what has been put into it."""

    db: Database
    city_id: UUID
    channel: InProcessChannel = field(init=False)

    def __post_init__(self) -> None:
        pager = Pager(b"a secret for the pages of tests")
        logger = log.logger("ERROR")
        self.gate = VerifiedEmail(self.db, required=False)
        self.tokens = Tokens(
            [SigningKey("k1", Ed25519PrivateKey.generate())],
            issuer="https://carelane.example",
            audience="carelane",
            clock=self.db.clock,
        )
        self.authenticator = Authenticator(self.db, self.tokens, check_key=LiveKeys(self.db))
        attempts = Attempts(Limits(self.db.clock, logger))
        registry = rpc.Registry(
            self.authenticate, logger=logger, metrics=CallMetrics(CollectorRegistry())
        )
        availability_service_pb2_grpc.add_AvailabilityServiceServicer_to_server(
            AvailabilityServicer(self.db, pager), registry
        )
        appointment_service_pb2_grpc.add_AppointmentServiceServicer_to_server(
            AppointmentServicer(self.db, pager, admit=self.gate), registry
        )
        waitlist_service_pb2_grpc.add_WaitlistServiceServicer_to_server(
            WaitlistServicer(self.db, pager, admit=self.gate), registry
        )
        calendar_service_pb2_grpc.add_CalendarServiceServicer_to_server(
            CalendarServicer(self.db, Secrets(b"a secret for the feeds of tests")), registry
        )
        directory_service_pb2_grpc.add_DirectoryServiceServicer_to_server(
            DirectoryServicer(
                self.db,
                pager,
                attempts,
                next_free=availability.next_free,
                open_calendar=availability.open_calendar,
            ),
            registry,
        )
        queue_service_pb2_grpc.add_QueueServiceServicer_to_server(QueueServicer(self.db), registry)
        patient_service_pb2_grpc.add_PatientServiceServicer_to_server(
            PatientServicer(self.db, pager), registry
        )
        audit_service_pb2_grpc.add_AuditServiceServicer_to_server(
            AuditServicer(self.db, pager), registry
        )
        admin_service_pb2_grpc.add_AdminServiceServicer_to_server(
            AdminServicer(self.db, pager), registry
        )
        hashes = SecretHashes([b"a secret for the keys of tests"])
        means = Means(self.authenticator, self.tokens, attempts, pager, hashes)
        key_service_pb2_grpc.add_KeyServiceServicer_to_server(KeyServicer(self.db, means), registry)
        self.channel = InProcessChannel(registry)
        self._services = (
            (appointment_pb, appointment_service_pb2_grpc.AppointmentServiceStub(self.channel)),
            (waitlist_pb, waitlist_service_pb2_grpc.WaitlistServiceStub(self.channel)),
            (calendar_pb, calendar_service_pb2_grpc.CalendarServiceStub(self.channel)),
            (patient_pb, patient_service_pb2_grpc.PatientServiceStub(self.channel)),
            (directory_pb, directory_service_pb2_grpc.DirectoryServiceStub(self.channel)),
            (availability_pb, availability_service_pb2_grpc.AvailabilityServiceStub(self.channel)),
            (audit_pb, audit_service_pb2_grpc.AuditServiceStub(self.channel)),
            (admin_pb, admin_service_pb2_grpc.AdminServiceStub(self.channel)),
            (key_pb, key_service_pb2_grpc.KeyServiceStub(self.channel)),
            (queue_pb, queue_service_pb2_grpc.QueueServiceStub(self.channel)),
        )

    async def authenticate(self, token: str) -> Caller:
        """Know people by what they say, and keys by their real tokens."""
        return await (self.authenticator(token) if "." in token else _authenticate(token))

    async def call(
        self, rpc_name: str, person: Person | None = None, *, call_id: str = "", **fields: Any
    ) -> Any:
        """Call an RPC as somebody; UUIDs are written, instants and dates converted.

        `call_id` names the call in the audit.
        """
        for messages, stub in self._services:
            if hasattr(stub, rpc_name):
                request = getattr(messages, f"{rpc_name}Request")(**_converted(fields))
                metadata = [("authorization", f"Bearer {person.token}")] if person else []
                metadata += [("x-request-id", call_id)] if call_id else []
                return await getattr(stub, rpc_name)(request, metadata=metadata)
        raise LookupError(rpc_name)

    async def person(self, role: str = "patient", name: str = "Asha Rao") -> Person:
        made = Person(uuid4(), role)
        async with self.db.transaction(made.caller) as tx:
            await tx.run(
                _USER,
                v_user_id=made.user_id,
                v_email=f"{made.user_id.hex}@mail.example",
                v_full_name=name,
                v_phone="+918047101000",
                v_role="doctor" if role == "doctor" else "patient",
            )
        return made

    async def practice(
        self,
        *,
        doctor: Person | None = None,
        at: PracticeOf | None = None,
        zone: str = "Asia/Kolkata",
        rules: tuple[Rule, ...] = NINE_TO_FIVE,
        overrides: dict[date, tuple[Window, ...]] | None = None,
        verified: bool = True,
        **visit: Any,
    ) -> PracticeOf:
        """Open a clinic with its owner, and a practice of a doctor there, with hours.

        With `at` it is at the clinic of another practice.
        """
        owner = at.owner if at else await self.person("staff", "Omar Owner")
        clinic_id = at.clinic_id if at else await self._clinic(owner, zone)
        if doctor is None:
            doctor = await self._doctor(verified=verified)
        await self.member(owner, clinic_id, doctor, "doctor")
        made = PracticeOf(doctor, owner, clinic_id, uuid4(), uuid4(), ZoneInfo(zone))
        await self._open(made, VISIT | visit)
        async with self.db.transaction(doctor.caller) as tx:
            old = await edit.find_hours(tx, made.practice_id)
            await edit.set_hours(tx, old, rules, overrides or {}, allow_stranded=False)
        return made

    async def member(self, owner: Person, clinic_id: UUID, person: Person, role: str) -> None:
        async with self.db.transaction(owner.caller) as tx:
            await tx.run(_MEMBER, v_clinic_id=clinic_id, v_user_id=person.user_id, v_role=role)

    async def front_desk(self, practice: PracticeOf) -> Person:
        """Let somebody who registered as a patient work at the clinic's front desk."""
        made = await self.person(name="Farah Desk")
        await self.member(practice.owner, practice.clinic_id, made, "front_desk")
        return made

    async def dependant(self, guardian: Person, name: str = "Kiran Rao") -> str:
        """Add a child of somebody, and answer its id as a patient."""
        fields = {"full_name": name, "relation": dependant_pb2.RELATION_CHILD}
        answer = await self.call("AddDependant", guardian, request_id=uuid4(), **fields)
        return str(answer.dependant.patient_id)

    async def book(
        self, patient: Person, practice: PracticeOf, start: datetime, **more: Any
    ) -> Any:
        """Book, and answer the appointment."""
        fields = {"request_id": uuid4(), "practice_id": practice.practice_id, "start_time": start}
        return (await self.call("BookAppointment", patient, **(fields | more))).appointment

    async def _clinic(self, owner: Person, zone: str) -> UUID:
        clinic_id = uuid4()
        async with self.db.transaction(owner.caller) as tx:
            await tx.run(
                _CLINIC,
                v_clinic_id=clinic_id,
                v_kind="clinic",
                v_name="Lakeside Clinic",
                v_address="1 Lake Road",
                v_city_id=self.city_id,
                v_time_zone=zone,
                v_currency_code="INR",
            )
            await tx.run(_MEMBER, v_clinic_id=clinic_id, v_user_id=owner.user_id, v_role="owner")
        return clinic_id

    async def _doctor(self, *, verified: bool) -> Person:
        doctor = await self.person("doctor", "Dr. Meera Nair")
        async with self.db.transaction(doctor.caller) as tx:
            await tx.run(
                _PROFILE,
                v_doctor_id=doctor.user_id,
                v_full_name="Dr. Meera Nair",
                v_qualifications="MBBS",
                v_practising_since=2010,
                v_languages=["en"],
            )
            await availability.open_calendar(tx, doctor.user_id)
        if verified:
            async with self.db.transaction(Caller(uuid4(), "admin")) as tx:
                await tx.run(_VERIFY, doctor=doctor.user_id)
        return doctor

    async def _open(self, practice: PracticeOf, visit: dict[str, Any]) -> None:
        async with self.db.transaction(practice.doctor.caller) as tx:
            await tx.run(
                _PRACTICE,
                v_practice_id=practice.practice_id,
                v_doctor_id=practice.doctor.user_id,
                v_clinic_id=practice.clinic_id,
                v_fee=visit["price"],
            )
            await tx.run(
                _VISIT_TYPE,
                v_visit_type_id=practice.visit_type_id,
                v_practice_id=practice.practice_id,
                **{f"v_{name}": value for name, value in visit.items()},
            )


async def new_city(owner_connection: Any) -> UUID:
    """Write a city as the owner: cities are reference data."""
    city_id = uuid4()
    columns = ("slug", "name", "region", "country_code", "time_zone")
    values = (f"city-{city_id.hex}", "Kochi", "Kerala", "IN", "Asia/Kolkata")
    assert set(columns) < {column.key for column in City.__table__.c}
    await owner_connection.execute(
        f"INSERT INTO city (city_id, {', '.join(columns)}, latitude, longitude, population)"
        " VALUES ($1, $2, $3, $4, $5, $6, 9.93, 76.26, 600000)",
        city_id,
        *values,
    )
    return city_id


def tomorrow(practice: PracticeOf, now: datetime | None = None) -> date:
    """Answer the day after today at the clinic."""
    return ((now or datetime.now(UTC)).astimezone(practice.zone) + timedelta(days=1)).date()


async def _authenticate(token: str) -> Caller:
    role, _, user_id = token.partition(":")
    if role not in ROLES:
        raise Unauthenticated
    return Caller(UUID(user_id), role)


def _converted(fields: dict[str, Any]) -> dict[str, Any]:
    return {name: _plain(value) for name, value in fields.items() if value is not None}


def _plain(value: Any) -> Any:
    if isinstance(value, datetime):
        return wire.from_time(value)
    if isinstance(value, date):
        return wire.from_date(value)
    return str(value) if isinstance(value, UUID) else value
