"""Requests of the contract as plain values."""

from uuid import UUID

from carelane.directory.v1 import directory_service_pb2 as pb
from server.core.errors import InvalidField
from server.core.wire import to_money
from server.directory.clinics import Opening
from server.directory.profile import Licence, Profile
from server.directory.search import Search


def search(request: pb.SearchDoctorsRequest, treating: list[UUID] | None, year: int) -> Search:
    """Read a search; `treating` are the specialties for its symptoms, `year` is the present one."""
    years = request.min_experience_years
    return Search(
        specialties=request.specialties,
        treating=treating,
        city=request.city,
        text=request.text,
        min_fee=request.min_fee if request.HasField("min_fee") else None,
        max_fee=request.max_fee if request.HasField("max_fee") else None,
        min_rating=request.min_rating if request.HasField("min_rating") else None,
        practising_since=year - years if years else None,
        languages=request.languages,
    )


def profile(request: pb.UpsertDoctorProfileRequest) -> Profile:
    """Read a profile; texts lose the space around them, and must not be only space."""
    return Profile(
        full_name=_line(request.full_name, "full_name"),
        qualifications=_line(request.qualifications, "qualifications"),
        practising_since=request.practising_since,
        languages=list(request.languages),
        bio=request.bio.strip(),
        specialties=list(request.specialties),
        licence=Licence(
            _line(request.licence_number, "licence_number"),
            _line(request.licence_council, "licence_council"),
            request.licence_year,
        ),
    )


def opening(request: pb.UpsertDoctorProfileRequest) -> Opening | None:
    """Read the clinic to be opened; None when there is none, and then nothing that goes with it."""
    has_fee = request.HasField("fee")
    if not request.HasField("new_clinic"):
        given = {"fee": has_fee, "visit_length_minutes": bool(request.visit_length_minutes)}
        for field in (field for field, is_given in given.items() if is_given):
            raise InvalidField(field, "goes with new_clinic only")
        return None
    clinic = request.new_clinic
    return Opening(
        name=_line(clinic.name, "new_clinic.name"),
        address=_line(clinic.address, "new_clinic.address"),
        city=clinic.city,
        phone=clinic.phone,
        fee=to_money(request.fee, "fee") if has_fee else None,
        visit_minutes=request.visit_length_minutes,
    )


def _line(text: str, field: str) -> str:
    """Answer the text with single spaces between its words."""
    line = " ".join(text.split())
    if not line:
        raise InvalidField(field, "must not be blank")
    return line
