"""The table of letters that wait, and of what became of them."""

from datetime import datetime
from uuid import UUID

from sqlalchemy import CheckConstraint, ForeignKey, Index, UniqueConstraint, text
from sqlalchemy.orm import Mapped, mapped_column

from server.core.schema import NEW_ID, NOW, Base


class Mail(Base):
    """A letter to the account's address, or to `address`; `subject_id` is what it is about.

    `due_time` is when somebody may send it next: who sends it moves that on first, so that others
    leave it alone meanwhile. After `expire_time` it is of no use any more.
    """

    __tablename__ = "mail"
    __table_args__ = (
        UniqueConstraint("outbox_id", "kind"),
        CheckConstraint("channel IN ('email', 'sms')", name="channel"),
        CheckConstraint("outcome IN ('sent', 'refused', 'expired', 'dropped')", name="outcome"),
        CheckConstraint("(end_time IS NULL) = (outcome IS NULL)", name="ended"),
        CheckConstraint(
            "end_time IS NOT NULL OR user_id IS NOT NULL OR address IS NOT NULL", name="recipient"
        ),
        Index("mail_due", "due_time", "mail_id", postgresql_where=text("end_time IS NULL")),
        Index("mail_end", "end_time", postgresql_where=text("end_time IS NOT NULL")),
        Index("mail_user", "user_id"),
        {"info": {"access": "system"}},
    )
    mail_id: Mapped[UUID] = mapped_column(primary_key=True, server_default=NEW_ID)
    outbox_id: Mapped[UUID]
    kind: Mapped[str]
    channel: Mapped[str]
    user_id: Mapped[UUID | None] = mapped_column(
        ForeignKey("user_account.user_id", ondelete="CASCADE")
    )
    address: Mapped[str | None]
    subject_id: Mapped[UUID]
    create_time: Mapped[datetime] = mapped_column(server_default=NOW)
    due_time: Mapped[datetime] = mapped_column(server_default=NOW)
    expire_time: Mapped[datetime]
    attempts: Mapped[int] = mapped_column(server_default=text("0"))
    last_error: Mapped[str | None]
    end_time: Mapped[datetime | None]
    outcome: Mapped[str | None]
