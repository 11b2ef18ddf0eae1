"""Tables of who treats, where, and who works there."""

from datetime import datetime
from decimal import Decimal
from uuid import UUID

from sqlalchemy import (
    CheckConstraint,
    Double,
    ForeignKey,
    Index,
    PrimaryKeyConstraint,
    UniqueConstraint,
    func,
    text,
)
from sqlalchemy.orm import Mapped, mapped_column

from server.core.schema import NEW_ID, NOW, Base

PUBLIC = {"info": {"access": "public"}}


class Specialty(Base):
    """A field of medicine."""

    __tablename__ = "specialty"
    __table_args__ = (UniqueConstraint("slug"), PUBLIC)
    specialty_id: Mapped[UUID] = mapped_column(primary_key=True, server_default=NEW_ID)
    slug: Mapped[str]
    name: Mapped[str]
    practitioner: Mapped[str]
    description: Mapped[str]


class Symptom(Base):
    """A word or phrase of lay people, in lower case, that points to a specialty; weight 1 to 10."""

    __tablename__ = "symptom"
    __table_args__ = (PrimaryKeyConstraint("phrase", "specialty_id"), PUBLIC)
    phrase: Mapped[str]
    specialty_id: Mapped[UUID] = mapped_column(ForeignKey("specialty.specialty_id"))
    weight: Mapped[int] = mapped_column(server_default=text("5"))


class City(Base):
    """A place in which clinics are found."""

    __tablename__ = "city"
    __table_args__ = (
        UniqueConstraint("slug"),
        Index("city_name", "name", "city_id"),
        PUBLIC,
    )
    city_id: Mapped[UUID] = mapped_column(primary_key=True, server_default=NEW_ID)
    slug: Mapped[str]
    name: Mapped[str]
    region: Mapped[str]
    country_code: Mapped[str]
    latitude: Mapped[float] = mapped_column(Double)
    longitude: Mapped[float] = mapped_column(Double)
    time_zone: Mapped[str]
    population: Mapped[int]


class Clinic(Base):
    """A place where doctors see patients; a tenant. `time_zone` is the zone of all its hours."""

    __tablename__ = "clinic"
    __table_args__ = (
        CheckConstraint("kind IN ('clinic', 'hospital')", name="kind"),
        Index("clinic_city", "city_id", "kind", "name", "clinic_id"),
        Index("clinic_kind", "kind", "name", "clinic_id"),
        PUBLIC,
    )
    clinic_id: Mapped[UUID] = mapped_column(primary_key=True, server_default=NEW_ID)
    kind: Mapped[str]
    name: Mapped[str]
    address: Mapped[str]
    city_id: Mapped[UUID] = mapped_column(ForeignKey("city.city_id"))
    latitude: Mapped[float | None] = mapped_column(Double)
    longitude: Mapped[float | None] = mapped_column(Double)
    time_zone: Mapped[str]
    phone: Mapped[str] = mapped_column(server_default=text("''"))
    currency_code: Mapped[str]
    create_time: Mapped[datetime] = mapped_column(server_default=NOW)
    update_time: Mapped[datetime] = mapped_column(server_default=NOW)


class ClinicMember(Base):
    """A person who works at a clinic, and what they may do there."""

    __tablename__ = "clinic_member"
    __table_args__ = (
        PrimaryKeyConstraint("clinic_id", "user_id"),
        CheckConstraint("role IN ('owner', 'manager', 'front_desk', 'doctor')", name="role"),
        Index("clinic_member_user", "user_id", "clinic_id"),
        {"info": {"access": "clinic"}},
    )
    clinic_id: Mapped[UUID] = mapped_column(ForeignKey("clinic.clinic_id"))
    user_id: Mapped[UUID] = mapped_column(ForeignKey("user_account.user_id"))
    role: Mapped[str]
    create_time: Mapped[datetime] = mapped_column(server_default=NOW)


