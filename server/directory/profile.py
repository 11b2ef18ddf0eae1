"""A doctor's own profile: read whole, written whole."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple
from uuid import UUID

from asyncpg import Record
from babel import Locale
from sqlalchemy import bindparam, delete, insert, select, update
from sqlalchemy.dialects import postgresql

from server.core.db import Reader, Transaction, sql
from server.core.errors import EtagMismatch, InvalidField, NotFound, Serialization
from server.directory import doctors, reference, verification
from server.directory.models import DoctorProfile, DoctorSpecialty

_EDITABLE = ("full_name", "qualifications", "practising_since", "languages", "bio")
_LANGUAGES = frozenset(Locale("en").languages)

LOCK = sql(
    select(DoctorProfile.revision, *(getattr(DoctorProfile, name) for name in _EDITABLE))
    .where(DoctorProfile.doctor_id == bindparam("doctor"))
    .with_for_update()
)
INSERT = sql(
    postgresql.insert(DoctorProfile)
    .values(
        {name: bindparam(name) for name in _EDITABLE}
        | {
            "doctor_id": bindparam("doctor"),
            "create_time": bindparam("now"),
            "update_time": bindparam("now"),
        }
    )
    .on_conflict_do_nothing()
    .returning(DoctorProfile.doctor_id)
)
UPDATE = sql(
    update(DoctorProfile)
    .where(DoctorProfile.doctor_id == bindparam("doctor"))
    .values(
        {name: bindparam(f"new_{name}") for name in _EDITABLE}
        | {"revision": DoctorProfile.revision + 1, "update_time": bindparam("now")}
    )
)
TOUCH = sql(
    update(DoctorProfile)
    .where(DoctorProfile.doctor_id == bindparam("doctor"))
    .values(revision=DoctorProfile.revision + 1, update_time=bindparam("now"))
)
SPECIALTIES = sql(
    select(DoctorSpecialty.specialty_id)
    .where(DoctorSpecialty.doctor_id == bindparam("doctor"))
    .order_by(DoctorSpecialty.position)
)
CLEAR_SPECIALTIES = sql(
    delete(DoctorSpecialty).where(DoctorSpecialty.doctor_id == bindparam("doctor"))
)
ADD_SPECIALTY = sql(
    insert(DoctorSpecialty).values(
        doctor_id=bindparam("doctor"),
        specialty_id=bindparam("specialty"),
        position=bindparam("place"),
    )
)


class Licence(NamedTuple):
    """The evidence that somebody is a doctor."""

    number: str
    council: str
    year: int


@dataclass(frozen=True, slots=True)
class Profile:
    """What a doctor says of themselves; `specialties` are slugs, the main one first."""

    full_name: str
    qualifications: str
    practising_since: int
    languages: Sequence[str]
    bio: str
    specialties: Sequence[str]
    licence: Licence


async def get(reader: Reader, doctor_id: UUID) -> Record:
    """Answer a doctor's profile, whatever its verification; NotFound before there is one."""
    row = await reader.one(doctors.GET, id=doctor_id)
    if row is None:
        raise NotFound("There is no profile yet.")
    return row


async def upsert(tx: Transaction, doctor_id: UUID, profile: Profile, *, expected: str) -> None:
    """Make the profile, or replace it when it is still the one with the etag `expected`.

    An empty `expected` overwrites. The first licence, and every change of it, asks for
    verification. The profile stays locked until the end of the transaction.
    """
    _check_years(profile, tx.now.year)
    _check_languages(profile.languages)
    specialties = await _specialty_ids(tx, profile.specialties)
    current = await tx.one(LOCK, doctor=doctor_id)
    if expected and (current is None or expected != str(current["revision"])):
        raise EtagMismatch
    if current is None:
        await _make(tx, doctor_id, profile)
    else:
        await _replace(tx, doctor_id, profile, current)
    await _set_specialties(tx, doctor_id, specialties)
    await _ask_again(tx, doctor_id, profile.licence)


async def _make(tx: Transaction, doctor_id: UUID, profile: Profile) -> None:
    made = await tx.one(INSERT, doctor=doctor_id, now=tx.now, **_edited(profile))
    if made is None:
        raise Serialization  # made meanwhile by another request of the doctor: now there is a row
    tx.record("doctor.profile_created", doctor_id, fields=_EDITABLE)


async def _replace(tx: Transaction, doctor_id: UUID, profile: Profile, current: Record) -> None:
    edited = _edited(profile)
    changed = [name for name in _EDITABLE if edited[name] != current[name]]
    if changed:
        values = {f"new_{name}": value for name, value in edited.items()}
        await tx.run(UPDATE, doctor=doctor_id, now=tx.now, **values)
        tx.record("doctor.profile_edited", doctor_id, fields=changed)


async def _set_specialties(tx: Transaction, doctor_id: UUID, wanted: Sequence[UUID]) -> None:
    rows = await tx.all(SPECIALTIES, doctor=doctor_id)
    if [row["specialty_id"] for row in rows] == list(wanted):
        return
    await tx.run(CLEAR_SPECIALTIES, doctor=doctor_id)
    await tx.many(
        ADD_SPECIALTY,
        [
            {"doctor": doctor_id, "specialty": specialty_id, "place": place}
            for place, specialty_id in enumerate(wanted)
        ],
    )
    await tx.run(TOUCH, doctor=doctor_id, now=tx.now)
    tx.record("doctor.specialties_changed", doctor_id, fields=("specialties",))


async def _ask_again(tx: Transaction, doctor_id: UUID, licence: Licence) -> None:
    """Ask for verification when the licence is not the one of the newest request."""
    latest = await verification.latest(tx, doctor_id)
    if latest is None or licence != _licence_of(latest):
        await verification.request(tx, doctor_id, licence)


def _licence_of(row: Record) -> Licence:
    return Licence(row["licence_number"], row["licence_council"], row["licence_year"])


async def _specialty_ids(tx: Transaction, slugs: Sequence[str]) -> list[UUID]:
    known = await reference.specialty_ids(tx, slugs)
    for index, slug in enumerate(slugs):
        if slug not in known:
            raise InvalidField(f"specialties[{index}]", "must be the slug of a specialty")
    return [known[slug] for slug in slugs]


def _edited(profile: Profile) -> dict[str, Any]:
    return {name: getattr(profile, name) for name in _EDITABLE}


def _check_years(profile: Profile, year: int) -> None:
    years = {"practising_since": profile.practising_since, "licence_year": profile.licence.year}
    for field, value in years.items():
        if value > year:
            raise InvalidField(field, "must not be in the future")


def _check_languages(codes: Sequence[str]) -> None:
    for index, code in enumerate(codes):
        if code not in _LANGUAGES:
            raise InvalidField(f"languages[{index}]", "must be a language code of ISO 639-1")
