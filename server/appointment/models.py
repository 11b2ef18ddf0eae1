"""Tables of visits and their payments."""

from datetime import date, datetime
from decimal import Decimal
from uuid import UUID

from sqlalchemy import (
    CheckConstraint,
    ForeignKey,
    ForeignKeyConstraint,
    Index,
    UniqueConstraint,
    func,
    text,
)
from sqlalchemy.dialects.postgresql import ExcludeConstraint
from sqlalchemy.orm import Mapped, mapped_column

from server.core.schema import NOW, Base

TENANT = {"info": {"access": "clinic"}}


class Appointment(Base):
    """One visit; `local_date` is its day at the clinic. Its claim has the same id.

    A visit of a group has a seat in the claim `session_id` instead. `follows_id` is the visit that
    it follows up, `series_id` is common to those that were booked together week by week.

    The exclusion constraint keeps a patient from two visits at the same time.
    """

    __tablename__ = "appointment"
    __table_args__ = (
        UniqueConstraint(
            "clinic_id",
            "appointment_id",
            "patient_id",
            "doctor_id",
            name="appointment_parties_key",
        ),
        ForeignKeyConstraint(
            ["clinic_id", "practice_id", "doctor_id"],
            ["practice.clinic_id", "practice.practice_id", "practice.doctor_id"],
        ),
        ForeignKeyConstraint(
            ["practice_id", "visit_type_id"],
            ["visit_type.practice_id", "visit_type.visit_type_id"],
        ),
        CheckConstraint(
            "status IN ('pending_payment', 'booked', 'checked_in', 'in_consultation',"
            " 'completed', 'cancelled', 'no_show')",
            name="status",
        ),
        CheckConstraint("start_time < end_time", name="order"),
        CheckConstraint(
            "cancelled_by IN ('patient', 'doctor', 'clinic', 'platform')", name="cancelled_by"
        ),
        CheckConstraint("(status = 'cancelled') = (cancelled_by IS NOT NULL)", name="cancelled"),
        CheckConstraint("(status = 'pending_payment') = (expire_time IS NOT NULL)", name="pending"),
        ExcludeConstraint(
            (func.period_of(text("patient_id"), text("start_time"), text("end_time")), "&&"),
            name="appointment_patient_overlap",
            using="gist",
            where=text("status IN ('pending_payment', 'booked', 'checked_in', 'in_consultation')"),
        ),
        Index("appointment_patient", "patient_id", "start_time", "appointment_id"),
        Index("appointment_doctor", "doctor_id", "local_date", "start_time", "appointment_id"),
        Index("appointment_clinic", "clinic_id", "local_date", "start_time", "appointment_id"),
        Index("appointment_practice", "practice_id", "start_time"),
        Index("appointment_date", "local_date", "status"),
        Index("appointment_session", "session_id", postgresql_where=text("session_id IS NOT NULL")),
        Index("appointment_follows", "follows_id", postgresql_where=text("follows_id IS NOT NULL")),
        Index(
            "appointment_pending",
            "expire_time",
            postgresql_where=text("status = 'pending_payment'"),
        ),
        TENANT,
    )
    appointment_id: Mapped[UUID] = mapped_column(primary_key=True)
    clinic_id: Mapped[UUID]
    practice_id: Mapped[UUID]
    doctor_id: Mapped[UUID]
    patient_id: Mapped[UUID] = mapped_column(ForeignKey("patient.patient_id"))
    visit_type_id: Mapped[UUID]
    visit_type_name: Mapped[str]
    status: Mapped[str]
    start_time: Mapped[datetime]
    end_time: Mapped[datetime]
    local_date: Mapped[date]
    price: Mapped[Decimal]
    currency_code: Mapped[str]
    reason: Mapped[str] = mapped_column(server_default=text("''"))
    confirm_time: Mapped[datetime | None]
    cancelled_by: Mapped[str | None]
    cancel_reason: Mapped[str] = mapped_column(server_default=text("''"))
    revision: Mapped[int] = mapped_column(server_default=text("1"))
    create_time: Mapped[datetime] = mapped_column(server_default=NOW)
    update_time: Mapped[datetime] = mapped_column(server_default=NOW)
    previous_start_time: Mapped[datetime | None]
    expire_time: Mapped[datetime | None]
    extended: Mapped[bool] = mapped_column(server_default=text("false"))
    session_id: Mapped[UUID | None]
    follows_id: Mapped[UUID | None]
    series_id: Mapped[UUID | None]


