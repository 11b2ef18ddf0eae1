"""What the servicers of sign-in hold besides the database."""

from dataclasses import dataclass

from server.auth.attempts import Attempts
from server.auth.keyed import KeyedHash
from server.auth.passwords import Passwords
from server.auth.tokens import Tokens
from server.core.paging import Pager


@dataclass(frozen=True, slots=True)
class Secrets:
    """Keys, hashing threads, counters."""

    tokens: Tokens
    keyed: KeyedHash
    passwords: Passwords
    attempts: Attempts
    pager: Pager
