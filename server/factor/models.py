"""The tables of second factors."""

from datetime import datetime
from uuid import UUID

from sqlalchemy import BigInteger, CheckConstraint, ForeignKey, Index, text
from sqlalchemy.orm import Mapped, mapped_column

from server.core.schema import Base


class Factor(Base):
    """A second factor; it counts from `confirm_time` on.

    An authenticator app has a secret, sealed, and the last time step whose code was taken; a
    passkey its credential's id, public key and counter.
    """

    __tablename__ = "factor"
    __table_args__ = (
        CheckConstraint("kind IN ('totp', 'passkey')", name="kind"),
        CheckConstraint("(kind = 'totp') = (secret IS NOT NULL)", name="secret"),
        CheckConstraint(
            "(kind = 'passkey') = (credential_id IS NOT NULL AND public_key IS NOT NULL)",
            name="credential",
        ),
        Index("factor_user", "user_id", "create_time"),
        {"info": {"access": "person"}},
    )
    factor_id: Mapped[UUID] = mapped_column(primary_key=True)
    user_id: Mapped[UUID] = mapped_column(ForeignKey("user_account.user_id", ondelete="CASCADE"))
    kind: Mapped[str]
    name: Mapped[str]
    secret: Mapped[bytes | None]
    last_step: Mapped[int] = mapped_column(BigInteger, server_default=text("0"))
    credential_id: Mapped[bytes | None] = mapped_column(unique=True)
    public_key: Mapped[bytes | None]
    sign_count: Mapped[int] = mapped_column(BigInteger, server_default=text("0"))
    create_time: Mapped[datetime]
    confirm_time: Mapped[datetime | None]
    use_time: Mapped[datetime | None]


class FactorChallenge(Base):
    """What a passkey is asked to sign, once; `purpose` is add or check."""

    __tablename__ = "factor_challenge"
    __table_args__ = (
        CheckConstraint("purpose IN ('add', 'check')", name="purpose"),
        Index("factor_challenge_user", "user_id"),
        Index("factor_challenge_expire_time", "expire_time"),
        {"info": {"access": "person"}},
    )
    challenge: Mapped[bytes] = mapped_column(primary_key=True)
    user_id: Mapped[UUID] = mapped_column(ForeignKey("user_account.user_id", ondelete="CASCADE"))
    purpose: Mapped[str]
    expire_time: Mapped[datetime]


class RecoveryCode(Base):
    """A recovery code by its keyed hash; `spend_time` is when it was used."""

    __tablename__ = "recovery_code"
    __table_args__ = (
        Index("recovery_code_user", "user_id"),
        {"info": {"access": "person"}},
    )
    code_hash: Mapped[bytes] = mapped_column(primary_key=True)
    user_id: Mapped[UUID] = mapped_column(ForeignKey("user_account.user_id", ondelete="CASCADE"))
    create_time: Mapped[datetime]
    spend_time: Mapped[datetime | None]
