"""Every RPC that changes something leaves an audit row, and tells whom it concerns."""

from collections.abc import AsyncIterator
from datetime import UTC, timedelta
from typing import Any
from uuid import UUID, uuid4

import pytest
from google.protobuf import descriptor_pool
from google.protobuf.descriptor_pb2 import MethodOptions
from google.protobuf.message_factory import GetMessageClass
from google.protobuf.timestamp_pb2 import Timestamp
from google.type.timeofday_pb2 import TimeOfDay
from prometheus_client import CollectorRegistry

from carelane.admin.v1 import admin_service_pb2
from carelane.auth.v1 import user_pb2
from carelane.availability.v1 import availability_pb2, visit_type_pb2
from carelane.directory.v1 import clinic_pb2
from carelane.patient.v1 import dependant_pb2
from launch.postgres import EmbeddedPostgres
from server import app as apps
from server import work
from server.account.tokens import ProofTokens
from server.app import App
from server.core import log
from server.core.channel import InProcessChannel
from server.core.clock import MovableClock
from server.core.db import Database
from server.core.outbox import OutboxMetrics, Relay
from server.factor import totp
from server.settings import Settings
from server.waitlist import jobs as waitlist
from tests.factor.device import Passkey
from tests.rows import add, add_clinic

PASSWORD = "correct horse battery"
# An exchange of tokens changes nothing that a person did: the session's opening is audited.
NOT_AUDITED = {"carelane.auth.v1.AuthService.RefreshToken"}


class Walk:
    """Calls of the whole platform, each with the number of audit rows that it left."""

    def __init__(self, app: App, owner: Any, clock: MovableClock, began: UUID) -> None:
        self.app = app
        self.owner = owner
        self.clock = clock
        self.left: dict[str, int] = {}
        self._began = began
        self._channel = InProcessChannel(app.registry)

    async def call(self, name: str, token: str = "", /, **fields: Any) -> Any:
        """Call `domain.Method` and note the audit rows."""
        domain, _, method_name = name.partition(".")
        service = f"carelane.{domain}.v1.{domain.title()}Service"
        method = descriptor_pool.Default().FindMethodByName(f"{service}.{method_name}")
        request_type = GetMessageClass(method.input_type)
        if "request_id" in method.input_type.fields_by_name:
            fields = {"request_id": str(uuid4()), **fields}
        call = self._channel.unary_unary(
            f"/{service}/{method_name}",
            request_serializer=request_type.SerializeToString,
            response_deserializer=GetMessageClass(method.output_type).FromString,
        )
        before = await self._audit_rows()
        metadata = [("authorization", f"Bearer {token}")] if token else []
        answer = await call(request_type(**fields), metadata=metadata)
        self.left[f"{service}.{method_name}"] = await self._audit_rows() - before
        return answer

    async def audited_without_request(self) -> list[str]:
        """Answer the actions since the beginning whose rows do not name their request."""
        query = "SELECT action FROM audit WHERE request_id IS NULL AND audit_id > $1"
        return [row["action"] for row in await self.owner.fetch(query, self._began)]

    async def register(self, role: Any, name: str) -> tuple[str, UUID]:
        """Register somebody and answer the address and the id."""
        email = f"{uuid4().hex}@mail.example"
        await self.call("auth.Register", email=email, password=PASSWORD, full_name=name, role=role)
        query = "SELECT user_id FROM user_account WHERE email = $1"
        return email, await self.owner.fetchval(query, email)

    async def login(self, email: str, password: str = PASSWORD) -> Any:
        return (await self.call("auth.Login", email=email, password=password)).session

    async def _audit_rows(self) -> int:
        return int(await self.owner.fetchval("SELECT count(*) FROM audit"))


@pytest.fixture
async def walk(postgres: EmbeddedPostgres, owner: Any) -> AsyncIterator[Walk]:
    clock = MovableClock()
    settings = Settings(
        _env_file=None,
        database_url=postgres.app_dsn,
        worker_database_url=postgres.worker_dsn,
        secret_keys="a key of the tests that is long enough to be one",
        mail_folder="never written to: nobody sends here",
    )
    await owner.execute("DELETE FROM outbox")
    async with apps.opened(settings, clock=clock, logger=log.logger("CRITICAL")) as app:
        yield Walk(app, owner, clock, await owner.fetchval("SELECT new_id()"))


