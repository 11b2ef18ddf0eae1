"""Why a time is not given."""

from datetime import datetime

from server.availability.schedule import Offer
from server.availability.slots import Refusal, refusal
from server.core.errors import AlreadyExists, FailedPrecondition


class SlotTaken(AlreadyExists):
    """Somebody else has the time."""

    reason = "SLOT_TAKEN"
    text = "The time is taken; choose another one."

    def __init__(self) -> None:
        super().__init__(self.text, fields=(("start_time", Refusal.BUSY.value),))


class PatientBusy(AlreadyExists):
    """The patient has another visit then."""

    reason = "PATIENT_BUSY"
    text = "The patient has another appointment at that time."

    def __init__(self) -> None:
        super().__init__(self.text, fields=(("start_time", "must be when the patient is free"),))


class NotBookable(FailedPrecondition):
    """A rule of the practice refuses the time; `rule` in the metadata names it."""

    reason = "NOT_BOOKABLE"

    def __init__(self, why: Refusal) -> None:
        super().__init__(
            f"The start {why.value}.",
            fields=(("start_time", why.value),),
            metadata={"rule": why.name},
        )


class TooEarly(FailedPrecondition):
    """The visit is not due yet."""

    reason = "TOO_EARLY"


class TooLate(FailedPrecondition):
    """It is too late for that change."""

    reason = "TOO_LATE"


def check(offer: Offer, start: datetime, now: datetime) -> None:
    """Raise SlotTaken or NotBookable unless a visit can start then."""
    why = refusal(offer.schedule, start, now)
    if why and why.is_taken:
        raise SlotTaken
    if why:
        raise NotBookable(why)
