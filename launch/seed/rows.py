"""What passes from the invented world to the database."""

from collections.abc import Iterable
from typing import Any, NamedTuple
from uuid import UUID


class Rows(NamedTuple):
    """Rows for one table; the names of their columns are separated by blanks."""

    table: str
    columns: str
    records: Iterable[tuple[Any, ...]]


class Revisions:
    """The newest feed revision of each clinic, and which ones moved on since they were taken."""

    def __init__(self, newest: dict[UUID, int]) -> None:
        self._newest = newest
        self._moved: dict[UUID, int] = {}

    def next(self, clinic_id: UUID) -> int:
        """Move a clinic's feed on by one."""
        revision = self._newest.get(clinic_id, 0) + 1
        self._newest[clinic_id] = self._moved[clinic_id] = revision
        return revision

    def take_moved(self) -> dict[UUID, int]:
        moved, self._moved = self._moved, {}
        return moved


USER = "user_id email full_name role time_zone language create_time update_time email_verify_time"
MEMBER = "clinic_id user_id role create_time"
