"""From what people feel, in their words, to the specialties that treat it.

The table `symptom` is read into memory, a few thousand short phrases that change with a release;
what somebody typed is compared there and goes nowhere.
"""

import re
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from datetime import datetime, timedelta
from itertools import takewhile
from uuid import UUID

from sqlalchemy import select

from server.core.db import Database, sql
from server.directory import words
from server.directory.models import Symptom

KEPT_FOR = timedelta(minutes=5)
_SHORTEST_MISSPELT = 5  # in shorter words another letter is mostly another word
_SLACK = 1  # further words that may stand between the words of a phrase
_CLAUSES = re.compile(r"[,;.!?\n/&+]| and | or | with | also | but ", re.IGNORECASE)

ALL = sql(select(Symptom.phrase, Symptom.specialty_id, Symptom.weight))

Phrase = tuple[str, ...]
Treats = dict[UUID, int]


class Lexicon:
    """The phrases that people use, and how strongly each speaks for which specialty."""

    def __init__(self, rows: Iterable[tuple[str, UUID, int]]) -> None:
        self._phrases: dict[Phrase, Treats] = defaultdict(dict)
        self._by_word: dict[str, set[Phrase]] = defaultdict(set)
        self._near: dict[str, set[str]] = defaultdict(set)
        for text, specialty_id, weight in rows:
            self._add(tuple(words.stems(text)), specialty_id, weight)
        for word in self._by_word:
            for form in _shortened(word):
                self._near[form].add(word)

    def __bool__(self) -> bool:
        return bool(self._phrases)

    def specialties(self, text: str) -> dict[UUID, int]:
        """Answer the specialties that treat what `text` names, each with its score.

        Phrases are found anywhere in the text, in any bending, with a letter wrong in a longer
        word, and with their words in another order close together. Where there are none, words
        that only begin a phrase (`stomach`) stand for all phrases that have them.
        """
        clauses = [self._known(words.stems(clause)) for clause in _CLAUSES.split(text)]
        whole = [word for clause in clauses for word in clause]
        found = set(self._in_order(whole))
        for clause in clauses:
            found |= self._close_together(clause)
        return self._scores(found or self._containing(whole))

    def _add(self, phrase: Phrase, specialty_id: UUID, weight: int) -> None:
        treats = self._phrases[phrase]
        treats[specialty_id] = max(weight, treats.get(specialty_id, 0))
        for word in phrase:
            self._by_word[word].add(phrase)

    def _known(self, stems: Sequence[str]) -> list[str]:
        return [self._spelt(word) for word in stems]

    def _spelt(self, word: str) -> str:
        """Answer the word that must be meant: itself, or the only known one a letter away."""
        if word in self._by_word or len(word) < _SHORTEST_MISSPELT:
            return word
        near = {known for form in _shortened(word) for known in self._near.get(form, ())}
        meant = {known for known in near if known[0] == word[0] and _one_apart(known, word)}
        return min(meant, default=word)

    def _in_order(self, stems: Sequence[str]) -> Iterator[Phrase]:
        longest = max(map(len, self._phrases), default=0)
        for start in range(len(stems)):
            for end in range(start + 1, min(start + longest, len(stems)) + 1):
                phrase = tuple(stems[start:end])
                if phrase in self._phrases:
                    yield phrase

    def _close_together(self, stems: Sequence[str]) -> set[Phrase]:
        candidates = {phrase for word in stems for phrase in self._by_word.get(word, ())}
        return {phrase for phrase in candidates if _holds(stems, phrase)}

    def _containing(self, stems: Sequence[str]) -> set[Phrase]:
        having = [self._by_word[word] for word in stems if word in self._by_word]
        return set.intersection(*having) if having else set()

    def _scores(self, phrases: Iterable[Phrase]) -> dict[UUID, int]:
        scores: dict[UUID, int] = defaultdict(int)
        for phrase in phrases:
            for specialty_id, weight in self._phrases[phrase].items():
                scores[specialty_id] += weight * len(phrase)
        return dict(scores)


class Symptoms:
    """The lexicon of the database, read again every few minutes."""

    def __init__(self, db: Database) -> None:
        self._db = db
        self._lexicon = Lexicon(())
        self._read_time: datetime | None = None

    async def specialties(self, text: str) -> dict[UUID, int]:
        """Answer the specialties that treat what `text` names, each with its score."""
        now = self._db.clock.now()
        if not self._lexicon or self._read_time is None or now - self._read_time > KEPT_FOR:
            self._lexicon = Lexicon([tuple(row) for row in await self._db.all(ALL)])
            self._read_time = now
        return self._lexicon.specialties(text)


def _holds(stems: Sequence[str], phrase: Phrase) -> bool:
    """Whether the words of the phrase stand close together somewhere in the text."""
    width = len(phrase) + _SLACK
    wanted = set(phrase)
    return any(
        wanted <= set(stems[start : start + width])
        for start in range(max(1, len(stems) - width + 1))
    )


def _shortened(word: str) -> Iterator[str]:
    """Yield the word, and what is left of it without each of its letters."""
    yield word
    for index in range(len(word)):
        yield word[:index] + word[index + 1 :]


def _one_apart(one: str, other: str) -> bool:
    """Whether one letter more, less or other, or two neighbours swapped, make them equal."""
    pairs = zip(one, other, strict=False)
    same = sum(1 for _ in takewhile(lambda pair: pair[0] == pair[1], pairs))
    rest, others = one[same:], other[same:]
    swapped = rest[:2] == others[:2][::-1] and rest[2:] == others[2:]
    return swapped or rest[1:] in (others, others[1:]) or rest == others[1:]
