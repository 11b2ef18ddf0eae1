"""The table of those who are treated."""

from datetime import date, datetime
from uuid import UUID

from sqlalchemy import CheckConstraint, ForeignKey, Index
from sqlalchemy.orm import Mapped, mapped_column

from server.core.schema import NEW_ID, NOW, Base


class Patient(Base):
    """Somebody who is treated. `account_id` sees their visits and books for them.

    Everybody with an account is a patient with the account's id, made by the database with it,
    whose name is the account's; the others are dependants.
    """

    __tablename__ = "patient"
    __table_args__ = (
        CheckConstraint("relation IN ('child', 'parent', 'partner', 'other')", name="relation"),
        CheckConstraint(
            "(patient_id = account_id) = (full_name IS NULL)"
            " AND (patient_id = account_id) = (relation IS NULL)",
            name="dependant",
        ),
        Index("patient_account", "account_id", "create_time", "patient_id"),
        {"info": {"access": "person"}},
    )
    patient_id: Mapped[UUID] = mapped_column(primary_key=True, server_default=NEW_ID)
    account_id: Mapped[UUID] = mapped_column(ForeignKey("user_account.user_id", ondelete="CASCADE"))
    full_name: Mapped[str | None]
    relation: Mapped[str | None]
    birth_date: Mapped[date | None]
    end_time: Mapped[datetime | None]
    create_time: Mapped[datetime] = mapped_column(server_default=NOW)
