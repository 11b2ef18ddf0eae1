"""What a person says about themselves, brought into one form or refused."""

import zoneinfo
from functools import cache

import phonenumbers

from server.core.errors import InvalidField

PHONE_RULE = "must be a telephone number that can exist, with its country, such as +919820012345"
TIME_ZONE_RULE = "must be an IANA time zone, such as Asia/Kolkata"
DEFAULT_TIME_ZONE, DEFAULT_LANGUAGE = "UTC", "en"


def phone(text: str) -> str | None:
    """Answer a telephone number with its country in E.164 form; None for an empty one."""
    if not text:
        return None
    try:
        number = phonenumbers.parse(text, None)
    except phonenumbers.NumberParseException:
        number = None
    if number is None or not phonenumbers.is_valid_number(number):
        raise InvalidField("phone", PHONE_RULE)
    return phonenumbers.format_number(number, phonenumbers.PhoneNumberFormat.E164)


def time_zone(name: str) -> str:
    """Answer the name of a zone that exists; empty is UTC."""
    if name and name not in _time_zones():
        raise InvalidField("time_zone", TIME_ZONE_RULE)
    return name or DEFAULT_TIME_ZONE


def language(tag: str) -> str:
    """Answer the language; empty is English."""
    return tag or DEFAULT_LANGUAGE


def full_name(text: str) -> str:
    """Answer the name without the space around it."""
    if not text.strip():
        raise InvalidField("full_name", "must not be empty")
    return text.strip()


@cache
def _time_zones() -> frozenset[str]:
    return frozenset(zoneinfo.available_timezones())
