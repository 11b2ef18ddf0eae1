"""One entry as everybody reads it: with names, and the offer that is open."""

from typing import Any

from sqlalchemy import FromClause, Select, any_, bindparam, func, select

from server.core.db import sql
from server.directory import queries as directory
from server.patient import queries as patients
from server.waitlist.models import WaitlistEntry, WaitlistOffer

OFFERED = ("offer_id", "start_time", "end_time", "expire_time")


def view(entry: FromClause) -> Select[Any]:
    """Select entries from a table, or from what a change returned, with all that is shown."""
    practice, person = directory.practices(), patients.patients()
    specialty, city = directory.slugs()
    offer = select(WaitlistOffer).where(WaitlistOffer.status == "open").subquery("open_offer")
    return (
        select(
            *entry.c,
            practice.c.doctor_name,
            practice.c.clinic_name,
            specialty.c.slug.label("specialty"),
            city.c.slug.label("city"),
            person.c.full_name.label("patient_name"),
            *(offer.c[name] for name in OFFERED),
            offer.c.practice_id.label("offer_practice_id"),
            offer.c.visit_type_id.label("offer_visit_type_id"),
        )
        .select_from(entry)
        .join(practice, practice.c.practice_id == entry.c.wanted_practice_id, isouter=True)
        .join(specialty, specialty.c.specialty_id == entry.c.specialty_id, isouter=True)
        .join(city, city.c.city_id == entry.c.city_id, isouter=True)
        .join(person, person.c.patient_id == entry.c.patient_id, isouter=True)
        .join(offer, offer.c.entry_id == entry.c.entry_id, isouter=True)
    )


ENTRY: FromClause = WaitlistEntry.__table__
ALL = view(ENTRY)
OWN = ENTRY.c.patient_id == any_(func.app_patients())
FIND = sql(ALL.where(ENTRY.c.entry_id == bindparam("entry"), OWN))
