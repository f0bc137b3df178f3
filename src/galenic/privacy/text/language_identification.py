"""Identification of the language of passages: sentences, lines, and runs of words within them.

Detectors are validated only for LANGUAGES. A passage in any other language or script must not be written unchanged, because
names in it would not be found. Three signals decide: the script (Unicode), the share of known words, and py3langid's
probabilities (139 languages).
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import cache, lru_cache
from math import log

from py3langid.langid import MODEL_FILE, LanguageIdentifier

from galenic.privacy.text.scripts import script_of
from galenic.privacy.text.vocabulary import WORD, is_known, is_neutral

VALIDATED = ("en", "es")  # languages whose detector is measured on text that it was not trained on
NAMES = {
    "af": "Afrikaans", "ar": "Arabic", "bg": "Bulgarian", "ca": "Catalan", "cs": "Czech", "cy": "Welsh", "da": "Danish", "de": "German",
    "el": "Greek", "en": "English", "es": "Spanish", "et": "Estonian", "eu": "Basque", "fa": "Persian", "fi": "Finnish", "fr": "French",
    "ga": "Irish", "gl": "Galician", "he": "Hebrew", "hi": "Hindi", "hr": "Croatian", "hu": "Hungarian", "id": "Indonesian",
    "is": "Icelandic", "it": "Italian", "ja": "Japanese", "ko": "Korean", "lt": "Lithuanian", "lv": "Latvian", "ms": "Malay", "nl": "Dutch",
    "no": "Norwegian", "pl": "Polish", "pt": "Portuguese", "ro": "Romanian", "ru": "Russian", "sk": "Slovak", "sl": "Slovenian",
    "sq": "Albanian", "sv": "Swedish", "sw": "Swahili", "th": "Thai", "tl": "Tagalog", "tr": "Turkish", "uk": "Ukrainian", "ur": "Urdu",
    "vi": "Vietnamese", "zh": "Chinese",
}  # fmt: skip
# What English and Spanish notes are taken for: no language; Latin and constructed languages with the words of medicine; creoles of
# English, Scots, Bikol, and relatives of Spanish. None counts as another language.
_NEUTRAL = frozenset(
    ("zxx", "la", "vo", "eo", "ia", "ie", "io", "jbo", "pcm", "sco", "tpi", "bi", "bcl", "an", "ext", "ast", "lad", *VALIDATED)
)
_SENTENCE_END = re.compile(r"(?<=[.!?])[ \t]+(?=[^\W\d_a-z]|[¿¡\"“«(\[])|(?<=[。！？؟।])")
_LINE_END = re.compile(r"[\n\r\v\f\x85\u2028\u2029]+")
MAX_UNIT = 400  # characters of a sentence that are identified together
WINDOW, MAX_KNOWN = 6, 2  # words of a window, and known words in it, from which a run within a sentence is identified by itself
MAX_CODE, MAX_PLAIN = (
    4,
    3,
)  # letters of an abbreviation with capitals; other words of a part that consists of numbers and abbreviations
_NUMBER = re.compile(r"\d+(?:[.,]\d+)?|\b[IVX]{1,4}\b")
# log-ratios of probabilities: validated against the most probable other language. Chosen on lines of public notes in six languages:
# of lines with nine words or more, 99 % of English and Spanish ones are above .0, and 95 % of others below -1.
FOREIGN, CLEARLY_FOREIGN, DOUBTFUL = -2.5, -4.0, -0.8


@dataclass(frozen=True)
class Passage:
    """Characters [start, end) of a text. language: a code; "" if unknown. known: share of words known in that language, or in
    the best validated one. doubtful: True if it does not seem to be in a validated language."""

    start: int
    end: int
    language: str
    known: float = 1.0
    doubtful: bool = False

    @property
    def foreign(self) -> bool:
        """True if no detector is validated for the passage."""
        return self.language not in ("", *VALIDATED)


def language_name(language: str) -> str:
    """The English name of a language or script."""
    return NAMES.get(language, language if len(language) > 3 else f"language {language!r}")


@cache
def _identifier() -> LanguageIdentifier:
    return LanguageIdentifier.from_model_file(MODEL_FILE, norm_probs=True)


def passages(text: str) -> list[Passage]:
    """Passages in order that cover every word. A passage in an unknown language gets the language of its neighbors."""
    found = [p for a, b in _units(text) for p in _of_unit(text, a, b)]
    return _with_neighbors(found)


def _units(text: str) -> Iterator[tuple[int, int]]:
    """Lines, cut at the ends of sentences, and at white space after MAX_UNIT characters."""
    start = 0
    for end in (*(m.end() for m in _LINE_END.finditer(text)), len(text)):
        cuts = [m.end() for m in _SENTENCE_END.finditer(text, start, end)]
        for cut in (*cuts, end):
            while cut - start > MAX_UNIT:
                space = text.rfind(" ", start + MAX_UNIT // 2, start + MAX_UNIT)
                middle = space + 1 if space > 0 else start + MAX_UNIT
                yield start, middle
                start = middle
            if cut > start:
                yield start, cut
            start = max(start, cut)


def _of_unit(text: str, start: int, end: int) -> list[Passage]:
    part = text[start:end]
    if not part.isascii():
        script = script_of(part)
        if script.majority:
            return [Passage(start, end, _language_of_script(part, script.name), 0.0)]
    words = list(WORD.finditer(part))
    whole = _identify(part) if words else None
    if whole is None:
        return [Passage(start, end, "", 1.0)]
    language, known, doubtful = whole
    found = Passage(start, end, language, known, doubtful)
    if found.foreign or len(words) <= WINDOW or known > 0.9:  # nearly every word is known
        return [found]
    return _runs(found, part, words)


def _runs(whole: Passage, part: str, words: list[re.Match[str]]) -> list[Passage]:
    """The passage, cut where a run of words in it is in another language."""
    flags = [any(is_known(w[0], v) for v in VALIDATED) for w in words]
    out, at, i = [], whole.start, 0
    while i + WINDOW <= len(words):
        if sum(flags[i : i + WINDOW]) > MAX_KNOWN:
            i += 1
            continue
        j = i + WINDOW
        while j < len(words) and not all(flags[j : j + 2]):
            j += 1
        a, b = words[i].start(), words[j - 1].end()
        language, known, _ = _identify(part[a:b])
        if language not in ("", *VALIDATED):
            out += [replace(whole, start=at, end=whole.start + a), Passage(whole.start + a, whole.start + b, language, known)]
            at = whole.start + b
        i = j
    return [p for p in (*out, replace(whole, start=at)) if p.end > p.start]


@lru_cache(20_000)
def _identify(part: str) -> tuple[str, float, bool]:
    """The language of a part in Latin script, its share of known words, and whether it is doubtful."""
    words = WORD.findall(part)
    if not words:
        return "", 1.0, False
    code = _is_code(part)
    if part.isupper():
        part = part.lower()
    words = [w for w in words if not is_neutral(w)] or words
    shares = {v: sum(is_known(w, v) for w in words) / len(words) for v in VALIDATED}
    best = max(VALIDATED, key=lambda v: shares[v])
    known, n = shares[best], len(words)
    if (n > 1 and known >= (0.75 if best == "en" else 0.9)) or (n == 1 and known == 1):
        return best, known, False
    if code:
        return "", known, False
    ranked = {code: float(p) for code, p in _identifier().rank(part)}
    other = max((code for code in ranked if code not in _NEUTRAL), key=ranked.__getitem__)
    ratios = {v: log(max(ranked[v], 1e-12) / max(ranked[other], 1e-12)) for v in VALIDATED}
    scores = {v: ratios[v] + 8 * (shares[v] - 0.5) * min(1, n / 4) for v in VALIDATED}
    best = max(VALIDATED, key=lambda v: scores[v])
    ratio = max(ratios.values())
    if n > 2 and scores[best] > 1:  # two words tell little
        return best, shares[best], False
    if ratio < (FOREIGN if n > 2 else CLEARLY_FOREIGN) and known < 0.5:
        return other, known, False
    return "", known, n > 2 and ratio < DOUBTFUL and known < 0.4


def _is_code(part: str) -> bool:
    """True if a part consists of numbers, abbreviations and capitals, which tell no language: no word in small letters, few
    other ones."""
    words = WORD.findall(part)
    plain = [w for w in words if len(w) > MAX_CODE or w.islower()]
    numbers = len(_NUMBER.findall(part))
    return numbers > 0 and not any(map(str.islower, plain)) and len(plain) <= min(MAX_PLAIN, numbers + len(words) - len(plain))


def _language_of_script(part: str, script: str) -> str:
    """The most probable language, or the script where that is none."""
    language = str(_identifier().rank(part)[0][0])
    return script if language in _NEUTRAL or language not in NAMES else language


def _with_neighbors(found: list[Passage]) -> list[Passage]:
    """Passages whose language cannot be told take that of the nearest one before and after; a foreign one where these differ and
    few of its words are known."""
    before, last = [], ""
    for p in found:
        before.append(last)
        last = p.language or last
    out, following = [], ""
    for p, previous in zip(reversed(found), reversed(before), strict=True):
        out.append(p if p.language else _inherited(p, previous, following))
        following = p.language or following
    return out[::-1]


def _inherited(p: Passage, previous: str, following: str) -> Passage:
    validated = [v for v in (previous, following) if v in VALIDATED]
    others = [v for v in (previous, following) if v and v not in VALIDATED]
    if others and (not validated or p.known < 0.5):
        return replace(p, language=others[0])
    return replace(p, language=validated[0]) if validated else p


def reading_language(text: str) -> str:
    """Validated language whose vocabulary has most words of a short text; English if none has more."""
    words = [w for w in WORD.findall(text) if not is_neutral(w)]
    counts = {v: sum(is_known(w, v) for w in words) for v in VALIDATED}
    best = max(VALIDATED, key=lambda v: counts[v])  # the first of equal ones: English
    return best if 2 * counts[best] >= len(words) else VALIDATED[0]
