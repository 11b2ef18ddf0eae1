"""The heads of the audit's chains."""

from uuid import UUID

from sqlalchemy import BigInteger, CheckConstraint, text
from sqlalchemy.orm import Mapped, mapped_column

from server.core.schema import Base


class AuditHead(Base):
    """The last row of a chain: its number and its seal, and how far it was copied outside.

    `chain_id` is the clinic; the platform's own chain has an id of zeros.
    """

    __tablename__ = "audit_head"
    __table_args__ = (
        CheckConstraint("copied_number BETWEEN 0 AND last_number", name="numbers"),
        {"info": {"access": "system"}},
    )
    chain_id: Mapped[UUID] = mapped_column(primary_key=True)
    last_number: Mapped[int] = mapped_column(BigInteger, server_default=text("0"))
    last_seal: Mapped[bytes] = mapped_column(server_default=text("''"))
    copied_number: Mapped[int] = mapped_column(BigInteger, server_default=text("0"))