async def add_references(owner: Any) -> tuple[str, str]:
    """Add a city and a specialty and answer their slugs."""
    city, specialty = f"city-{uuid4()}", f"specialty-{uuid4()}"
    place = {"latitude": 22.57, "longitude": 88.36, "time_zone": "Asia/Kolkata"}
    names = {"name": "Kolkata", "region": "West Bengal", "country_code": "IN"}
    await add(owner, "city", slug=city, population=1, **names, **place)
    words = {"name": "Cardiology", "practitioner": "Cardiologist", "description": "Hearts."}
    await add(owner, "specialty", slug=specialty, **words)
    return city, specialty


def open_every_day() -> list[availability_pb2.WeeklyRule]:
    window = availability_pb2.Window(start=TimeOfDay(hours=9), end=TimeOfDay(hours=17))
    return [
        availability_pb2.WeeklyRule(day_of_week=day, window=window)
        for day in range(1, 8)  # type: ignore[misc]
    ]


async def open_practice(walk: Walk, token: str) -> Any:
    """Make a profile with a clinic, open it every day, and answer the profile."""
    city, specialty = await add_references(walk.owner)
    new_clinic = clinic_pb2.NewClinic(name="Lake Clinic", address="1 Lake Road", city=city)
    answer = await walk.call(
        "directory.UpsertDoctorProfile",
        token,
        full_name="Dr. Meera Iyer",
        specialties=[specialty],
        qualifications="MBBS",
        practising_since=2010,
        languages=["en"],
        licence_number=uuid4().hex,
        licence_council="West Bengal Medical Council",
        licence_year=2011,
        new_clinic=new_clinic,
        fee={"currency_code": "INR", "units": 500},
    )
    await walk.call("availability.SetAvailability", token, rules=open_every_day())
    practice_id = answer.profile.doctor.practices[0].practice_id
    await walk.call("appointment.SetCancelPolicy", token, practice_id=practice_id)
    return answer.profile


async def edit_rules(walk: Walk, token: str, profile: Any) -> None:
    """Change all that decides when a practice can be booked."""
    rules = visit_type_pb2.BookingRules(
        name="Talk", length_minutes=20, horizon_days=30, price={"currency_code": "INR"}
    )
    practice = {"practice_id": profile.doctor.practices[0].practice_id}
    made = await walk.call("availability.CreateVisitType", token, **practice, rules=rules)
    kept = {"visit_type_id": made.visit_type.visit_type_id}
    await walk.call("availability.UpdateVisitType", token, **kept, rules=rules)
    span = {"start_time": {"seconds": 4102444800}, "end_time": {"seconds": 4102448400}}
    added = await walk.call("availability.AddTimeOff", token, **span)
    gone = {"time_off_id": added.time_off.time_off_id}
    await walk.call("availability.RemoveTimeOff", token, **gone)
    clinic = {"clinic_id": profile.doctor.practices[0].clinic.clinic_id}
    day = {"year": 2100, "month": 1, "day": 1}
    closed = await walk.call(
        "availability.AddClosure", token, **clinic, first_date=day, last_date=day
    )
    gone = {"closure_id": closed.closure.closure_id}
    await walk.call("availability.RemoveClosure", token, **clinic, **gone)
    await walk.call("availability.SetPublicHolidays", token, **clinic)
    other = await add_clinic(walk.owner)
    await add(
        walk.owner, "practice", doctor_id=UUID(profile.doctor.doctor_id), clinic_id=other, fee=1
    )
    ways = {**clinic, "other_clinic_id": str(other), "minutes": 20}
    await walk.call("availability.SetTravelTime", token, **ways)


async def book(walk: Walk, token: str, doctor: UUID, count: int) -> list[Any]:
    """Book the first free times of a doctor, each on a day of its own."""
    slots = await walk.call("availability.GetSlots", token, doctor_id=str(doctor), days=14)
    days = slots.days[1 : count + 1]
    return [
        (
            await walk.call(
                "appointment.BookAppointment",
                token,
                practice_id=day.practice_id,
                start_time=day.slots[0].start_time,
            )
        ).appointment
        for day in days
    ]


async def make_admin(walk: Walk) -> str:
    """Register somebody, make them an administrator, and answer the access token."""
    email, user_id = await walk.register(user_pb2.ROLE_PATIENT, "Vera Roy")
    await walk.owner.execute("UPDATE user_account SET role = 'admin' WHERE user_id = $1", user_id)
    return str((await walk.login(email)).access_token)


