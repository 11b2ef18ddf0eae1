"""/api/waitlist: waiting for a time that comes free, and answering when one is offered."""

from typing import Final

from bff.route import Route

_SERVICE: Final = "carelane.waitlist.v1.WaitlistService"
_OFFER: Final = "/api/waitlist/offers/{offer_id}"

ROUTES: Final = (
    Route("POST", "/api/waitlist", f"{_SERVICE}.JoinWaitlist", status=201),
    Route("GET", "/api/waitlist", f"{_SERVICE}.ListMyWaitlist"),
    Route("POST", "/api/waitlist/{entry_id}/leave", f"{_SERVICE}.LeaveWaitlist"),
    Route("POST", f"{_OFFER}/accept", f"{_SERVICE}.AcceptOffer", status=201),
    Route("POST", f"{_OFFER}/decline", f"{_SERVICE}.DeclineOffer"),
    Route("GET", "/api/doctor/waitlist", f"{_SERVICE}.ListWaitlist"),
)
