"""The declarative base of all tables, and the tables of the write path.

Every table says in `info` who may see its rows: `public`, `person`, `clinic`, `claim` (taken time
without any personal data) or `system`; a test compares this with the policies in the database.
"""

from datetime import date, datetime, time
from decimal import Decimal
from typing import Any, ClassVar
from uuid import UUID

from sqlalchemy import (
    DATE,
    TIME,
    TIMESTAMP,
    BigInteger,
    CheckConstraint,
    ForeignKeyConstraint,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    Numeric,
    Text,
    Uuid,
    text,
)
from sqlalchemy.dialects.postgresql import ARRAY, JSONB
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

NEW_ID = text("new_id()")
NOW = text("app_now()")


class Base(DeclarativeBase):
    """What all tables share: PostgreSQL's own names for constraints, and one type a Python type."""

    metadata = MetaData(
        naming_convention={
            "pk": "%(table_name)s_pkey",
            "fk": "%(table_name)s_%(column_0_N_name)s_fkey",
            "uq": "%(table_name)s_%(column_0_N_name)s_key",
            "ck": "%(table_name)s_%(constraint_name)s_check",
        }
    )
    type_annotation_map: ClassVar[dict[Any, Any]] = {
        UUID: Uuid,
        str: Text,
        int: Integer,
        bytes: LargeBinary,
        Decimal: Numeric(14, 3),
        datetime: TIMESTAMP(timezone=True),
        date: DATE,
        time: TIME,
        dict[str, Any]: JSONB,
        list[str]: ARRAY(Text),
        list[int]: ARRAY(Integer),
        list[UUID]: ARRAY(Uuid),
    }


class Idempotency(Base):
    """A request_id that was used: who, for which RPC, with what contents, and the answer."""

    __tablename__ = "idempotency"
    __table_args__ = (
        Index("idempotency_create_time", "create_time"),
        {"info": {"access": "person"}},
    )
    user_id: Mapped[UUID] = mapped_column(primary_key=True)
    key: Mapped[UUID] = mapped_column(primary_key=True)
    request_hash: Mapped[UUID]
    response: Mapped[bytes | None]
    create_time: Mapped[datetime] = mapped_column(server_default=NOW)


class Audit(Base):
    """Who did what to what, and who read what of others; append-only.

    `fields` names what changed, `changes` has values before and after of those that are not
    personal. `patient_ids` are those whose data it was. The seal comes later, from the worker.
    """

    __tablename__ = "audit"
    __table_args__ = (
        Index("audit_subject", "subject_id", "create_time"),
        Index("audit_clinic", "clinic_id", "create_time"),
        Index("audit_time", "create_time", "audit_id"),
        Index("audit_actor", "actor_id", "create_time"),
        Index("audit_request", "request_id"),
        Index("audit_action", "action", "create_time"),
        Index(
            "audit_patients",
            "patient_ids",
            postgresql_using="gin",
            postgresql_with={"fastupdate": "off"},
            postgresql_where=text("patient_ids IS NOT NULL"),
        ),
        Index(
            "audit_unsealed",
            "create_time",
            "audit_id",
            postgresql_where=text("seal_number IS NULL"),
        ),
        Index(
            "audit_chain",
            "clinic_id",
            "seal_number",
            unique=True,
            postgresql_where=text("seal_number IS NOT NULL"),
        ),
        Index(
            "audit_platform_chain",
            "seal_number",
            unique=True,
            postgresql_where=text("clinic_id IS NULL AND seal_number IS NOT NULL"),
        ),
        CheckConstraint("(seal_number IS NULL) = (seal IS NULL)", name="seal"),
        {"info": {"access": "system"}},
    )
    audit_id: Mapped[UUID] = mapped_column(primary_key=True, server_default=NEW_ID)
    create_time: Mapped[datetime] = mapped_column(server_default=NOW)
    actor_id: Mapped[UUID | None]
    action: Mapped[str]
    subject_id: Mapped[UUID]
    clinic_id: Mapped[UUID | None]
    fields: Mapped[list[str]]
    request_id: Mapped[str | None]
    on_behalf_of_id: Mapped[UUID | None]
    patient_ids: Mapped[list[UUID] | None]
    changes: Mapped[dict[str, Any] | None] = mapped_column(JSONB(none_as_null=True))
    seal_number: Mapped[int | None] = mapped_column(BigInteger)
    seal: Mapped[bytes | None]


class Outbox(Base):
    """What others must learn of a change; the relay delivers it at least once, then deletes it."""

    __tablename__ = "outbox"
    __table_args__ = (
        Index("outbox_due", "due_time", "outbox_id"),
        {"info": {"access": "system"}},
    )
    outbox_id: Mapped[UUID] = mapped_column(primary_key=True, server_default=NEW_ID)
    topic: Mapped[str]
    subject_id: Mapped[UUID]
    clinic_id: Mapped[UUID | None]
    payload: Mapped[dict[str, Any]]
    create_time: Mapped[datetime] = mapped_column(server_default=NOW)
    due_time: Mapped[datetime] = mapped_column(server_default=NOW)
    attempts: Mapped[int] = mapped_column(server_default=text("0"))
    last_error: Mapped[str | None]


class ClinicFeed(Base):
    """The newest revision of a clinic's schedule; `epoch` changes when a backup is restored."""

    __tablename__ = "clinic_feed"
    __table_args__ = ({"info": {"access": "clinic"}},)
    clinic_id: Mapped[UUID] = mapped_column(primary_key=True)
    epoch: Mapped[UUID] = mapped_column(server_default=text("gen_random_uuid()"))
    last_revision: Mapped[int] = mapped_column(BigInteger, server_default=text("0"))


class FeedEntry(Base):
    """One change of a clinic's schedule: ids, times and states only, the whole new state."""

    __tablename__ = "feed_entry"
    __table_args__ = (
        ForeignKeyConstraint(["clinic_id"], ["clinic_feed.clinic_id"]),
        Index("feed_entry_thing", "clinic_id", "kind", "thing_id", "revision"),
        {"info": {"access": "clinic"}},
    )
    clinic_id: Mapped[UUID] = mapped_column(primary_key=True)
    revision: Mapped[int] = mapped_column(BigInteger, primary_key=True)
    kind: Mapped[str]
    thing_id: Mapped[UUID]
    state: Mapped[dict[str, Any] | None] = mapped_column(JSONB(none_as_null=True))
    expire_time: Mapped[datetime | None]
    create_time: Mapped[datetime] = mapped_column(server_default=NOW)
