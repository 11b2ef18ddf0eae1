"""/api/specialties, /api/cities and /api/hospitals: lists that everybody chooses from."""

from typing import Final

from bff.route import Route

_SERVICE: Final = "carelane.directory.v1.DirectoryService"

ROUTES: Final = (
    Route("GET", "/api/specialties", f"{_SERVICE}.ListSpecialties", cache=60),
    Route("GET", "/api/cities", f"{_SERVICE}.ListCities", cache=60),
    Route("GET", "/api/hospitals", f"{_SERVICE}.ListHospitals", cache=60),
)
