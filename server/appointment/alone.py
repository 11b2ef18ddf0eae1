"""Booking a time that nothing has to leave first: the usual case, in one small statement.

What may have to leave (expired claims, holds of the patient's own, their unpaid visits) makes the
statement of `booking` several times as costly, even when there is nothing of it.
"""

from typing import Any

from sqlalchemy import TIMESTAMP, ColumnElement, Text, Uuid, bindparam, func, null, select

from server.appointment import rows
from server.availability import claims
from server.core.db import sql

_INSTANT = TIMESTAMP(timezone=True)
_OWN = func.own_patient(
    bindparam("patient", type_=Uuid),
    bindparam("start", type_=_INSTANT),
    bindparam("end", type_=_INSTANT),
).table_valued("account_id", "full_name", "phone", name="own")
_WHO = select(*_OWN.c).cte("who")
_VISIT = rows.visit(bindparam("session", None, type_=Uuid), once=_WHO)
_PAYMENT = rows.payment(_VISIT)


def _known(name: str) -> ColumnElement[Any]:
    return bindparam(name, type_=Text).label(name)


# It answers what `view` does, with what was read of the practice before. It has no row when an
# unpaid visit of the patient's is in the way, or the patient is not the caller's.
BOOK = sql(
    select(
        *_VISIT.c,
        *map(_known, ("time_zone", "doctor_name", "clinic_name", "clinic_address")),
        _WHO.c.full_name.label("patient_name"),
        _WHO.c.account_id,
        _WHO.c.phone.label("patient_phone"),
        _PAYMENT.c.transaction_id,
        _PAYMENT.c.method,
        _PAYMENT.c.status.label("payment_status"),
        _PAYMENT.c.amount,
        _PAYMENT.c.settle_time,
        null().label("ended_holds"),
        null().label("lapsed"),
    ).add_cte(claims.taken_once(_WHO))
)