class DoctorProfile(Base):
    """What everyone may see of a doctor, once verified. `doctor_id` is the doctor's user_id."""

    __tablename__ = "doctor_profile"
    __table_args__ = (
        CheckConstraint(
            "verification_status IN ('pending', 'verified', 'rejected')",
            name="verification_status",
        ),
        Index(
            "doctor_profile_rank",
            text("rank DESC"),
            "doctor_id",
            postgresql_where=text("verification_status = 'verified'"),
        ),
        Index(
            "doctor_profile_experience",
            "practising_since",
            "doctor_id",
            postgresql_where=text("verification_status = 'verified'"),
        ),
        PUBLIC,
    )
    doctor_id: Mapped[UUID] = mapped_column(ForeignKey("user_account.user_id"), primary_key=True)
    full_name: Mapped[str]
    qualifications: Mapped[str]
    practising_since: Mapped[int]
    languages: Mapped[list[str]]
    bio: Mapped[str] = mapped_column(server_default=text("''"))
    verification_status: Mapped[str] = mapped_column(server_default=text("'pending'"))
    rating: Mapped[float] = mapped_column(Double, server_default=text("0"))
    rating_count: Mapped[int] = mapped_column(server_default=text("0"))
    rank: Mapped[float] = mapped_column(Double, server_default=text("0"))
    revision: Mapped[int] = mapped_column(server_default=text("1"))
    create_time: Mapped[datetime] = mapped_column(server_default=NOW)
    update_time: Mapped[datetime] = mapped_column(server_default=NOW)


class DoctorSpecialty(Base):
    """A specialty of a doctor; position 0 is the main one."""

    __tablename__ = "doctor_specialty"
    __table_args__ = (
        PrimaryKeyConstraint("doctor_id", "specialty_id"),
        Index("doctor_specialty_specialty", "specialty_id", "doctor_id"),
        PUBLIC,
    )
    doctor_id: Mapped[UUID] = mapped_column(ForeignKey("doctor_profile.doctor_id"))
    specialty_id: Mapped[UUID] = mapped_column(ForeignKey("specialty.specialty_id"))
    position: Mapped[int]


class Verification(Base):
    """A doctor's request to be verified, with the licence.

    A licence stands behind one doctor at a time, and a doctor has one request at a time that is
    open or granted.
    """

    __tablename__ = "verification"
    __table_args__ = (
        CheckConstraint(
            "status IN ('pending', 'verified', 'rejected', 'superseded')", name="status"
        ),
        Index(
            "verification_licence",
            func.lower(text("licence_council")),
            func.lower(text("licence_number")),
            unique=True,
            postgresql_where=text("status IN ('pending', 'verified')"),
        ),
        Index(
            "verification_live",
            "doctor_id",
            unique=True,
            postgresql_where=text("status IN ('pending', 'verified')"),
        ),
        Index("verification_doctor", "doctor_id", "verification_id"),
        Index(
            "verification_queue",
            "create_time",
            "verification_id",
            postgresql_where=text("status = 'pending'"),
        ),
        {"info": {"access": "person"}},
    )
    verification_id: Mapped[UUID] = mapped_column(primary_key=True, server_default=NEW_ID)
    doctor_id: Mapped[UUID] = mapped_column(ForeignKey("doctor_profile.doctor_id"))
    licence_number: Mapped[str]
    licence_council: Mapped[str]
    licence_year: Mapped[int]
    status: Mapped[str] = mapped_column(server_default=text("'pending'"))
    reason: Mapped[str] = mapped_column(server_default=text("''"))
    create_time: Mapped[datetime] = mapped_column(server_default=NOW)
    decide_time: Mapped[datetime | None]
    decided_by: Mapped[UUID | None]


