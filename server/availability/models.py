"""Tables of opening hours and of taken time."""

from datetime import date, datetime
from uuid import UUID

from sqlalchemy import (
    BigInteger,
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

from server.core.schema import NEW_ID, NOW, Base


class Hours(Base):
    """That a practice's hours were set: what the etag counts."""

    __tablename__ = "hours"
    __table_args__ = (
        UniqueConstraint("clinic_id", "practice_id"),
        ForeignKeyConstraint(
            ["clinic_id", "practice_id"], ["practice.clinic_id", "practice.practice_id"]
        ),
        {"info": {"access": "public"}},
    )
    practice_id: Mapped[UUID] = mapped_column(primary_key=True)
    clinic_id: Mapped[UUID]
    revision: Mapped[int] = mapped_column(server_default=text("1"))
    update_time: Mapped[datetime] = mapped_column(server_default=NOW)


class WeeklyRule(Base):
    """A window of every week, in minutes of the clinic's wall clock from 00:00.

    `weekday` is ISO, 1 Monday to 7 Sunday. An end at or before the start lies on the next day.
    """

    __tablename__ = "weekly_rule"
    __table_args__ = (
        ForeignKeyConstraint(
            ["clinic_id", "practice_id"], ["hours.clinic_id", "hours.practice_id"]
        ),
        CheckConstraint("weekday BETWEEN 1 AND 7", name="weekday"),
        CheckConstraint(
            "start_minute BETWEEN 0 AND 1439 AND end_minute BETWEEN 0 AND 1439", name="minutes"
        ),
        CheckConstraint("valid_until >= valid_from", name="validity"),
        Index("weekly_rule_practice", "practice_id"),
        {"info": {"access": "public"}},
    )
    rule_id: Mapped[UUID] = mapped_column(primary_key=True, server_default=NEW_ID)
    clinic_id: Mapped[UUID]
    practice_id: Mapped[UUID]
    weekday: Mapped[int]
    start_minute: Mapped[int]
    end_minute: Mapped[int]
    valid_from: Mapped[date | None]
    valid_until: Mapped[date | None]


class DateOverride(Base):
    """The hours of one local day instead of the weekly ones; no windows means closed.

    Window n opens at `starts[n]` and closes at `ends[n]`, in minutes of the wall clock.
    """

    __tablename__ = "date_override"
    __table_args__ = (
        ForeignKeyConstraint(
            ["clinic_id", "practice_id"], ["hours.clinic_id", "hours.practice_id"]
        ),
        CheckConstraint("cardinality(starts) = cardinality(ends)", name="windows"),
        {"info": {"access": "public"}},
    )
    practice_id: Mapped[UUID] = mapped_column(primary_key=True)
    day: Mapped[date] = mapped_column(primary_key=True)
    clinic_id: Mapped[UUID]
    starts: Mapped[list[int]]
    ends: Mapped[list[int]]


class ExtraOpening(Base):
    """A window that is added to one local day, in minutes of the wall clock."""

    __tablename__ = "extra_opening"
    __table_args__ = (
        ForeignKeyConstraint(
            ["clinic_id", "practice_id"], ["hours.clinic_id", "hours.practice_id"]
        ),
        CheckConstraint(
            "start_minute BETWEEN 0 AND 1439 AND end_minute BETWEEN 0 AND 1439", name="minutes"
        ),
        Index("extra_opening_practice", "practice_id", "day"),
        {"info": {"access": "public"}},
    )
    opening_id: Mapped[UUID] = mapped_column(primary_key=True, server_default=NEW_ID)
    clinic_id: Mapped[UUID]
    practice_id: Mapped[UUID]
    day: Mapped[date]
    start_minute: Mapped[int]
    end_minute: Mapped[int]


class TimeOff(Base):
    """When a doctor is away, from one practice or, without one, from all; nothing of why."""

    __tablename__ = "time_off"
    __table_args__ = (
        ForeignKeyConstraint(
            ["clinic_id", "practice_id", "doctor_id"],
            ["practice.clinic_id", "practice.practice_id", "practice.doctor_id"],
        ),
        CheckConstraint("start_time < end_time", name="order"),
        CheckConstraint("(practice_id IS NULL) = (clinic_id IS NULL)", name="practice"),
        Index("time_off_doctor", "doctor_id", "end_time"),
        {"info": {"access": "public"}},
    )
    time_off_id: Mapped[UUID] = mapped_column(primary_key=True, server_default=NEW_ID)
    doctor_id: Mapped[UUID] = mapped_column(ForeignKey("calendar.doctor_id"))
    clinic_id: Mapped[UUID | None]
    practice_id: Mapped[UUID | None]
    start_time: Mapped[datetime]
    end_time: Mapped[datetime]


class Closure(Base):
    """Local days, both included, on which a clinic is closed for all its doctors."""

    __tablename__ = "closure"
    __table_args__ = (
        CheckConstraint("first_day <= last_day", name="order"),
        Index("closure_clinic", "clinic_id", "last_day"),
        {"info": {"access": "public"}},
    )
    closure_id: Mapped[UUID] = mapped_column(primary_key=True, server_default=NEW_ID)
    clinic_id: Mapped[UUID] = mapped_column(ForeignKey("clinic.clinic_id"))
    first_day: Mapped[date]
    last_day: Mapped[date]
    name: Mapped[str] = mapped_column(server_default=text("''"))


class PublicHolidays(Base):
    """Whose public holidays a clinic keeps, and the names of those on which it is open."""

    __tablename__ = "public_holidays"
    __table_args__ = ({"info": {"access": "public"}},)
    clinic_id: Mapped[UUID] = mapped_column(ForeignKey("clinic.clinic_id"), primary_key=True)
    observed: Mapped[bool]
    country_code: Mapped[str]
    subdivision: Mapped[str]
    open_on: Mapped[list[str]]
    revision: Mapped[int] = mapped_column(server_default=text("1"))
    update_time: Mapped[datetime] = mapped_column(server_default=NOW)


class TravelTime(Base):
    """Minutes that a doctor needs from one clinic to another, either way; first id < second id."""

    __tablename__ = "travel_time"
    __table_args__ = (
        CheckConstraint("first_clinic_id < second_clinic_id", name="order"),
        CheckConstraint("minutes BETWEEN 1 AND 720", name="minutes"),
        {"info": {"access": "public"}},
    )
    doctor_id: Mapped[UUID] = mapped_column(ForeignKey("calendar.doctor_id"), primary_key=True)
    first_clinic_id: Mapped[UUID] = mapped_column(ForeignKey("clinic.clinic_id"), primary_key=True)
    second_clinic_id: Mapped[UUID] = mapped_column(ForeignKey("clinic.clinic_id"), primary_key=True)
    minutes: Mapped[int]


class Calendar(Base):
    """A doctor's time: its row is locked before anything in it is changed."""

    __tablename__ = "calendar"
    __table_args__ = ({"info": {"access": "claim"}},)
    doctor_id: Mapped[UUID] = mapped_column(
        ForeignKey("doctor_profile.doctor_id"), primary_key=True
    )
    change_count: Mapped[int] = mapped_column(BigInteger, server_default=text("0"))


class Claim(Base):
    """Taken time of a doctor, buffers included, at whatever clinic; nothing of who or why.

    The exclusion constraint is the guarantee that no two of a doctor overlap. A claim with a past
    `expire_time` no longer counts, and is removed by whoever wants the time.
    """

    __tablename__ = "claim"
    __table_args__ = (
        UniqueConstraint("doctor_id", "claim_id"),
        CheckConstraint("kind IN ('appointment', 'hold', 'session')", name="kind"),
        CheckConstraint("start_time < end_time", name="order"),
        ExcludeConstraint(
            (func.period_of(text("doctor_id"), text("start_time"), text("end_time")), "&&"),
            name="claim_overlap",
            using="gist",
        ),
        Index("claim_doctor", "doctor_id", "start_time", "end_time"),
        {"info": {"access": "claim"}},
    )
    claim_id: Mapped[UUID] = mapped_column(primary_key=True)
    doctor_id: Mapped[UUID] = mapped_column(ForeignKey("calendar.doctor_id"))
    start_time: Mapped[datetime]
    end_time: Mapped[datetime]
    kind: Mapped[str]
    expire_time: Mapped[datetime | None]
