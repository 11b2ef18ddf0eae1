"""Who calls, and which RPCs are open to them."""

from dataclasses import dataclass
from uuid import UUID


@dataclass(frozen=True, slots=True)
class Caller:
    """The person behind a call, from the verified token alone.

    `role` is 'patient', 'doctor', 'staff' or 'admin'; empty when nobody is signed in.
    """

    user_id: UUID | None = None
    role: str = ""
    session_id: UUID | None = None


ANONYMOUS = Caller()
