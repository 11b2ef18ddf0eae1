"""Passwords: which are good enough, and argon2id off the event loop."""

import asyncio
import itertools
import unicodedata
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import ParamSpec, TypeVar

from argon2 import PasswordHasher, Type
from argon2.exceptions import InvalidHashError, VerificationError

from server.core.errors import InvalidField, ResourceExhausted

P = ParamSpec("P")
R = TypeVar("R")

MIN_LENGTH = 8
MAX_LENGTH = 256
THREADS = 2
MAX_WAITING = 100
LENGTH_RULE = f"must have {MIN_LENGTH} to {MAX_LENGTH} characters"
COMMON_RULE = "must not be a password that many people use"
PERSONAL_RULE = "must not be your name or your e-mail address"
ARGON2 = PasswordHasher(time_cost=2, memory_cost=19 * 1024, parallelism=1, type=Type.ID)
ROWS = ("01234567890", "09876543210", "abcdefghijklmnopqrstuvwxyz", "qwertyuiop", "asdfghjkl")
PLAIN = str.maketrans("013457@$!", "oieastasi")
LIST = Path(__file__).with_name("common_passwords.txt")
COMMON = frozenset(
    line for line in LIST.read_text("utf-8").splitlines() if line and not line.startswith("#")
)


def normal(password: str) -> str:
    """Answer the one form (NFC) in which a password is judged and hashed."""
    return unicodedata.normalize("NFC", password)


def check(password: str, field: str, personal: Iterable[str] = ()) -> None:
    """Refuse a password that guessers try early; `personal` are words known of its owner."""
    password = normal(password)
    if not MIN_LENGTH <= len(password) <= MAX_LENGTH:
        raise InvalidField(field, LENGTH_RULE)
    if is_common(password):
        raise InvalidField(field, COMMON_RULE)
    if password.casefold() in {word.casefold() for word in personal}:
        raise InvalidField(field, PERSONAL_RULE)


def is_common(password: str) -> bool:
    """Tell whether the password is a common word with trimmings, a repetition or a row of keys."""
    small = password.casefold()
    stem = _stem(small)
    if COMMON & {small, stem, stem.translate(PLAIN)}:
        return True
    words = {small} | ({stem} if 2 * len(stem) >= len(small) else set())
    return _steps(small) or any(_repeats(word) or _is_row(word) for word in words)


def _stem(word: str) -> str:
    """Drop the digits and signs that people put before and after a word."""
    letters = [place for place, character in enumerate(word) if character.isalpha()]
    return word[letters[0] : letters[-1] + 1] if letters else ""


def _repeats(word: str) -> bool:
    """Tell whether the word is a piece of up to four characters over and over."""
    return any(
        len(word) >= 2 * size and word == (word[:size] * len(word))[: len(word)]
        for size in range(1, 5)
    )


def _is_row(word: str) -> bool:
    return any(word in row for row in ROWS)


def _steps(word: str) -> bool:
    """Tell whether each character follows the one before at the same distance."""
    return len({ord(after) - ord(before) for before, after in itertools.pairwise(word)}) == 1


class Passwords:
    """Hashes and compares in two threads of its own, and refuses when too many wait for them."""

    def __init__(self, hasher: PasswordHasher = ARGON2) -> None:
        self._hasher = hasher
        self._threads = ThreadPoolExecutor(THREADS, thread_name_prefix="password")
        self._waiting = 0
        # what an unknown user's password is compared with, so that it takes as long
        self._nobody = hasher.hash("nobody has this password")

    async def hash(self, password: str) -> str:
        """Answer the argon2id hash of the password, in the PHC string format."""
        return await self._run(self._hasher.hash, normal(password))

    async def matches(self, password: str, password_hash: str | None) -> bool:
        """Tell whether the hash is of this password; None never is, and takes as long."""
        same = await self._run(self._verify, password_hash or self._nobody, normal(password))
        return same and password_hash is not None

    def is_outdated(self, password_hash: str) -> bool:
        """Tell whether the hash was made with other costs than today's."""
        return self._hasher.check_needs_rehash(password_hash)

    def close(self) -> None:
        """Let the threads end; what they have begun is finished."""
        self._threads.shutdown(wait=True, cancel_futures=True)

    async def _run(self, work: Callable[P, R], *args: P.args, **kwargs: P.kwargs) -> R:
        if self._waiting >= MAX_WAITING:
            raise ResourceExhausted(retry_after=1)
        self._waiting += 1
        try:
            loop = asyncio.get_running_loop()
            return await loop.run_in_executor(self._threads, lambda: work(*args, **kwargs))
        finally:
            self._waiting -= 1

    def _verify(self, password_hash: str, password: str) -> bool:
        try:
            return self._hasher.verify(password_hash, password)
        except (VerificationError, InvalidHashError):
            return False
