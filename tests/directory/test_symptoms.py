"""People's words lead to specialties."""

from uuid import UUID

import pytest

from launch.seed import reference
from server.core.clock import MovableClock
from server.directory.symptoms import KEPT_FOR, Lexicon, Symptoms
from server.directory.words import escaped, split, stem

HEART, STOMACH, SKIN, CHILD = (UUID(int=n) for n in range(1, 5))
LEXICON = Lexicon(
    [
        ("chest pain", HEART, 10),
        ("palpitations", HEART, 10),
        ("chest pain", STOMACH, 3),
        ("stomach ache", STOMACH, 10),
        ("stomach cramps", STOMACH, 6),
        ("loose motion", STOMACH, 10),
        ("itching", SKIN, 10),
        ("skin rash", SKIN, 10),
        ("child fever", CHILD, 10),
        ("not feeling well", CHILD, 3),
    ]
)


@pytest.mark.parametrize(
    ("text", "best"),
    [
        ("chest pain", HEART),
        ("CHEST PAIN!", HEART),
        ("I have had a bad pain in my chest for 2 days", HEART),
        ("palpitation", HEART),
        ("palpitatoins", HEART),
        ("palpitaions", HEART),
        ("my stomach aches", STOMACH),
        ("stomachache", STOMACH),
        ("stomach", STOMACH),
        ("tummy pain", STOMACH),
        ("loose motions", STOMACH),
        ("itchy", SKIN),
        ("itches and itches", SKIN),
        ("rash on the skin", SKIN),
        ("my kid has a fever", CHILD),
        ("I am not feeling well", CHILD),
    ],
)
def test_words_in_many_forms_lead_to_the_specialty(text: str, best: UUID) -> None:
    scores = LEXICON.specialties(text)
    assert max(scores, key=scores.__getitem__, default=None) == best


@pytest.mark.parametrize("text", ["qwerty", "the", "", "!!", "1234", "pane", "xchest", "of and"])
def test_words_that_fit_none_lead_nowhere(text: str) -> None:
    assert LEXICON.specialties(text) == {}


def test_several_symptoms_lead_to_the_specialties_of_each() -> None:
    assert set(LEXICON.specialties("itching, and also loose motion")) == {SKIN, STOMACH}


def test_the_words_of_a_phrase_in_two_clauses_are_not_the_phrase() -> None:
    assert HEART not in LEXICON.specialties("itching on my chest. stomach ache")


def test_a_stronger_word_scores_higher() -> None:
    scores = LEXICON.specialties("chest pain")
    assert scores[HEART] > scores[STOMACH] > 0


def test_an_empty_lexicon_knows_nothing() -> None:
    assert Lexicon(()).specialties("chest pain") == {}


@pytest.mark.parametrize("specialty", reference.specialties(), ids=lambda s: s.slug)
def test_each_phrase_of_the_reference_data_leads_to_its_specialty(
    specialty: reference.Specialty,
) -> None:
    for phrase in specialty.keywords:
        assert specialty.specialty_id in WHOLE.specialties(f"I have {phrase} since a week"), phrase


WHOLE = Lexicon(
    (phrase, specialty.specialty_id, weight)
    for specialty in reference.specialties()
    for phrase, weight in specialty.keywords.items()
)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("itching", "itchy"),
        ("headaches", "headache"),
        ("bleeding", "bleed"),
        ("dizziness", "dizzy"),
        ("allergies", "allergy"),
        ("swelling", "swell"),
        ("blocked", "block"),
        ("painful", "ache"),
        ("hurts", "pain"),
    ],
)
def test_bendings_of_a_word_are_one(one: str, other: str) -> None:
    assert stem(one) == stem(other)


def test_accents_case_and_punctuation_do_not_matter() -> None:
    assert split("Fièvre—Élevée, can\u2019t") == ["fievre", "elevee", "cant"]
    assert split("बुखार और खांसी") == ["बुखार", "और", "खांसी"]


def test_characters_of_like_are_escaped() -> None:
    assert escaped("50%_\\") == "50\\%\\_\\\\"


class Table:
    """Stands for the database: answers what it is given and counts how often."""

    def __init__(self, clock: MovableClock) -> None:
        self.clock = clock
        self.rows: list[tuple[str, UUID, int]] = []
        self.reads = 0

    async def all(self, _statement: object) -> list[tuple[str, UUID, int]]:
        self.reads += 1
        return self.rows


async def test_the_table_is_read_again_after_a_while_or_when_it_was_empty() -> None:
    clock = MovableClock()
    table = Table(clock)
    symptoms = Symptoms(table)  # type: ignore[arg-type]
    assert await symptoms.specialties("itching") == {}
    table.rows = [("itching", SKIN, 10)]
    assert set(await symptoms.specialties("itching")) == {SKIN}
    assert set(await symptoms.specialties("itching")) == {SKIN}
    assert table.reads == 2
    clock.advance(KEPT_FOR * 2)
    await symptoms.specialties("itching")
    assert table.reads == 3