class CancelPolicy(Base):
    """How many minutes before the start the patients of a practice may last cancel or move."""

    __tablename__ = "cancel_policy"
    __table_args__ = (
        ForeignKeyConstraint(
            ["clinic_id", "practice_id"], ["practice.clinic_id", "practice.practice_id"]
        ),
        CheckConstraint("notice_minutes >= 0", name="notice"),
        {"info": {"access": "public"}},
    )
    practice_id: Mapped[UUID] = mapped_column(primary_key=True)
    clinic_id: Mapped[UUID]
    notice_minutes: Mapped[int]
    update_time: Mapped[datetime] = mapped_column(server_default=NOW)


class PaymentTransaction(Base):
    """The payment of one appointment; settled ones are revenue."""

    __tablename__ = "payment_transaction"
    __table_args__ = (
        UniqueConstraint("clinic_id", "appointment_id"),
        ForeignKeyConstraint(
            ["clinic_id", "appointment_id", "patient_id", "doctor_id"],
            [
                "appointment.clinic_id",
                "appointment.appointment_id",
                "appointment.patient_id",
                "appointment.doctor_id",
            ],
            name="payment_transaction_appointment_fkey",
        ),
        CheckConstraint("method IN ('at_clinic')", name="method"),
        CheckConstraint("status IN ('pending', 'settled', 'voided')", name="status"),
        CheckConstraint("(status = 'settled') = (settle_time IS NOT NULL)", name="settled"),
        CheckConstraint("amount >= 0", name="amount"),
        Index(
            "payment_transaction_settled",
            "settle_time",
            postgresql_where=text("status = 'settled'"),
        ),
        Index("payment_transaction_appointment", "appointment_id"),
        TENANT,
    )
    transaction_id: Mapped[UUID] = mapped_column(primary_key=True)
    clinic_id: Mapped[UUID]
    appointment_id: Mapped[UUID]
    patient_id: Mapped[UUID]
    doctor_id: Mapped[UUID]
    amount: Mapped[Decimal]
    currency_code: Mapped[str]
    method: Mapped[str] = mapped_column(server_default=text("'at_clinic'"))
    status: Mapped[str] = mapped_column(server_default=text("'pending'"))
    settle_time: Mapped[datetime | None]
    create_time: Mapped[datetime] = mapped_column(server_default=NOW)


class Hold(Base):
    """A time kept for somebody for some minutes, which ends with its claim.

    Its claim has the same id; that of a seat of a group is the group's session.
    """

    __tablename__ = "hold"
    __table_args__ = (
        ForeignKeyConstraint(
            ["doctor_id", "claim_id"], ["claim.doctor_id", "claim.claim_id"], ondelete="CASCADE"
        ),
        ForeignKeyConstraint(
            ["clinic_id", "practice_id", "doctor_id"],
            ["practice.clinic_id", "practice.practice_id", "practice.doctor_id"],
        ),
        ForeignKeyConstraint(
            ["practice_id", "visit_type_id"],
            ["visit_type.practice_id", "visit_type.visit_type_id"],
        ),
        CheckConstraint("start_time < end_time", name="order"),
        Index("hold_holder", "holder_id", "expire_time"),
        Index("hold_claim", "claim_id"),
        {"info": {"access": "person"}},
    )
    hold_id: Mapped[UUID] = mapped_column(primary_key=True)
    claim_id: Mapped[UUID]
    holder_id: Mapped[UUID] = mapped_column(ForeignKey("user_account.user_id"))
    clinic_id: Mapped[UUID]
    practice_id: Mapped[UUID]
    doctor_id: Mapped[UUID]
    visit_type_id: Mapped[UUID]
    start_time: Mapped[datetime]
    end_time: Mapped[datetime]
    expire_time: Mapped[datetime]
    create_time: Mapped[datetime] = mapped_column(server_default=NOW)
