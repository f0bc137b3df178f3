"""Stated identifiers inside longer words and numbers: givenFamily, given_family42, 19310304T00."""

import re
import unicodedata
from collections.abc import Iterator
from functools import lru_cache

from galenic.privacy.deidentification.rules.coded_words import is_clinical, words_of
from galenic.privacy.text import StatedIdentifiers
from galenic.schema import TextSpan

_MIN_PHRASE = 6  # characters of several words together
_MIN_LETTERS, _MIN_DIGITS = 5, 7  # shorter ones occur in other words and numbers by chance


def folded(text: str) -> str:
    """Letters and digits only, in lower case, without accents."""
    return "".join(c for c in unicodedata.normalize("NFKD", text.casefold()) if c.isalnum())


@lru_cache(2_000)
def _terms(identifiers: tuple[tuple[str, tuple[str, ...]], ...], common: frozenset[str]) -> tuple[str, ...]:
    terms: set[str] = set()
    for kind, values in identifiers:
        for value in values:
            if kind in ("name", "place", "organisation"):
                words = (folded(w) for w in re.findall(r"[^\W\d_]+", value))
                terms |= {
                    w
                    for w in words
                    if len(w) >= _MIN_LETTERS and (kind == "name" or w not in common) and not is_clinical(w, common)
                }
            if kind not in ("place", "organisation"):
                digits = "".join(c for c in value if c.isdigit())
                terms |= {digits} if len(digits) >= _MIN_DIGITS else set()
    return tuple(terms)


def holds_joined(text: str, stated: StatedIdentifiers | None) -> bool:
    """True if a text contains a stated name of five letters or more, or a number of seven digits or more, as a part of a word."""
    if stated is None:
        return False
    terms = _terms(tuple(sorted(stated.identifiers.items())), stated.common)
    plain = folded(text)
    return any(term in plain for term in terms)


def hidden_words(text: str, stated: StatedIdentifiers | None) -> set[str]:
    """Words of a text, as written, that contain a stated identifier."""
    if not holds_joined(text, stated):
        return set()
    return {w for w in re.findall(r"[^\s\[\]]+", text) if holds_joined(w, stated)}


@lru_cache(2_000)
def _phrases(identifiers: tuple[tuple[str, tuple[str, ...]], ...]) -> re.Pattern[str] | None:
    every = (v.strip() for kind, values in identifiers if kind in ("name", "place", "organisation") for v in values)
    several = sorted({re.escape(v) for v in every if len(v.split()) > 1 and len(v) >= _MIN_PHRASE}, key=len, reverse=True)
    return re.compile(rf"(?<!\w)(?:{'|'.join(several)})(?!\w)", re.I) if several else None


def find_phrases(text: str, stated: StatedIdentifiers | None) -> Iterator[TextSpan]:
    """Stated names, addresses and organizations of several words, which may be ordinary words: Get Well Clinic."""
    pattern = _phrases(tuple(sorted(stated.identifiers.items()))) if stated is not None else None
    for m in pattern.finditer(text) if pattern else ():
        yield TextSpan(*m.span(), "place", "known")


@lru_cache(2_000)
def _digits(identifiers: tuple[tuple[str, tuple[str, ...]], ...]) -> frozenset[str]:
    every = ("".join(c for c in value if c.isdigit()) for _, values in identifiers for value in values)
    return frozenset(d for digits in every for d in (digits, digits.lstrip("0"), digits[-10:], digits[:5]) if len(d) >= 5)


def states_digits(text: str, stated: StatedIdentifiers | None) -> bool:
    """True if the digits of a code or number equal those of a number of five digits or more in the records."""
    digits = "".join(c for c in text if c.isdigit())
    if stated is None or len(digits) < 5:
        return False
    known = _digits(tuple(sorted(stated.identifiers.items())))
    return digits in known or digits.lstrip("0") in known or digits[-10:] in known or holds_joined(text, stated)


def states_identifier(text: str, stated: StatedIdentifiers | None) -> bool:
    """True if a text contains an identifier in the patient's records, also inside a longer word or number."""
    if stated is None or not text:
        return False
    if holds_joined(text, stated) or next(stated.find(text), None) is not None:
        return True
    apart = " ".join(words_of(text))
    return len(apart.split()) > 1 and apart != text.casefold() and next(stated.find(apart), None) is not None
