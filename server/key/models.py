"""The tables of keys."""

from datetime import datetime
from uuid import UUID

from sqlalchemy import CheckConstraint, ForeignKey, Index, text
from sqlalchemy.orm import Mapped, mapped_column

from server.core.schema import Base


class AccessKey(Base):
    """A key: of a clinic's partner, or of the platform's own when it has no clinic."""

    __tablename__ = "access_key"
    __table_args__ = (
        CheckConstraint("cardinality(scopes) > 0", name="scopes"),
        CheckConstraint(
            "CASE WHEN clinic_id IS NULL THEN scopes <@ ARRAY['audit.read', 'reports.read']"
            " ELSE scopes <@ ARRAY['availability.read', 'patients.read', 'schedule.read'] END",
            name="scopes_of_kind",
        ),
        Index("access_key_clinic", "clinic_id", "create_time", "key_id"),
        {"info": {"access": "clinic"}},
    )
    key_id: Mapped[UUID] = mapped_column(primary_key=True)
    clinic_id: Mapped[UUID | None] = mapped_column(ForeignKey("clinic.clinic_id"))
    name: Mapped[str]
    scopes: Mapped[list[str]]
    create_time: Mapped[datetime]
    use_time: Mapped[datetime | None]
    revoke_time: Mapped[datetime | None]


class AccessKeySecret(Base):
    """A secret of a key by its keyed hash; the present one has no `expire_time`."""

    __tablename__ = "access_key_secret"
    __table_args__ = (
        Index(
            "access_key_secret_present",
            "key_id",
            unique=True,
            postgresql_where=text("expire_time IS NULL"),
        ),
        Index("access_key_secret_key", "key_id", "create_time"),
        {"info": {"access": "clinic"}},
    )
    secret_id: Mapped[UUID] = mapped_column(primary_key=True)
    key_id: Mapped[UUID] = mapped_column(ForeignKey("access_key.key_id"))
    secret_hash: Mapped[bytes]
    prefix: Mapped[str]
    create_time: Mapped[datetime]
    expire_time: Mapped[datetime | None]
