"""Convert visit types between messages and plain values."""

from collections.abc import Mapping
from decimal import Decimal
from typing import Any

from carelane.availability.v1 import visit_type_pb2 as pb
from server.core import wire
from server.core.errors import InvalidField
from server.directory.visit_types import Rules

FREE_DAYS = 7


def to_rules(message: pb.BookingRules) -> tuple[Rules, str]:
    """Read the rules and the currency of the price; InvalidField for what cannot be."""
    price, currency = wire.to_money(message.price, "rules.price")
    from_opening = message.grid == pb.START_GRID_OPENING
    if from_opening and message.offset_minutes:
        raise InvalidField("rules.offset_minutes", "must be 0 where visits start with the opening")
    limits = message.limits
    follow_up_days, follow_up_price = _follow_up(message, currency)
    rules = Rules(
        name=_name(message.name),
        length_minutes=message.length_minutes,
        buffer_before_minutes=message.buffer_before_minutes,
        buffer_after_minutes=message.buffer_after_minutes,
        interval_minutes=message.interval_minutes or message.length_minutes,
        offset_minutes=message.offset_minutes,
        from_opening=from_opening,
        notice_minutes=message.notice_minutes,
        horizon_days=message.horizon_days,
        business_days=message.horizon_unit == pb.HORIZON_UNIT_BUSINESS_DAYS,
        capacity=message.capacity or 1,
        day_visits=limits.day_visits or None,
        day_minutes=limits.day_minutes or None,
        week_visits=limits.week_visits or None,
        week_minutes=limits.week_minutes or None,
        price=price,
        follow_up_days=follow_up_days,
        follow_up_price=follow_up_price,
        is_default=message.is_default,
        retired=message.retired,
    )
    return rules, currency


def from_row(row: Mapping[str, Any]) -> pb.VisitTypeRules:
    """Write a visit type from its row with the clinic's currency_code."""
    return pb.VisitTypeRules(
        visit_type_id=str(row["visit_type_id"]),
        practice_id=str(row["practice_id"]),
        rules=_from_rules(row),
        update_time=wire.from_time(row["update_time"]),
        etag=etag(row["revision"]),
    )


def etag(revision: int) -> str:
    """Write a revision as an etag."""
    return f"v{revision}"


def _name(text: str) -> str:
    """Answer the name without blanks around it."""
    name = text.strip()
    if len(name) < 2:
        raise InvalidField("rules.name", "must have at least 2 characters that can be seen")
    return name


def _follow_up(message: pb.BookingRules, currency: str) -> tuple[int, Decimal]:
    """Read for how many days a follow-up costs how much."""
    if not message.HasField("follow_up"):
        return FREE_DAYS, Decimal(0)
    terms = message.follow_up
    if not terms.HasField("price"):
        return terms.days, Decimal(0)
    price, other = wire.to_money(terms.price, "rules.follow_up.price")
    if other != currency:
        raise InvalidField("rules.follow_up.price", "must be in the currency of the price")
    return terms.days, price


def _from_rules(row: Mapping[str, Any]) -> pb.BookingRules:
    return pb.BookingRules(
        name=row["name"],
        length_minutes=row["length_minutes"],
        buffer_before_minutes=row["buffer_before_minutes"],
        buffer_after_minutes=row["buffer_after_minutes"],
        grid=pb.START_GRID_OPENING if row["from_opening"] else pb.START_GRID_CLOCK,
        interval_minutes=row["interval_minutes"],
        offset_minutes=row["offset_minutes"],
        notice_minutes=row["notice_minutes"],
        horizon_days=row["horizon_days"],
        horizon_unit=(
            pb.HORIZON_UNIT_BUSINESS_DAYS if row["business_days"] else pb.HORIZON_UNIT_DAYS
        ),
        capacity=row["capacity"],
        limits=_limits(row),
        price=wire.from_money(Decimal(row["price"]), row["currency_code"]),
        is_default=row["is_default"],
        retired=row["retired"],
        follow_up=pb.FollowUpTerms(
            days=row["follow_up_days"],
            price=wire.from_money(Decimal(row["follow_up_price"]), row["currency_code"]),
        ),
    )


def _limits(row: Mapping[str, Any]) -> pb.BookingLimits | None:
    names = ("day_visits", "day_minutes", "week_visits", "week_minutes")
    found = {name: row[name] for name in names if row[name]}
    return pb.BookingLimits(**found) if found else None
