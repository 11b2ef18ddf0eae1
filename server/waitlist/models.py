"""Tables of who waits for a time, and of the times that were offered."""

from datetime import date, datetime
from uuid import UUID

from sqlalchemy import (
    CheckConstraint,
    ForeignKey,
    ForeignKeyConstraint,
    Index,
    UniqueConstraint,
    text,
)
from sqlalchemy.orm import Mapped, mapped_column

from server.core.schema import NEW_ID, NOW, Base

TENANT = {"info": {"access": "clinic"}}
PRACTICE = ["practice.clinic_id", "practice.practice_id", "practice.doctor_id"]
LIVE = text("status IN ('waiting', 'offered')")


class WaitlistEntry(Base):
    """Who waits for what: a practice, or a specialty in a city.

    Days are ISO weekdays, none for all; starts that suit lie between two minutes of the clinic's
    day, both included. Entries of a specialty belong to no clinic.
    """

    __tablename__ = "waitlist_entry"
    __table_args__ = (
        UniqueConstraint("patient_id", "entry_id"),
        ForeignKeyConstraint(
            ["wanted_clinic_id", "wanted_practice_id", "wanted_doctor_id"],
            PRACTICE,
            name="waitlist_entry_practice_fkey",
        ),
        ForeignKeyConstraint(
            ["wanted_practice_id", "visit_type_id"],
            ["visit_type.practice_id", "visit_type.visit_type_id"],
        ),
        CheckConstraint(
            "status IN ('waiting', 'offered', 'booked', 'left', 'ended')", name="status"
        ),
        CheckConstraint(
            "num_nonnulls(wanted_clinic_id, wanted_practice_id, wanted_doctor_id) = 3"
            " AND num_nonnulls(specialty_id, city_id) = 0"
            " OR num_nonnulls(wanted_clinic_id, wanted_practice_id, wanted_doctor_id,"
            " visit_type_id) = 0"
            " AND num_nonnulls(specialty_id, city_id) = 2",
            name="wish",
        ),
        CheckConstraint(
            "earliest_minute BETWEEN 0 AND latest_minute AND latest_minute < 1440", name="minutes"
        ),
        CheckConstraint("from_date <= until_date", name="dates"),
        Index(
            "waitlist_entry_practice_once",
            "patient_id",
            "wanted_practice_id",
            unique=True,
            postgresql_where=text(
                "status IN ('waiting', 'offered') AND wanted_practice_id IS NOT NULL"
            ),
        ),
        Index(
            "waitlist_entry_specialty_once",
            "patient_id",
            "specialty_id",
            "city_id",
            unique=True,
            postgresql_where=text("status IN ('waiting', 'offered') AND specialty_id IS NOT NULL"),
        ),
        Index("waitlist_entry_patient", "patient_id", "create_time", "entry_id"),
        Index(
            "waitlist_entry_practice",
            "wanted_practice_id",
            "create_time",
            "entry_id",
            postgresql_where=LIVE,
        ),
        Index(
            "waitlist_entry_specialty",
            "specialty_id",
            "city_id",
            "create_time",
            "entry_id",
            postgresql_where=LIVE,
        ),
        TENANT,
    )
    entry_id: Mapped[UUID] = mapped_column(primary_key=True, server_default=NEW_ID)
    patient_id: Mapped[UUID] = mapped_column(ForeignKey("patient.patient_id"))
    wanted_clinic_id: Mapped[UUID | None]
    wanted_practice_id: Mapped[UUID | None]
    wanted_doctor_id: Mapped[UUID | None]
    visit_type_id: Mapped[UUID | None]
    specialty_id: Mapped[UUID | None] = mapped_column(ForeignKey("specialty.specialty_id"))
    city_id: Mapped[UUID | None] = mapped_column(ForeignKey("city.city_id"))
    weekdays: Mapped[list[int]]
    earliest_minute: Mapped[int]
    latest_minute: Mapped[int]
    from_date: Mapped[date]
    until_date: Mapped[date]
    status: Mapped[str] = mapped_column(server_default=text("'waiting'"))
    create_time: Mapped[datetime] = mapped_column(server_default=NOW)
    update_time: Mapped[datetime] = mapped_column(server_default=NOW)


class WaitlistOffer(Base):
    """A time that is, or was, kept for an entry until `expire_time`; never the same time twice."""

    __tablename__ = "waitlist_offer"
    __table_args__ = (
        UniqueConstraint("entry_id", "practice_id", "start_time"),
        ForeignKeyConstraint(
            ["patient_id", "entry_id"], ["waitlist_entry.patient_id", "waitlist_entry.entry_id"]
        ),
        ForeignKeyConstraint(["clinic_id", "practice_id", "doctor_id"], PRACTICE),
        ForeignKeyConstraint(
            ["practice_id", "visit_type_id"],
            ["visit_type.practice_id", "visit_type.visit_type_id"],
        ),
        CheckConstraint("status IN ('open', 'accepted', 'declined', 'lapsed')", name="status"),
        CheckConstraint("(status = 'accepted') = (appointment_id IS NOT NULL)", name="accepted"),
        Index(
            "waitlist_offer_open",
            "entry_id",
            unique=True,
            postgresql_where=text("status = 'open'"),
        ),
        Index("waitlist_offer_due", "expire_time", postgresql_where=text("status = 'open'")),
        Index("waitlist_offer_patient", "patient_id"),
        TENANT,
    )
    offer_id: Mapped[UUID] = mapped_column(primary_key=True, server_default=NEW_ID)
    entry_id: Mapped[UUID]
    patient_id: Mapped[UUID]
    clinic_id: Mapped[UUID]
    practice_id: Mapped[UUID]
    doctor_id: Mapped[UUID]
    visit_type_id: Mapped[UUID]
    hold_id: Mapped[UUID]
    start_time: Mapped[datetime]
    end_time: Mapped[datetime]
    expire_time: Mapped[datetime]
    status: Mapped[str] = mapped_column(server_default=text("'open'"))
    appointment_id: Mapped[UUID | None]
    create_time: Mapped[datetime] = mapped_column(server_default=NOW)


class WaitlistDue(Base):
    """A practice whose free times are to be compared with who waits."""

    __tablename__ = "waitlist_due"
    __table_args__ = ({"info": {"access": "system"}},)
    practice_id: Mapped[UUID] = mapped_column(ForeignKey("practice.practice_id"), primary_key=True)
    due_time: Mapped[datetime] = mapped_column(server_default=NOW)
