"""/api/practices: the rules by which the times of a doctor at a clinic are booked."""

from typing import Final

from bff.route import Route

_SERVICE: Final = "carelane.availability.v1.AvailabilityService"
_TYPES: Final = "/api/practices/{practice_id}/visit-types"

ROUTES: Final = (
    Route("GET", _TYPES, f"{_SERVICE}.ListVisitTypes"),
    Route("POST", _TYPES, f"{_SERVICE}.CreateVisitType", status=201),
    Route("PUT", "/api/visit-types/{visit_type_id}", f"{_SERVICE}.UpdateVisitType"),
    Route("GET", "/api/practices/{practice_id}/explanation", f"{_SERVICE}.ExplainTime"),
    Route(
        "POST", "/api/practices/{practice_id}/schedule-preview", f"{_SERVICE}.PreviewScheduleChange"
    ),
)
