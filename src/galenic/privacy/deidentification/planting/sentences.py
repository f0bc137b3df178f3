"""Texts with identifiers planted between their sentences, in the script and language of the text."""

import re
import tomllib
from dataclasses import dataclass
from functools import cache
from importlib.resources import files

import numpy as np

from galenic.privacy.deidentification.planting.bare_values import common_name
from galenic.privacy.deidentification.planting.identifiers import IdentifierMaker, Plant

_SCRIPTS = {
    "Kana": r"[\u3040-\u30ff]",
    "Hangul": r"[\uac00-\ud7af]",
    "Han": r"[\u4e00-\u9fff]",
    "Cyrillic": r"[\u0400-\u04ff]",
    "Greek": r"[\u0370-\u03ff]",
    "Arabic": r"[\u0600-\u06ff]",
    "Hebrew": r"[\u0590-\u05ff]",
    "Thai": r"[\u0e00-\u0e7f]",
    "Devanagari": r"[\u0900-\u097f]",
    "Bengali": r"[\u0980-\u09ff]",
    "Tamil": r"[\u0b80-\u0bff]",
    "Georgian": r"[\u10a0-\u10ff]",
    "Armenian": r"[\u0530-\u058f]",
}
_PATTERNS = {script: re.compile(pattern) for script, pattern in _SCRIPTS.items()}
_BOUNDARY = re.compile(r"(?<=[.!?。！？।])(?=\s|[^\W\d_]{2})|(?<=\n)")
CHARACTERS_PER_PLANT = 160
COMMON_NAMES = 8  # one in so many names is made of ordinary words


@cache
def _sentences() -> dict[str, dict[str, tuple[str, ...]]]:
    """Sentences by language and kind of identifier."""
    raw = tomllib.loads(files(__package__).joinpath("sentences.toml").read_text(encoding="utf-8"))
    return {language: {kind: tuple(sentences) for kind, sentences in kinds.items()} for language, kinds in raw.items()}


def script_of(text: str) -> str:
    """The script of most letters; kana make a text Japanese."""
    letters = sum(c.isalpha() for c in text) or 1
    shares = {script: len(pattern.findall(text)) / letters for script, pattern in _PATTERNS.items()}
    if shares["Kana"] > 0.05:
        return "Kana"
    script = max(shares, key=lambda s: shares[s])
    return script if shares[script] > 0.3 else "Latin"


_FUNCTION_WORDS = {
    "en": frozenset(
        ["the", "and", "of", "was", "with", "for", "is", "to", "in", "he", "she", "patient", "has", "on", "no", "are", "at"]
    ),
    "es": frozenset(["el", "la", "de", "que", "en", "los", "con", "por", "un", "una", "del", "se", "paciente", "al", "las"]),
    "de": frozenset(
        ["der", "die", "und", "das", "mit", "bei", "ist", "nicht", "ein", "eine", "wurde", "im", "den", "von", "patient"]
    ),
    "fr": frozenset(["le", "la", "les", "des", "et", "est", "une", "dans", "pour", "avec", "pas", "au", "du", "patient"]),
    "it": frozenset(["il", "di", "che", "per", "una", "con", "del", "non", "paziente", "della", "alla", "sono"]),
    "pt": frozenset(["o", "os", "de", "que", "em", "com", "uma", "para", "do", "da", "paciente", "não", "ao"]),
    "nl": frozenset(["de", "het", "een", "van", "en", "met", "voor", "niet", "bij", "op", "is", "patiënt"]),
}


def language_of(text: str) -> str:
    """Language of a text in Latin letters, by its most frequent words; "" if unclear."""
    words = re.findall(r"[^\W\d_]+", text[:20_000].casefold())
    counts = {language: sum(w in known for w in words) for language, known in _FUNCTION_WORDS.items()}
    best = max(counts, key=lambda one: counts[one])
    return best if counts[best] * 12 >= len(words) and counts[best] >= 2 else ""


@dataclass(frozen=True)
class TextPlanter:
    """Planter of identifiers into texts. kept: kinds that the policy keeps, which are not planted. language: language of texts
    that are too short to recognize."""

    maker: IdentifierMaker
    kept: frozenset[str]
    language: str = "en"

    def kinds(self, text: str) -> tuple[tuple[str, ...], dict[str, tuple[str, ...]], str]:
        """(kinds to plant, sentences by kind, script) for a text."""
        script = script_of(text)
        language = (language_of(text) or self.language) if script == "Latin" else ""
        tables = _sentences()
        sentences = tables["other scripts"] if script != "Latin" else tables.get(language, tables["labels"])
        return tuple(k for k in sentences if k not in self.kept), sentences, script

    def type_of(self, text: str) -> str:
        """Type of a text, for its stratum: its script, and its language if known."""
        script = script_of(text)
        language = language_of(text) if script == "Latin" else ""
        return f"{language} text" if language else f"{script} text"

    def plant(self, text: str, stratum: str, most: int) -> tuple[str, list[Plant]]:
        """Text with at most `most` identifiers in additional sentences, at random places between sentences."""
        kinds, sentences, script = self.kinds(text)
        if not kinds or most < 1:
            return text, []
        rng = self.maker.rng
        places = np.array([0, *(m.start() for m in _BOUNDARY.finditer(text)), len(text)])
        chosen = sorted(int(p) for p in rng.choice(places, size=min(most, len(places)), replace=False))
        parts, plants, at = [], [], 0
        for place, kind in zip(chosen, self._kinds_for(kinds, len(chosen)), strict=True):
            plant = self._identifier(stratum, kind, script)
            sentence = self.maker.pick(sentences[kind]).format(plant.value)
            parts += [text[at:place], _joined(text, place, sentence)]
            plants.append(plant)
            at = place
        return "".join([*parts, text[at:]]), plants

    def _kinds_for(self, kinds: tuple[str, ...], count: int) -> list[str]:
        """Names every second time, the other kinds in turn."""
        others = [k for k in kinds if k != "name"] or ["name"]
        first = int(self.maker.rng.integers(2 * len(others)))
        named = "name" in kinds
        return ["name" if named and i % 2 else others[i // 2 % len(others)] for i in range(first, first + count)]

    def _identifier(self, stratum: str, kind: str, script: str) -> Plant:
        if kind == "name":
            if script == "Latin" and self.maker.rng.integers(COMMON_NAMES) == 0:
                return Plant(stratum, kind, common_name(self.maker))
            like = self.maker.pick(("Two Words", "Two Words", "Word"))
            return Plant(stratum, kind, self.maker.name(like, script))
        value, day = self.maker.value(kind)
        return Plant(stratum, kind, value, day)


def _joined(text: str, place: int, sentence: str) -> str:
    """The sentence with the white space that its place needs."""
    before = " " if place and not text[place - 1].isspace() else ""
    after = " " if place < len(text) and not text[place].isspace() else ""
    return f"{before}{sentence}{after}"
