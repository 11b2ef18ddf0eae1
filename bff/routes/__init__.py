"""The whole REST interface: a table of routes for each resource."""

from typing import Final

from bff.route import Route
from bff.routes import admin, appointments, auth, clinics, doctor, doctors, me, reference

ROUTES: Final[tuple[Route, ...]] = (
    *auth.ROUTES,
    *me.ROUTES,
    *reference.ROUTES,
    *doctors.ROUTES,
    *appointments.ROUTES,
    *doctor.ROUTES,
    *clinics.ROUTES,
    *admin.ROUTES,
)
