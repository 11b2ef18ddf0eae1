"""The tables of people, what they sign in with, and their sessions."""

from datetime import datetime
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

from server.core.schema import NOW, Base


class UserAccount(Base):
    """A person: `role` is patient, doctor, staff or admin; `status` active, disabled or deleted."""

    __tablename__ = "user_account"
    __table_args__ = (
        CheckConstraint("role IN ('patient', 'doctor', 'staff', 'admin')", name="role"),
        CheckConstraint("status IN ('active', 'disabled', 'deleted')", name="status"),
        Index("user_account_email", text("lower(email)"), unique=True),
        Index("user_account_create_time", "create_time"),
        {"info": {"access": "person"}},
    )
    user_id: Mapped[UUID] = mapped_column(primary_key=True)
    email: Mapped[str]
    phone: Mapped[str | None]
    full_name: Mapped[str]
    role: Mapped[str]
    status: Mapped[str] = mapped_column(server_default="active")
    time_zone: Mapped[str] = mapped_column(server_default="UTC")
    language: Mapped[str] = mapped_column(server_default="en")
    revision: Mapped[int] = mapped_column(server_default=text("1"))
    create_time: Mapped[datetime] = mapped_column(server_default=NOW)
    update_time: Mapped[datetime] = mapped_column(server_default=NOW)
    email_verify_time: Mapped[datetime | None]
    phone_verify_time: Mapped[datetime | None]


class Credential(Base):
    """The password of a person, hashed; `registration_id` is the request_id of the registration."""

    __tablename__ = "credential"
    __table_args__ = ({"info": {"access": "person"}},)
    user_id: Mapped[UUID] = mapped_column(
        ForeignKey("user_account.user_id", ondelete="CASCADE"), primary_key=True
    )
    password_hash: Mapped[str]
    registration_id: Mapped[UUID | None]
    change_time: Mapped[datetime] = mapped_column(server_default=NOW)


class Session(Base):
    """One signed-in device: a family of refresh tokens. Its row lock orders their exchange.

    `proof_time` is when its owner last proved to be there, `second_factor_time` when they did so
    by a second factor.
    """

    __tablename__ = "session"
    __table_args__ = (
        CheckConstraint(
            "end_reason IN ('logout', 'password_change', 'token_reuse', 'password_reset', "
            "'revocation', 'disabling', 'deletion', 'email_change')",
            name="end_reason",
        ),
        CheckConstraint("(end_time IS NULL) = (end_reason IS NULL)", name="ended"),
        UniqueConstraint("user_id", "session_id"),
        Index("session_network", "user_id", "network_hash", "create_time"),
        Index("session_expire_time", "expire_time"),
        {"info": {"access": "person"}},
    )
    session_id: Mapped[UUID] = mapped_column(primary_key=True)
    user_id: Mapped[UUID] = mapped_column(ForeignKey("user_account.user_id", ondelete="CASCADE"))
    network_hash: Mapped[bytes]
    device: Mapped[str] = mapped_column(server_default=text("''"))
    subnet: Mapped[str] = mapped_column(server_default=text("''"))
    create_time: Mapped[datetime]
    expire_time: Mapped[datetime]
    use_time: Mapped[datetime | None]
    proof_time: Mapped[datetime | None]
    second_factor_time: Mapped[datetime | None]
    end_time: Mapped[datetime | None]
    end_reason: Mapped[str | None]


class RefreshToken(Base):
    """A refresh token by its hash; `spend_time` is when it was exchanged for the next."""

    __tablename__ = "refresh_token"
    __table_args__ = (
        ForeignKeyConstraint(
            ["user_id", "session_id"],
            ["session.user_id", "session.session_id"],
            ondelete="CASCADE",
        ),
        Index("refresh_token_session", "user_id", "session_id"),
        Index("refresh_token_expire_time", "expire_time"),
        {"info": {"access": "person"}},
    )
    token_hash: Mapped[bytes] = mapped_column(primary_key=True)
    user_id: Mapped[UUID]
    session_id: Mapped[UUID]
    create_time: Mapped[datetime]
    expire_time: Mapped[datetime]
    spend_time: Mapped[datetime | None]


class PendingSignIn(Base):
    """A sign-in that waits for the second factor, by the hash of its token."""

    __tablename__ = "pending_sign_in"
    __table_args__ = (
        Index("pending_sign_in_user", "user_id"),
        Index("pending_sign_in_expire_time", "expire_time"),
        {"info": {"access": "person"}},
    )
    token_hash: Mapped[bytes] = mapped_column(primary_key=True)
    user_id: Mapped[UUID] = mapped_column(ForeignKey("user_account.user_id", ondelete="CASCADE"))
    network_hash: Mapped[bytes]
    known_network: Mapped[bool]
    create_time: Mapped[datetime]
    expire_time: Mapped[datetime]
