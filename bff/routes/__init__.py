"""The whole REST interface: a table of routes for each resource."""

from typing import Final

from bff.route import Route
from bff.routes import (
    admin,
    appointments,
    auth,
    calendar,
    clinics,
    doctor,
    doctors,
    me,
    practices,
    queues,
    reference,
)

ROUTES: Final[tuple[Route, ...]] = (
    *auth.ROUTES,
    *me.ROUTES,
    *reference.ROUTES,
    *doctors.ROUTES,
    *appointments.ROUTES,
    *calendar.ROUTES,
    *doctor.ROUTES,
    *clinics.ROUTES,
    *practices.ROUTES,
    *queues.ROUTES,
    *admin.ROUTES,
)
