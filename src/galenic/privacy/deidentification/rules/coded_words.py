"""Vocabulary of codes and displays: words used by terminologies, and texts that consist only of these."""

import re
from functools import cache, lru_cache
from importlib.resources import files

from galenic.errors import MissingExtraError
from galenic.privacy.text import holds_names, is_listed_name
from galenic.records.terminology import shipped_words

_WORD = re.compile(r"[^\W\d_]+")
_HUMP = re.compile(r"(?<=[a-z])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])")
MAX_DIGITS = 4  # of a number that identifies nobody by itself: five are a postal code


@cache
def terminology_words() -> frozenset[str]:
    """Words, in lower case, of ICD-10-CM, of HL7's code systems and of coded_words.txt."""
    text = files("galenic.privacy.deidentification.rules").joinpath("coded_words.txt").read_text(encoding="utf-8")
    own = (word for line in text.splitlines() if not line.startswith("#") for word in line.split())
    return frozenset((*shipped_words(), *own))


def words_of(text: str) -> list[str]:
    """The words of a text in lower case; camelCase is divided."""
    return [part.casefold() for word in _WORD.findall(text) for part in _HUMP.split(word)]


@lru_cache(100_000)
def is_clinical(word: str, common: frozenset[str] = frozenset()) -> bool:
    """True if a lower-case word belongs to a terminology or to ordinary text, and is not a listed name of a person."""
    if len(word) == 1:
        return True
    plain = word.removesuffix("s") if len(word) > 4 else word
    if word not in common and plain not in common and word not in terminology_words() and plain not in terminology_words():
        return False
    return word in common or not _is_name(word)


@lru_cache(100_000)
def is_term(word: str) -> bool:
    """True if a lower-case word belongs to a terminology, and is not a listed name of a person."""
    plain = word.removesuffix("s") if len(word) > 4 else word
    return len(word) == 1 or ((word in terminology_words() or plain in terminology_words()) and not _is_name(word))


def _is_name(word: str) -> bool:
    try:
        return is_listed_name(word)
    except MissingExtraError:
        return False


def unknown_words(text: str, common: frozenset[str]) -> list[str]:
    """Words of a text that no terminology has: they may be names."""
    return [word for word in words_of(text) if not is_clinical(word, common)]


def is_plain(text: str, common: frozenset[str]) -> bool:
    """True if a text consists of known words and short numbers, and contains no name of two ordinary words."""
    digits = re.findall(r"\d+", text)
    if sum(map(len, digits)) > MAX_DIGITS or unknown_words(text, common):
        return False
    return not holds_names(text) and not holds_names(" ".join(words_of(text)))
