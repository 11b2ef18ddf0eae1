"""The sentences that people are told, each from what is known at delivery.

Times are those of the clinic's wall clock, and name its zone: the reader may be elsewhere.
"""

from collections.abc import Mapping
from datetime import datetime
from typing import Any, NamedTuple
from zoneinfo import ZoneInfo

PARTIES = {
    "patient": "the patient",
    "doctor": "the doctor",
    "clinic": "the clinic",
    "platform": "the platform",
}


class Words(NamedTuple):
    """What one person is told: one line, and a sentence or two."""

    title: str
    body: str


def for_patient(topic: str, visit: Mapping[str, Any]) -> Words:
    """Tell the patient what became of their visit."""
    doctor, clinic, when = visit["doctor_name"], visit["clinic_name"], _when(visit)
    who, whose = _who(visit)
    match topic:
        case "appointment.booked":
            place = visit["clinic_address"]
            return Words(
                "Appointment booked", f"{doctor} sees {who} on {when} at {clinic}, {place}."
            )
        case "appointment.moved":
            return Words("Appointment moved", f"{doctor} now sees {who} on {when} at {clinic}.")
        case "appointment.confirmed":
            return Words(
                "Appointment confirmed", f"{clinic} expects {who} on {when}, with {doctor}."
            )
        case "appointment.cancelled":
            text = f"{whose} appointment with {doctor} on {when} at {clinic} {_called_off(visit)}"
            return Words("Appointment cancelled", text)
        case "appointment.completed":
            return Words("Visit completed", f"{doctor} saw {who} on {when} at {clinic}.")
        case "appointment.no_show":
            text = f"{doctor} did not see {who} on {when} at {clinic}."
            return Words("Appointment missed", text + " If this is wrong, speak to the clinic.")
    raise LookupError(topic)


def for_doctor(topic: str, visit: Mapping[str, Any]) -> Words:
    """Tell the doctor what became of a visit."""
    patient = visit["patient_name"] or "A patient"
    clinic, when = visit["clinic_name"], _when(visit)
    match topic:
        case "appointment.booked":
            return Words("New appointment", f"{patient} comes on {when} to {clinic}.")
        case "appointment.moved":
            return Words("Appointment moved", f"{patient} now comes on {when} to {clinic}.")
        case "appointment.cancelled":
            text = f"{patient}, on {when} at {clinic}: the visit {_called_off(visit)}"
            return Words("Appointment cancelled", text)
    raise LookupError(topic)


def for_waiting(topic: str, offer: Mapping[str, Any]) -> Words:
    """Tell who waits what became of a time that was kept for them."""
    doctor, clinic, when = offer["doctor_name"], offer["clinic_name"], _when(offer)
    who, _ = _who(offer)
    if topic == "waitlist.lapsed":
        wait = "You go on waiting." if who == "you" else f"{who} goes on waiting."
        text = f"{when} with {doctor} at {clinic} went to the next one. {wait}"
        return Words("An offer has ended", text)
    zone = ZoneInfo(offer["time_zone"])
    until = f"{offer['expire_time'].astimezone(zone):%H:%M}"
    text = f"{doctor} can see {who} on {when} at {clinic}. Accept it by {until}."
    return Words("A time came free", text)


def late(visit: Mapping[str, Any], minutes: int) -> Words:
    """Tell a patient of today how late the doctor is; 0 minutes is on time again."""
    doctor, clinic, when = visit["doctor_name"], visit["clinic_name"], _when(visit)
    _, whose = _who(visit)
    text = f"{whose} appointment at {clinic} is on {when}."
    if not minutes:
        return Words("On time again", f"{doctor} is on time again. {text}")
    behind = "1 minute" if minutes == 1 else f"{minutes} minutes"
    return Words("Running late", f"{doctor} is about {behind} late today. {text}")


def _who(visit: Mapping[str, Any]) -> tuple[str, str]:
    """Answer who is treated and whose the visit is, to the reader who booked it."""
    if visit["patient_id"] == visit["account_id"]:
        return "you", "Your"
    return visit["patient_name"], f"{visit['patient_name']}'s"


def verified() -> Words:
    """Tell a doctor that they are verified."""
    return Words("You are verified", "Patients can now find and book you.")


def rejected(reason: str) -> Words:
    """Tell a doctor that they are not, and why."""
    text = f"Correct your profile to ask again. Reason given: {reason}"
    return Words("Your verification was refused", text)


def joined(clinic_name: str, role: str) -> Words:
    """Tell a person that they now work at a clinic."""
    return Words(f"You work at {clinic_name}", f"Your role there: {role.replace('_', ' ')}.")


def _when(visit: Mapping[str, Any]) -> str:
    start: datetime = visit["start_time"]
    local = start.astimezone(ZoneInfo(visit["time_zone"]))
    return f"{local:%A} {local.day} {local:%B %Y} at {local:%H:%M} ({visit['time_zone']})"


def _called_off(visit: Mapping[str, Any]) -> str:
    who = PARTIES[visit["cancelled_by"]]
    reason = f" Reason given: {visit['cancel_reason']}" if visit["cancel_reason"] else ""
    return f"was called off by {who}.{reason}"