async def follow_visits(walk: Walk, doctor: tuple[str, UUID], patient: str) -> None:
    """Book four visits, and bring them to their different ends."""
    doctor_email, doctor_id = doctor
    token = (await walk.login(patient)).access_token
    visits = [{"appointment_id": v.appointment_id} for v in await book(walk, token, doctor_id, 3)]
    await hold_and_release(walk, token, doctor_id)
    await move_there_and_back(walk, token, visits[1])
    own = (await walk.login(doctor_email)).access_token
    await walk.call("appointment.ConfirmAppointment", own, **visits[0])
    await walk.call("appointment.CancelAppointment", token, **visits[2])
    walk.clock.advance(timedelta(days=16))
    own = (await walk.login(doctor_email)).access_token
    await walk.call("appointment.CompleteAppointment", own, **visits[0])
    await walk.call("appointment.MarkNoShow", own, **visits[1])
    await walk.call("appointment.UndoNoShow", own, **visits[1])
    await walk.call("appointment.MarkNoShow", own, **visits[1])


async def run_queue(walk: Walk, doctor: tuple[str, UUID], patient: str) -> None:
    """Check patients in on two days, and call one in turn and one out of turn."""
    for call in ("CallNext", "StartConsultation"):
        token = (await walk.login(patient)).access_token
        (visit,) = await book(walk, token, doctor[1], 1)
        walk.clock.set(visit.start_time.ToDatetime(UTC))
        own = (await walk.login(doctor[0])).access_token
        named = {"appointment_id": visit.appointment_id}
        await walk.call("queue.CheckIn", own, **named)
        at = {"practice_id": visit.practice_id}
        await walk.call("queue.SetQueueSettings", own, **at, no_show_grace_minutes=45)
        await walk.call("queue.RunningLate", own, **at, late_minutes=20)
        await walk.call(f"queue.{call}", own, **(at if call == "CallNext" else named))


async def hold_and_release(walk: Walk, token: str, doctor_id: UUID) -> None:
    """Hold a free time and give it back."""
    slots = await walk.call("availability.GetSlots", token, doctor_id=str(doctor_id))
    time = {
        "practice_id": slots.days[-1].practice_id,
        "start_time": slots.days[-1].slots[0].start_time,
    }
    held = await walk.call("appointment.HoldSlot", token, **time)
    await walk.call("appointment.ReleaseHold", token, hold_id=held.hold.hold_id)


async def move_there_and_back(walk: Walk, token: str, visit: dict[str, str]) -> None:
    """Move a visit by half an hour, and back."""
    found = await walk.call("appointment.GetAppointment", token, **visit)
    first = found.appointment.start_time
    later = Timestamp(seconds=first.seconds + 1800)
    for start in (later, first):
        await walk.call("appointment.RescheduleAppointment", token, **visit, start_time=start)


async def book_several(walk: Walk, email: str, doctor_id: UUID) -> None:
    """Book a family of one, and a series."""
    token = (await walk.login(email)).access_token
    slots = await walk.call("availability.GetSlots", token, doctor_id=str(doctor_id))
    day = slots.days[-1]
    starts = [slot.start_time for slot in day.slots]
    family = [{"practice_id": day.practice_id, "start_time": starts[0]}]
    await walk.call("appointment.BookFamily", token, visits=family)
    series = {"practice_id": day.practice_id, "start_time": starts[1]}
    await walk.call("appointment.BookSeries", token, every_weeks=1, visit_count=2, **series)


async def change_members(walk: Walk, doctor_email: str, clinic_id: str, new: str) -> None:
    """Let somebody work at the clinic, in two roles, and no more."""
    token = (await walk.login(doctor_email)).access_token
    at = {"clinic_id": clinic_id}
    added = await walk.call(
        "directory.AddClinicMember", token, **at, email=new, role=clinic_pb2.CLINIC_ROLE_FRONT_DESK
    )
    member = {**at, "user_id": added.member.user_id}
    await walk.call(
        "directory.UpdateClinicMember", token, **member, role=clinic_pb2.CLINIC_ROLE_MANAGER
    )
    await walk.call("directory.RemoveClinicMember", token, **member)


async def keep_keys(walk: Walk, clinic_id: str, owner: str) -> None:
    """Make a key, exchange it, give it another secret, and revoke it."""
    token = (await walk.login(owner)).access_token
    new = {"name": "Desk", "scopes": ["schedule.read"]}
    made = await walk.call("key.CreateKey", token, clinic_id=clinic_id, **new)
    named = {"key_id": made.key.key_id}
    await walk.call("key.ExchangeKey", **named, secret=made.secret)
    await walk.call("key.RotateKey", token, **named)
    await walk.call("key.RevokeKey", token, **named)


