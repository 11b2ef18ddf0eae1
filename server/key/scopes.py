"""What keys may be allowed, in words: the one table of scopes.

A new scope is a line here, its name in the `access` option of the RPCs that it opens, and a
migration with the policy that shows its rows and with its name in the check of `access_key`.
"""

from collections.abc import Iterable, Mapping
from types import MappingProxyType

from server.core.errors import InvalidField

PARTNER: Mapping[str, str] = MappingProxyType(
    {
        "availability.read": "The opening hours of the clinic's practices.",
        "patients.read": "Who comes to the visits of the schedule, with telephone and reason.",
        "schedule.read": "The clinic's visits: when, with whom, of which kind, in which state.",
    }
)
SERVICE: Mapping[str, str] = MappingProxyType(
    {
        "audit.read": "The audit of the whole platform, as a list and as an export.",
        "reports.read": "Figures of the platform: people, doctors, visits and revenue.",
    }
)


def checked(asked: Iterable[str], allowed: Mapping[str, str]) -> list[str]:
    """Answer the scopes in order, each once; InvalidField for one that is not allowed."""
    scopes = sorted(set(asked))
    if not allowed.keys() >= set(scopes):
        raise InvalidField("scopes", f"must be of {', '.join(allowed)}")
    return scopes
