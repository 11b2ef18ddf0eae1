"""The whole REST interface: a table of routes for each resource."""

from typing import Final

from bff.route import Route
from bff.routes import (
    account,
    admin,
    appointments,
    audit,
    auth,
    calendar,
    clinics,
    doctor,
    doctors,
    factors,
    keys,
    me,
    practices,
    queues,
    reference,
    session,
    waitlist,
)

ROUTES: Final[tuple[Route, ...]] = (
    *auth.ROUTES,
    *session.ROUTES,
    *account.ROUTES,
    *factors.ROUTES,
    *keys.ROUTES,
    *me.ROUTES,
    *reference.ROUTES,
    *doctors.ROUTES,
    *appointments.ROUTES,
    *calendar.ROUTES,
    *waitlist.ROUTES,
    *doctor.ROUTES,
    *clinics.ROUTES,
    *practices.ROUTES,
    *queues.ROUTES,
    *admin.ROUTES,
    *audit.ROUTES,
)
