"""Kinds of content that a column's header states, in several languages."""

import re
import tomllib
from dataclasses import dataclass
from functools import cache, lru_cache
from importlib.resources import files

from galenic.privacy.deidentification.rules.vocabulary import fold, word_set

VALUE_KINDS = ("code", "drug", "category", "measure")  # content that identifies nobody
# words that name a person, a number or a place only as part of another term (birth weight, patient sex, number of visits)
_SOFT = word_set("soft_headers")
_NAME_NOUNS = word_set("named_things")
_NAME_WORDS = frozenset(("name", "names", "nombre", "nom", "nome", "naam", "by"))


@dataclass(frozen=True)
class HeaderKinds:
    """Kinds that a header states. hard: by words with only this meaning, in order of precedence; soft: by words that may be
    part of another term; values: kinds of content that identify nobody."""

    hard: tuple[str, ...]
    soft: tuple[str, ...]
    values: tuple[str, ...]

    @property
    def identifier(self) -> str | None:
        """Kind of identifier, text, date or age in the column; None if only its values show it."""
        if self.hard:
            return self.hard[0]
        return self.soft[0] if self.soft and not self.values else None

    def announces(self, *kinds: str) -> bool:
        """True if the header states one of the kinds."""
        return any(k in kinds for k in (*self.hard, *self.soft, *self.values))


@cache
def _kinds() -> dict[str, tuple[frozenset[str], tuple[str, ...]]]:
    raw = tomllib.loads(
        files("galenic.privacy.deidentification.rules").joinpath("column_headers.toml").read_text(encoding="utf-8")
    )
    return {kind: (frozenset(one["words"].split()), tuple(one["parts"])) for kind, one in raw.items()}


def header_words(name: str) -> list[str]:
    """The words of a header, folded: separators, capitals and digits separate them."""
    spaced = re.sub(r"(?<=[a-zß-ÿ])(?=[A-ZÀ-Þ])", " ", name)
    return re.findall(r"[^\W\d_]+", fold(spaced))


def header_tokens(name: str) -> list[str]:
    """The words of a header with their digits (spo2, cd4), and without."""
    spaced = re.sub(r"(?<=[a-zß-ÿ])(?=[A-ZÀ-Þ])", " ", name)
    return list(dict.fromkeys((*re.findall(r"[^\W_]+", fold(spaced)), *header_words(name))))


@lru_cache(20_000)
def header_kinds(name: str) -> HeaderKinds:
    """Kinds that a header states."""
    words = header_words(name)
    spaced = set(words) | set(re.findall(r"[^\W_]+", fold(name)))
    joined = re.sub(r"[\W_]+", "", fold(name))
    noun = bool(_NAME_NOUNS.intersection(words))
    hard, soft, values = [], [], []
    for kind, (listed, parts) in _kinds().items():
        found = spaced & listed
        part = any(p in joined and not any(p in w for w in found & _SOFT) for p in parts)
        if kind in VALUE_KINDS:
            if found or part:
                values.append(kind)
        elif kind == "name" and noun and found and found <= _NAME_WORDS and not part:
            values.append("category")
        elif part or found - _SOFT:
            hard.append(kind)
        elif found:
            soft.append(kind)
    return HeaderKinds(tuple(hard), tuple(soft), tuple(dict.fromkeys(values)))
