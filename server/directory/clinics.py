"""Clinics: opening one, with its first practice, and the clinics at which somebody works."""

from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any
from uuid import UUID

import phonenumbers
from asyncpg import Record
from babel.numbers import get_currency_precision, get_territory_currencies
from sqlalchemy import bindparam, func, insert, select

from server.core.db import Transaction, sql
from server.core.errors import FailedPrecondition, InvalidField
from server.directory import reference
from server.directory.keyset import Listing
from server.directory.models import Clinic, ClinicMember, Practice, VisitType
from server.directory.reference import CLINICS

VISIT_NAME = "Consultation"
VISIT_MINUTES = 30
MOST_PRACTICES = 10
"""How many a doctor may have: whoever looks at the doctor waits for the free times of each."""

MINE = Listing(
    CLINICS.add_columns(ClinicMember.role)
    .join(ClinicMember, ClinicMember.clinic_id == Clinic.clinic_id)
    .where(ClinicMember.user_id == bindparam("user")),
    Clinic.name,
    Clinic.clinic_id,
)
INSERT = sql(
    insert(Clinic)
    .values(
        kind="clinic",
        name=bindparam("clinic_name"),
        address=bindparam("street"),
        city_id=bindparam("city"),
        time_zone=bindparam("zone"),
        phone=bindparam("number"),
        currency_code=bindparam("currency"),
        create_time=bindparam("now"),
        update_time=bindparam("now"),
    )
    .returning(Clinic.clinic_id)
)
INSERT_OWNER = sql(
    insert(ClinicMember).values(
        clinic_id=bindparam("clinic"),
        user_id=bindparam("user"),
        role="owner",
        create_time=bindparam("now"),
    )
)
COUNT_PRACTICES = sql(
    select(func.count().label("practices"))
    .select_from(Practice)
    .where(Practice.doctor_id == bindparam("doctor"))
)
INSERT_PRACTICE = sql(
    insert(Practice)
    .values(
        doctor_id=bindparam("doctor"),
        clinic_id=bindparam("clinic"),
        fee=bindparam("amount"),
        create_time=bindparam("now"),
    )
    .returning(Practice.practice_id)
)
INSERT_VISIT_TYPE = sql(
    insert(VisitType).values(
        practice_id=bindparam("practice"),
        name=VISIT_NAME,
        length_minutes=bindparam("minutes"),
        interval_minutes=bindparam("minutes"),
        price=bindparam("amount"),
        is_default=True,
    )
)


class TooManyClinics(FailedPrecondition):
    """The doctor has opened as many clinics as one may."""

    text = f"A doctor opens at most {MOST_PRACTICES} clinics."


@dataclass(frozen=True, slots=True)
class Opening:
    """A clinic to be opened by a doctor, and what a visit there costs and takes.

    `city` is a slug; `fee` an amount and its currency, None when it was not given.
    """

    name: str
    address: str
    city: str
    phone: str
    fee: tuple[Decimal, str] | None
    visit_minutes: int


async def mine(tx: Transaction, *, after: Sequence[Any] | None, limit: int) -> list[Record]:
    """Answer a page of the caller's clinics by name, each with the caller's role.

    `after` is name and id of the last row before.
    """
    return await MINE.page(tx, user=tx.caller.user_id, after=after, limit=limit)


async def open_clinic(tx: Transaction, doctor_id: UUID, opening: Opening) -> None:
    """Open a clinic that the doctor owns, with a practice and the usual kind of visit.

    The doctor's profile must be locked. Raises TooManyClinics.
    """
    await _check_room(tx, doctor_id)
    city = await reference.city(tx, opening.city)
    if city is None:
        raise InvalidField("new_clinic.city", "must be the slug of a city")
    currency = currency_of(city["country_code"])
    clinic = await tx.one(
        INSERT,
        clinic_name=opening.name,
        street=opening.address,
        city=city["city_id"],
        zone=city["time_zone"],
        number=_phone(opening.phone),
        currency=currency,
        now=tx.now,
    )
    assert clinic is not None  # noqa: S101 - an INSERT of one row
    clinic_id = clinic["clinic_id"]
    await tx.run(INSERT_OWNER, clinic=clinic_id, user=doctor_id, now=tx.now)
    tx.record("clinic.opened", clinic_id, clinic_id=clinic_id)
    await _open_practice(tx, doctor_id, clinic_id, _fee(opening.fee, currency), opening)


async def _check_room(tx: Transaction, doctor_id: UUID) -> None:
    row = await tx.one(COUNT_PRACTICES, doctor=doctor_id)
    if row and row["practices"] >= MOST_PRACTICES:
        raise TooManyClinics


async def _open_practice(
    tx: Transaction, doctor_id: UUID, clinic_id: UUID, fee: Decimal, opening: Opening
) -> None:
    practice = await tx.one(
        INSERT_PRACTICE, doctor=doctor_id, clinic=clinic_id, amount=fee, now=tx.now
    )
    assert practice is not None  # noqa: S101 - an INSERT of one row
    minutes = opening.visit_minutes or VISIT_MINUTES
    await tx.run(INSERT_VISIT_TYPE, practice=practice["practice_id"], minutes=minutes, amount=fee)
    tx.record("practice.opened", practice["practice_id"], clinic_id=clinic_id)


def currency_of(country_code: str) -> str:
    """Answer the ISO 4217 code of what is paid with in a country."""
    return str(get_territory_currencies(country_code)[0])


def check_price(price: tuple[Decimal, str], currency: str, field: str) -> Decimal:
    """Answer the amount; InvalidField unless it is in the currency, with no more decimals."""
    amount, given = price
    if given != currency:
        raise InvalidField(
            f"{field}.currency_code", f"must be {currency}, as in the clinic's country"
        )
    decimals = get_currency_precision(currency)
    if amount < 0 or amount != round(amount, decimals):
        raise InvalidField(field, f"must not be negative nor have more than {decimals} decimals")
    return amount


def _fee(fee: tuple[Decimal, str] | None, currency: str) -> Decimal:
    if fee is None:
        raise InvalidField("fee", "is needed with new_clinic")
    return check_price(fee, currency, "fee")


def _phone(text: str) -> str:
    """Answer the number in E.164 form; empty when none is given."""
    if not text.strip():
        return ""
    try:
        number = phonenumbers.parse(text, None)
    except phonenumbers.NumberParseException:
        number = None
    if number is None or not phonenumbers.is_valid_number(number):
        raise InvalidField("new_clinic.phone", "must be a telephone number in international form")
    return phonenumbers.format_number(number, phonenumbers.PhoneNumberFormat.E164)
