"""/api/appointments: booking a visit, and following it to its end."""

from typing import Final

from bff.route import Route

_SERVICE: Final = "carelane.appointment.v1.AppointmentService"
_ONE: Final = "/api/appointments/{appointment_id}"
_POLICY: Final = "/api/practices/{practice_id}/cancel-policy"

ROUTES: Final = (
    Route("POST", "/api/appointments", f"{_SERVICE}.BookAppointment", status=201),
    Route("POST", "/api/appointments/family", f"{_SERVICE}.BookFamily", status=201),
    Route("POST", "/api/appointments/series", f"{_SERVICE}.BookSeries", status=201),
    Route("GET", "/api/appointments", f"{_SERVICE}.ListAppointments"),
    Route("POST", "/api/holds", f"{_SERVICE}.HoldSlot", status=201),
    Route("DELETE", "/api/holds/{hold_id}", f"{_SERVICE}.ReleaseHold"),
    Route("GET", _ONE, f"{_SERVICE}.GetAppointment"),
    Route("POST", f"{_ONE}/confirm", f"{_SERVICE}.ConfirmAppointment"),
    Route("POST", f"{_ONE}/reschedule", f"{_SERVICE}.RescheduleAppointment"),
    Route("POST", f"{_ONE}/cancel", f"{_SERVICE}.CancelAppointment"),
    Route("POST", f"{_ONE}/complete", f"{_SERVICE}.CompleteAppointment"),
    Route("POST", f"{_ONE}/no-show", f"{_SERVICE}.MarkNoShow"),
    Route("POST", f"{_ONE}/no-show/undo", f"{_SERVICE}.UndoNoShow"),
    Route("PUT", _POLICY, f"{_SERVICE}.SetCancelPolicy"),
    Route("GET", _POLICY, f"{_SERVICE}.GetCancelPolicy"),
)
