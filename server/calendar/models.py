"""The table of calendar feeds."""

from datetime import datetime
from uuid import UUID

from sqlalchemy import ForeignKey, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column

from server.core.schema import NOW, Base


class CalendarFeed(Base):
    """The feed of a person; its secret is known by its hash alone."""

    __tablename__ = "calendar_feed"
    __table_args__ = (UniqueConstraint("token_hash"), {"info": {"access": "person"}})
    user_id: Mapped[UUID] = mapped_column(
        ForeignKey("user_account.user_id", ondelete="CASCADE"), primary_key=True
    )
    token_hash: Mapped[bytes]
    create_time: Mapped[datetime] = mapped_column(server_default=NOW)
