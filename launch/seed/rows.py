"""What passes from the invented world to the database."""

from collections.abc import Iterable
from typing import Any, NamedTuple
from uuid import UUID


class Rows(NamedTuple):
    """Rows for one table; the names of their columns are separated by blanks."""

    table: str
    columns: str
    records: Iterable[tuple[Any, ...]]


Revisions = dict[UUID, int]
"""The newest feed revision of each clinic; making feed rows moves it on."""

USER = "user_id email full_name role time_zone language create_time update_time"
MEMBER = "clinic_id user_id role create_time"
