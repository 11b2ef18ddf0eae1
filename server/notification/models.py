"""The table of what people are told."""

from datetime import datetime
from uuid import UUID

from sqlalchemy import CheckConstraint, ForeignKey, Index, UniqueConstraint, text
from sqlalchemy.orm import Mapped, mapped_column

from server.core.schema import NEW_ID, Base


class Notification(Base):
    """One thing that one person is told; `create_time` is when it happened."""

    __tablename__ = "notification"
    __table_args__ = (
        UniqueConstraint("outbox_id", "user_id"),
        CheckConstraint(
            "kind IN ('appointment_booked', 'appointment_confirmed', 'appointment_cancelled',"
            " 'appointment_completed', 'appointment_no_show', 'doctor_verified',"
            " 'doctor_rejected', 'clinic_joined', 'appointment_moved', 'waitlist_offered',"
            " 'waitlist_lapsed', 'queue_running_late')",
            name="kind",
        ),
        Index("notification_user", "user_id", "create_time", "notification_id"),
        Index(
            "notification_unread",
            "user_id",
            "create_time",
            "notification_id",
            postgresql_where=text("read_time IS NULL"),
        ),
        {"info": {"access": "person"}},
    )
    notification_id: Mapped[UUID] = mapped_column(primary_key=True, server_default=NEW_ID)
    user_id: Mapped[UUID] = mapped_column(ForeignKey("user_account.user_id", ondelete="CASCADE"))
    kind: Mapped[str]
    title: Mapped[str]
    body: Mapped[str]
    subject_id: Mapped[UUID]
    outbox_id: Mapped[UUID]
    create_time: Mapped[datetime]
    read_time: Mapped[datetime | None]
