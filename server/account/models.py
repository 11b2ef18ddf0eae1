"""The table of proofs."""

from datetime import datetime
from uuid import UUID

from sqlalchemy import CheckConstraint, ForeignKey, Index, text
from sqlalchemy.orm import Mapped, mapped_column

from server.core.schema import Base


class AccountProof(Base):
    """A proof that is asked for at `address`: who answers with its token owns the address.

    The token, or for a telephone the code, is derived from `proof_id`. Without an account nobody
    has the address, or background work has not looked yet. `previous_address` is that of the
    account before the proof changed it, until whoever reads it has been told.
    """

    __tablename__ = "account_proof"
    __table_args__ = (
        CheckConstraint(
            "purpose IN ('verify_email', 'reset_password', 'change_email', 'verify_phone',"
            " 'delete_account')",
            name="purpose",
        ),
        CheckConstraint("user_id IS NOT NULL OR purpose = 'reset_password'", name="owner"),
        Index("account_proof_user", "user_id", "purpose", "create_time"),
        Index("account_proof_expire_time", "expire_time"),
        {"info": {"access": "person"}},
    )
    proof_id: Mapped[UUID] = mapped_column(primary_key=True)
    user_id: Mapped[UUID | None] = mapped_column(
        ForeignKey("user_account.user_id", ondelete="CASCADE")
    )
    purpose: Mapped[str]
    address: Mapped[str]
    create_time: Mapped[datetime]
    expire_time: Mapped[datetime]
    use_time: Mapped[datetime | None]
    tries: Mapped[int] = mapped_column(server_default=text("0"))
    previous_address: Mapped[str | None]
