"""Tables of the day at the clinic: tokens, who waits since when, how long consultations took."""

from datetime import date, datetime
from uuid import UUID

from sqlalchemy import CheckConstraint, ForeignKeyConstraint, UniqueConstraint, text
from sqlalchemy.orm import Mapped, mapped_column

from server.core.schema import NEW_ID, Base

TENANT = {"info": {"access": "clinic"}}


def _of_practice() -> ForeignKeyConstraint:
    columns = ["clinic_id", "practice_id", "doctor_id"]
    return ForeignKeyConstraint(columns, [f"practice.{column}" for column in columns])


class QueueDay(Base):
    """One local day of a practice: the counter of its tokens, and how late the doctor is.

    `late_time` is when `late_minutes` was said.
    """

    __tablename__ = "queue_day"
    __table_args__ = (
        UniqueConstraint("practice_id", "local_date"),
        UniqueConstraint("clinic_id", "doctor_id", "queue_day_id"),
        _of_practice(),
        CheckConstraint("last_token >= 0", name="token"),
        CheckConstraint("late_minutes >= 0", name="late"),
        TENANT,
    )
    queue_day_id: Mapped[UUID] = mapped_column(primary_key=True, server_default=NEW_ID)
    clinic_id: Mapped[UUID]
    practice_id: Mapped[UUID]
    doctor_id: Mapped[UUID]
    local_date: Mapped[date]
    last_token: Mapped[int] = mapped_column(server_default=text("0"))
    late_minutes: Mapped[int] = mapped_column(server_default=text("0"))
    late_time: Mapped[datetime | None]


class QueueTicket(Base):
    """The token of a patient who checked in, and what became of the waiting.

    `booked_minutes` is the length of the visit as booked, to compare the consultation with; 0 in a
    group, whose patients have no length of their own.
    """

    __tablename__ = "queue_ticket"
    __table_args__ = (
        UniqueConstraint("queue_day_id", "token"),
        ForeignKeyConstraint(
            ["clinic_id", "doctor_id", "queue_day_id"],
            ["queue_day.clinic_id", "queue_day.doctor_id", "queue_day.queue_day_id"],
        ),
        ForeignKeyConstraint(
            ["clinic_id", "appointment_id", "patient_id", "doctor_id"],
            [
                "appointment.clinic_id",
                "appointment.appointment_id",
                "appointment.patient_id",
                "appointment.doctor_id",
            ],
            name="queue_ticket_appointment_fkey",
        ),
        CheckConstraint("consultation_start_time <= consultation_end_time", name="order"),
        TENANT,
    )
    appointment_id: Mapped[UUID] = mapped_column(primary_key=True)
    clinic_id: Mapped[UUID]
    patient_id: Mapped[UUID]
    doctor_id: Mapped[UUID]
    queue_day_id: Mapped[UUID]
    token: Mapped[int]
    booked_minutes: Mapped[int]
    check_in_time: Mapped[datetime]
    consultation_start_time: Mapped[datetime | None]
    consultation_end_time: Mapped[datetime | None]


class QueueSetting(Base):
    """What a practice chose for its queue; without a row the defaults hold."""

    __tablename__ = "queue_setting"
    __table_args__ = (
        _of_practice(),
        CheckConstraint("no_show_grace_minutes BETWEEN 0 AND 480", name="grace"),
        TENANT,
    )
    practice_id: Mapped[UUID] = mapped_column(primary_key=True)
    clinic_id: Mapped[UUID]
    doctor_id: Mapped[UUID]
    no_show_grace_minutes: Mapped[int]
