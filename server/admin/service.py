"""What administrators learn of the platform: figures over a period, put together from the domains.

Each domain counts what is its own; here the figures are compared and put in order.
"""

from collections import Counter
from datetime import date, timedelta
from typing import NamedTuple

from server.appointment import statistics as appointment
from server.appointment.statistics import Revenue
from server.auth import statistics as auth
from server.auth.statistics import Users
from server.core.db import Transaction
from server.core.errors import InvalidField
from server.core.period import Counts, Period
from server.directory import statistics as directory
from server.directory.statistics import Doctors

MAX_DAYS = 366
USUAL_DAYS = 30


class Day(NamedTuple):
    """The visits of one day, and how many of them took place or were called off."""

    day: date
    visits: int
    completed: int
    cancelled: int


class Figures(NamedTuple):
    """The platform over a period; `days` has every day, `by_status` the states that occur."""

    period: Period
    users: Users
    doctors: Doctors
    visits: Counts
    by_status: list[tuple[str, int]]
    days: list[Day]
    revenue: list[Revenue]


def period(first: date | None, last: date | None, *, today: date) -> Period:
    """Answer the period that is asked for; InvalidField when it is none, or too long.

    Without `last` it ends today, without `first` it has 30 days.
    """
    last = last or today
    first = first or last - timedelta(days=USUAL_DAYS - 1)
    if last < first:
        raise InvalidField("until_date", "must not be before from_date")
    if (last - first).days >= MAX_DAYS:
        raise InvalidField("from_date", f"must be less than {MAX_DAYS} days before until_date")
    return Period(first, last)


async def figures(tx: Transaction, asked: Period) -> Figures:
    """Put together the figures of a period."""
    counted = await appointment.visits(tx, asked)
    by_status: Counter[str] = Counter()
    by_day: dict[date, Counter[str]] = {day: Counter() for day in asked.days}
    for day, status, number in counted:
        by_status[status] += number
        by_day[day][status] += number
    return Figures(
        period=asked,
        users=await auth.users(tx, asked),
        doctors=await directory.doctors(tx, asked),
        visits=Counts(by_status.total(), await appointment.visit_count(tx, asked.before())),
        by_status=sorted(by_status.items()),
        days=[
            Day(day, counts.total(), counts["completed"], counts["cancelled"])
            for day, counts in by_day.items()
        ],
        revenue=await appointment.revenue(tx, asked),
    )