async def deliver(postgres: EmbeddedPostgres, clock: MovableClock) -> None:
    """Deliver everything that waits, as the workers do."""
    database = await Database.connect(postgres.worker_dsn, clock, size=1)
    metrics = OutboxMetrics(CollectorRegistry())
    relay = Relay(work._together(work.HANDLERS), logger=log.logger("CRITICAL"), metrics=metrics)
    while await relay.deliver(database):
        pass
    await database.close()


async def prove(walk: Walk, postgres: EmbeddedPostgres, email: str, purpose: str) -> str:
    """Answer the newest token that an account was sent."""
    return tokens(walk).token(purpose, await proof_of(walk, postgres, email, purpose))


def tokens(walk: Walk) -> ProofTokens:
    return ProofTokens(walk.app.parts.settings.keys.derive("account proof"))


async def proof_of(walk: Walk, postgres: EmbeddedPostgres, email: str, purpose: str) -> UUID:
    """Do the background work, and answer the newest proof that an account was asked for."""
    await deliver(postgres, walk.clock)
    found: UUID = await walk.owner.fetchval(
        "SELECT proof_id FROM account_proof p JOIN user_account u USING (user_id)"
        " WHERE u.email = $1 AND purpose = $2 ORDER BY p.create_time DESC LIMIT 1",
        email,
        purpose,
    )
    return found


async def prove_address(walk: Walk, postgres: EmbeddedPostgres, email: str) -> None:
    """Verify the address of an account, and reset its password to what it was."""
    await walk.call("account.ResendVerification", (await walk.login(email)).access_token)
    token = await prove(walk, postgres, email, "verify_email")
    await walk.call("account.VerifyEmail", token=token)
    await walk.call("account.RequestPasswordReset", email=email)
    token = await prove(walk, postgres, email, "reset_password")
    await walk.call("account.ResetPassword", token=token, new_password=PASSWORD)
    signed_in = (await walk.login(email)).access_token
    new = f"{uuid4().hex}@mail.example"
    await walk.call("account.RequestEmailChange", signed_in, new_email=new)
    token = await prove(walk, postgres, email, "change_email")
    await walk.call("account.ConfirmEmailChange", token=token)
    await walk.owner.execute("UPDATE user_account SET email = $1 WHERE email = $2", email, new)
    await walk.call("account.RequestPhoneCode", signed_in, phone="+91 98200 12345")
    code = await proof_of(walk, postgres, email, "verify_phone")
    await walk.call("account.ConfirmPhoneCode", signed_in, code=tokens(walk).code(code))


async def wait_for_times(walk: Walk, postgres: EmbeddedPostgres, patient: str) -> None:
    """Wait for a time of the practice, refuse one, accept the next, and wait again in vain."""
    token = (await walk.login(patient)).access_token
    visits = (await walk.call("appointment.ListAppointments", token)).appointments
    until = walk.clock.now().date() + timedelta(days=60)
    day = {"year": until.year, "month": until.month, "day": until.day}
    wish = {"practice_id": visits[0].practice_id, "until_date": day}
    for answer in ("DeclineOffer", "AcceptOffer", ""):
        if answer != "AcceptOffer":
            await walk.call("waitlist.JoinWaitlist", token, **wish)
        await make_offers(postgres, walk.clock)
        (entry,) = (await walk.call("waitlist.ListMyWaitlist", token)).entries
        if answer:
            await walk.call(f"waitlist.{answer}", token, offer_id=entry.offer.offer_id)
        else:
            await walk.call("waitlist.LeaveWaitlist", token, entry_id=entry.entry_id)


async def make_offers(postgres: EmbeddedPostgres, clock: MovableClock) -> None:
    """Offer free times to who waits, as the workers do."""
    await deliver(postgres, clock)
    database = await Database.connect(postgres.worker_dsn, clock, size=1)
    while await waitlist.offer(database):
        pass
    await database.close()


async def told(owner: Any, user_id: UUID) -> list[str]:
    rows = await owner.fetch("SELECT kind FROM notification WHERE user_id = $1", user_id)
    return sorted(row["kind"] for row in rows)


