"""/api/queues: the day at the clinic, of a practice; checking in is done to an appointment."""

from typing import Final

from bff.route import Route

_SERVICE: Final = "carelane.queue.v1.QueueService"
_VISIT: Final = "/api/appointments/{appointment_id}"
_QUEUE: Final = "/api/queues/{practice_id}"

ROUTES: Final = (
    Route("POST", f"{_VISIT}/check-in", f"{_SERVICE}.CheckIn"),
    Route("POST", f"{_VISIT}/start", f"{_SERVICE}.StartConsultation"),
    Route("GET", f"{_VISIT}/queue-place", f"{_SERVICE}.GetQueuePlace"),
    Route("GET", _QUEUE, f"{_SERVICE}.GetQueue"),
    Route("GET", f"{_QUEUE}/live", f"{_SERVICE}.WatchQueue"),
    Route("POST", f"{_QUEUE}/call-next", f"{_SERVICE}.CallNext"),
    Route("POST", f"{_QUEUE}/running-late", f"{_SERVICE}.RunningLate"),
    Route("PUT", f"{_QUEUE}/settings", f"{_SERVICE}.SetQueueSettings"),
)