class Practice(Base):
    """One doctor at one clinic. The currency is the clinic's."""

    __tablename__ = "practice"
    __table_args__ = (
        UniqueConstraint("doctor_id", "clinic_id"),
        UniqueConstraint("clinic_id", "practice_id"),
        UniqueConstraint("clinic_id", "practice_id", "doctor_id"),
        CheckConstraint("status IN ('active', 'ended')", name="status"),
        CheckConstraint("fee >= 0", name="fee"),
        Index("practice_clinic", "clinic_id", "doctor_id"),
        PUBLIC,
    )
    practice_id: Mapped[UUID] = mapped_column(primary_key=True, server_default=NEW_ID)
    doctor_id: Mapped[UUID] = mapped_column(ForeignKey("doctor_profile.doctor_id"))
    clinic_id: Mapped[UUID] = mapped_column(ForeignKey("clinic.clinic_id"))
    fee: Mapped[Decimal]
    status: Mapped[str] = mapped_column(server_default=text("'active'"))
    create_time: Mapped[datetime] = mapped_column(server_default=NOW)


class VisitType(Base):
    """One kind of visit at a practice.

    Starts lie on a grid of `interval_minutes` from the local hour plus `offset_minutes`, or, with
    `from_opening`, from the start of each window. A visit can be booked from `notice_minutes` ahead
    up to `horizon_days` local days ahead, with `business_days` only those from Monday to Friday.
    Up to `capacity` patients come at one start. The limits count local days and weeks at the
    clinic; None is no limit. What is retired is not offered. The first follow-up of a visit costs
    `follow_up_price` up to `follow_up_days` local days after it.
    """

    __tablename__ = "visit_type"
    __table_args__ = (
        CheckConstraint("length_minutes BETWEEN 1 AND 1440", name="length_minutes"),
        CheckConstraint("interval_minutes BETWEEN 1 AND 1440", name="interval_minutes"),
        CheckConstraint("buffer_before_minutes >= 0 AND buffer_after_minutes >= 0", name="buffers"),
        CheckConstraint("price >= 0", name="price"),
        CheckConstraint("capacity BETWEEN 1 AND 1000", name="capacity"),
        CheckConstraint(
            "least(day_visits, day_minutes, week_visits, week_minutes) > 0", name="limits"
        ),
        CheckConstraint("NOT (retired AND is_default)", name="retired"),
        CheckConstraint("follow_up_days >= 0 AND follow_up_price >= 0", name="follow_up"),
        Index(
            "visit_type_default",
            "practice_id",
            unique=True,
            postgresql_where=text("is_default"),
        ),
        UniqueConstraint("practice_id", "visit_type_id"),
        PUBLIC,
    )
    visit_type_id: Mapped[UUID] = mapped_column(primary_key=True, server_default=NEW_ID)
    practice_id: Mapped[UUID] = mapped_column(ForeignKey("practice.practice_id"))
    name: Mapped[str]
    length_minutes: Mapped[int]
    buffer_before_minutes: Mapped[int] = mapped_column(server_default=text("0"))
    buffer_after_minutes: Mapped[int] = mapped_column(server_default=text("0"))
    interval_minutes: Mapped[int]
    offset_minutes: Mapped[int] = mapped_column(server_default=text("0"))
    notice_minutes: Mapped[int] = mapped_column(server_default=text("0"))
    horizon_days: Mapped[int] = mapped_column(server_default=text("60"))
    price: Mapped[Decimal]
    is_default: Mapped[bool] = mapped_column(server_default=text("false"))
    from_opening: Mapped[bool] = mapped_column(server_default=text("false"))
    business_days: Mapped[bool] = mapped_column(server_default=text("false"))
    capacity: Mapped[int] = mapped_column(server_default=text("1"))
    day_visits: Mapped[int | None]
    day_minutes: Mapped[int | None]
    week_visits: Mapped[int | None]
    week_minutes: Mapped[int | None]
    retired: Mapped[bool] = mapped_column(server_default=text("false"))
    follow_up_days: Mapped[int] = mapped_column(server_default=text("7"))
    follow_up_price: Mapped[Decimal] = mapped_column(server_default=text("0"))
    revision: Mapped[int] = mapped_column(server_default=text("1"))
    update_time: Mapped[datetime] = mapped_column(server_default=NOW)