async def change_account(walk: Walk, email: str) -> None:
    """Change all that a person may change of their own account, and leave."""
    session = await walk.login(email)
    session = (await walk.call("auth.RefreshToken", refresh_token=session.refresh_token)).session
    token = session.access_token
    await walk.call("auth.UpdateProfile", token, full_name="Asha Roy")
    await walk.call(
        "auth.ChangePassword", token, current_password=PASSWORD, new_password=PASSWORD[::-1]
    )
    added = await walk.call(
        "patient.AddDependant",
        token,
        full_name="Kiran Roy",
        relation=dependant_pb2.RELATION_CHILD,
    )
    await walk.call("patient.EndDependant", token, patient_id=added.dependant.patient_id)
    await walk.call("notification.MarkNotificationsRead", token, all=True)
    await walk.call("calendar.RotateCalendarFeed", token)
    await walk.call("calendar.RevokeCalendarFeed", token)
    await walk.call("auth.Reauthenticate", token, password=PASSWORD[::-1])
    other = await walk.login(email, PASSWORD[::-1])
    await walk.call("auth.RevokeSession", token, session_id=other.session_id)
    await use_factors(walk, email, token)
    await walk.call("auth.Logout", token)


async def end_account(walk: Walk) -> None:
    """End an account that nobody counts on."""
    email, _ = await walk.register(user_pb2.ROLE_PATIENT, "Asha Rao")
    await walk.call("account.DeleteAccount", (await walk.login(email)).access_token)


async def use_factors(walk: Walk, email: str, token: str) -> None:
    """Add an app and a passkey, sign in with one of them, and remove it."""
    added = await walk.call("factor.AddTotp", token, name="Phone")
    code = totp.code(added.secret, walk.clock.now())
    await walk.call("factor.ConfirmTotp", token, factor_id=added.factor_id, code=code)
    passkey = Passkey(walk.app.parts.settings.web_url)
    options = (await walk.call("factor.BeginPasskey", token)).options
    made = passkey.create(options)
    await walk.call("factor.AddPasskey", token, name="Key", credential=made)
    await walk.call("factor.RenewRecoveryCodes", token)
    login = {"email": email, "password": PASSWORD[::-1]}
    pending = (await walk.call("auth.Login", **login)).second_factor.pending_token
    asked = await walk.call("factor.BeginPasskeyCheck", pending_token=pending)
    given = passkey.get(asked.options)
    await walk.call("factor.CompleteLogin", pending_token=pending, passkey=given)
    await walk.call("factor.RemoveFactor", token, factor_id=added.factor_id)


def changing_methods(app: App) -> set[str]:
    """Name every RPC of the contract that does not promise to have no effect."""
    pool = descriptor_pool.Default()
    names = (name for name in app.registry.services if name.startswith("carelane."))
    return {
        method.full_name
        for name in names
        for method in pool.FindServiceByName(name).methods
        if method.GetOptions().idempotency_level != MethodOptions.NO_SIDE_EFFECTS
    }


async def test_every_change_leaves_an_audit_row_and_is_told(
    walk: Walk, postgres: EmbeddedPostgres
) -> None:
    doctor = await walk.register(user_pb2.ROLE_DOCTOR, "Dr. Meera Iyer")
    patient = await walk.register(user_pb2.ROLE_PATIENT, "Asha Rao")
    profile = await open_practice(walk, (await walk.login(doctor[0])).access_token)
    await edit_rules(walk, (await walk.login(doctor[0])).access_token, profile)
    await walk.call(
        "admin.VerifyDoctor",
        await make_admin(walk),
        doctor_id=str(doctor[1]),
        decision=admin_service_pb2.VERIFICATION_DECISION_APPROVE,
    )
    await follow_visits(walk, doctor, patient[0])
    await run_queue(walk, doctor, patient[0])
    await change_members(walk, doctor[0], profile.doctor.practices[0].clinic.clinic_id, patient[0])
    await keep_keys(walk, profile.doctor.practices[0].clinic.clinic_id, doctor[0])
    await deliver(postgres, walk.clock)
    visits = [*["booked"] * 5, "cancelled", "completed", "confirmed", *["moved", "no_show"] * 2]
    assert await told(walk.owner, patient[1]) == sorted(
        [*(f"appointment_{state}" for state in visits), "clinic_joined"]
    )
    assert await told(walk.owner, doctor[1]) == [
        *["appointment_booked"] * 5,
        "appointment_cancelled",
        *["appointment_moved"] * 2,
        "doctor_verified",
    ]
    await wait_for_times(walk, postgres, patient[0])
    await book_several(walk, patient[0], doctor[1])
    await prove_address(walk, postgres, patient[0])
    await change_account(walk, patient[0])
    await end_account(walk)
    changing = changing_methods(walk.app)
    assert walk.left.keys() >= changing
    assert {name for name in changing if not walk.left[name]} == NOT_AUDITED
    assert await walk.audited_without_request() == []
