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
ACTIVE = frozenset({"pending_payment", "booked", "checked_in", "in_consultation"})


class IllegalStatusChange(FailedPrecondition):
    """The state of the appointment does not allow the change."""

    reason = "ILLEGAL_STATUS_CHANGE"


def check_change(current: str, wanted: str) -> None:
    """Raise IllegalStatusChange, naming both states, unless the change is legal."""
    if wanted not in LEGAL[current]:
        raise illegal(current, wanted)


def check_is(current: str, needed: str, wanted: str) -> None:
    """Raise IllegalStatusChange unless the state is the one from which the change starts."""
    if current != needed:
        raise illegal(current, wanted)


def illegal(current: str, wanted: str) -> IllegalStatusChange:
    """Make the refusal of a change."""
    return IllegalStatusChange(
        f"An appointment that is {current} cannot become {wanted}.",
        metadata={"current": current.upper(), "wanted": wanted.upper()},
    )
