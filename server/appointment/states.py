"""The states of a visit and the legal changes between them: the one table.

The comment on `AppointmentStatus` in the contract and the check in the database are tested
against it.
"""

from server.core.errors import FailedPrecondition

LEGAL: dict[str, frozenset[str]] = {
    "pending_payment": frozenset({"booked", "cancelled"}),
    "booked": frozenset({"booked", "checked_in", "completed", "cancelled", "no_show"}),
    "checked_in": frozenset({"in_consultation", "completed", "cancelled"}),
    "in_consultation": frozenset({"completed", "cancelled"}),
    "completed": frozenset(),
    "cancelled": frozenset(),
    "no_show": frozenset({"booked"}),
}
_SAID = {
    "pending_payment": "waiting for its payment",
    "booked": "booked",
    "checked_in": "checked in",
    "in_consultation": "under way",
    "completed": "completed",
    "cancelled": "cancelled",
    "no_show": "marked as missed",
}
ACTIVE = frozenset({"pending_payment", "booked", "checked_in", "in_consultation"})


class IllegalStatusChange(FailedPrecondition):
    """The state of the appointment does not allow the change."""

    reason = "ILLEGAL_STATUS_CHANGE"


def check_change(current: str, wanted: str) -> None:
    """Raise IllegalStatusChange, naming both states, unless the change is legal."""
    if wanted not in LEGAL[current]:
        raise illegal(current, wanted, _SAID[wanted])


def check_is(current: str, needed: str, wanted: str, change: str = "") -> None:
    """Raise IllegalStatusChange unless the state is the one from which the change starts."""
    if current != needed:
        raise illegal(current, wanted, change or _SAID[wanted])


def illegal(current: str, wanted: str, change: str) -> IllegalStatusChange:
    """Answer the refusal of a change, which `change` names as a participle."""
    again = current == wanted and current != "booked"
    state = _SAID[current]
    return IllegalStatusChange(
        f"The appointment is {state} already."
        if again
        else f"The appointment is {state} and cannot be {change}.",
        metadata={"current": current.upper(), "wanted": wanted.upper()},
    )
