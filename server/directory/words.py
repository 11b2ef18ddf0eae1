"""People's words in one form: lower case, without accents and punctuation, near forms joined."""

import re
import unicodedata

# Word after word, these say nothing of what somebody has.
_FILLERS = """
    a all also am an and any are as at be been being but by can day days do does feel feeling
    feels few for from get gets getting had has have having her his i im in is it its ive just
    last lot lots me month months my of off on or our over please quite really she since so some
    someone than that the their them there these they this time to too under very was we week
    weeks were when while who with year years you your
"""
_SILENT = frozenset(_FILLERS.split())
# Stems that people use for one another.
_ALIKE = {
    **dict.fromkeys(("ach", "hurt", "sor"), "pain"),
    **dict.fromkeys(("difficult", "trouble", "troubl", "issu"), "problem"),
    **dict.fromkeys(("tumm", "bell"), "stomach"),
    **dict.fromkeys(("kid", "children"), "child"),
}
_APOSTROPHES = re.compile("['\u2019`]")
_ACHE = re.compile(r"(?<=\w)aches?\b")
_BREAKS = re.compile(r"[^\w\u0300-\u036f\u0900-\u0dff]+")
_ACCENTS = re.compile("[\u0300-\u036f]")
_LIKE_SPECIAL = re.compile(r"([\\%_])")
_DOUBLED = re.compile(r"([bdgmnprt])\1$")


def plain(text: str) -> str:
    """Write the text in lower case, without accents and apostrophes."""
    decomposed = unicodedata.normalize("NFKD", _APOSTROPHES.sub("", text.casefold()))
    return unicodedata.normalize("NFC", _ACCENTS.sub("", decomposed))


def split(text: str) -> list[str]:
    """Answer the words of a text in plain form."""
    return [word for word in _BREAKS.split(plain(text)) if word]


def stems(text: str) -> list[str]:
    """Answer the stems of the words that say something; of all words when none does."""
    words = [word for word in split(_ACHE.sub(" ache", text.lower())) if not word.isdigit()]
    return [stem(word) for word in words if word not in _SILENT] or [stem(w) for w in words]


def stem(word: str) -> str:
    """Cut off what only bends a word: itching, itchy and itches become itch, an ache is a pain.

    Not a grammar: it need only do the same to what people type and to what they are compared with.
    """
    word = _singular(word)
    for ending, shortest in (("ness", 7), ("ing", 6), ("ful", 6), ("ed", 5)):
        if word.endswith(ending) and len(word) >= shortest and not word.endswith("eed"):
            word = _DOUBLED.sub(r"\1", word.removesuffix(ending))
            break
    if (len(word) > 3 and word[-1] in "ei") or (len(word) > 4 and word[-1] == "y"):
        word = word[:-1]
    return _ALIKE.get(word, word)


def _singular(word: str) -> str:
    if len(word) > 4 and word.endswith("ies"):
        return word[:-3] + "y"
    if len(word) > 3 and word.endswith("s") and word[-2:] not in {"ss", "us", "is"}:
        return word[:-1]
    return word


def escaped(text: str) -> str:
    """Escape what has a meaning of its own in a LIKE pattern."""
    return _LIKE_SPECIAL.sub(r"\\\1", text)
