"""Text in a language or script without a validated detector: recognition, and reduction to an allow list."""

import re
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from itertools import islice

from galenic.privacy.text.language_identification import Passage, language_name, passages
from galenic.privacy.text.measurements import find_measurements
from galenic.privacy.text.normalization import NormalizedText, normalize
from galenic.privacy.text.plausible_names import may_be_name
from galenic.privacy.text.scripts import other_script_runs, script
from galenic.privacy.text.vocabulary import WORD, is_clinical, is_known

PLACEHOLDER = "[TEXT]"
UNKNOWN = "words of a short text in an unknown language"
# the allow list: a number with a unit, alone
_UNITS = (
    r"(?:[mµμnk]?g|[mµμn]cg|[mdµμ]?[lL]|[mµμn]?mol|m?Eq|[mk]?IU|U|mmHg|cm|mm|kg|mbar|kPa|bpm|Hz|ms|°C|°F|kcal|%)"
    r"(?:/(?:[mdµμ]?[lL]|kg|min|h|d|24h|m2|[mµμ]?mol|g))?"
)
_MEASUREMENT = re.compile(rf"(?<![\w./:,-])[<>≤≥]?\d{{1,4}}(?:[.,]\d{{1,3}})?\s?{_UNITS}(?![\w/])")
_KEPT = re.compile(rf"(?P<kept>{_MEASUREMENT.pattern})|[\n\r]+")
UNKNOWN_CAPITALS = "capitalized words that are in no vocabulary and may be names"
FEW_WORDS = 15  # of a text that is too short to rely on its language: each word must be known
TRUSTED, MIN_WORDS = 0.7, 4  # share of known words, and number of words, from which a passage of such a text is trusted
_PARTICLES = {
    "en": frozenset(
        re.findall(r"\w+", "the and with his this that from were has are been which when will after before there they he she")
    ),
    "es": frozenset(re.findall(r"\w+", "el los las una con del por y sin desde hasta muy más pero está fue")),
}
MIN_KNOWN = 0.5  # share of known words from which a text is read in the language of the run, if no other can be told
_ABBREVIATION = 4  # letters of the longest word in capitals that is kept where the language cannot be told
# a line of at least five words without a lower-case letter
_CAPITALS = re.compile(r"^(?=(?:[^\w\n]{0,9}\b\w{1,40}\b){5})(?=[^\n]*[A-Z]{2})[^a-zß-öø-ÿ\n]+$", re.M)
_ENDING = re.compile(r"(?P<stem>[a-z]{3,20})(?:ing|ed|ly)")
_ENCODED = re.compile(r"[!-~]{40,}")  # no words
_REVERSED = re.compile("[\u202d\u202e][^\n\r]*")  # shown in another order than it is written in
_HIDDEN = re.compile("[\U000e0000-\U000e0fff\ufe00-\ufe0f]")  # letters that are never shown, and variants


@dataclass(frozen=True)
class Exclusion:
    """Characters [start, end) that must not be written unchanged, and the reason."""

    start: int
    end: int
    reason: str


def unsupported_languages(text: str) -> Counter[str]:
    """Number of letters by language without a validated detector; "" for all letters of the text.

    Notes in such a language are refused. In other texts, `deidentify_text` reduces such parts.
    """
    text = normalize(_ENCODED.sub(" ", text)).text
    letters: Counter[str] = Counter({"": sum(map(str.isalpha, text))})
    for p in passages(text):
        if p.foreign:
            letters[language_name(p.language)] += sum(map(str.isalpha, text[p.start : p.end]))
    return letters


def exclusions(original: str, read: NormalizedText, found: list[Passage], *, prose: bool) -> list[Exclusion]:
    """Positions in the original that must be reduced, in order and without overlaps. prose: also words of short texts in an
    unknown language."""
    text = read.text
    out = [Exclusion(p.start, p.end, f"text in {language_name(p.language)}: no validated detector") for p in found if p.foreign]
    out += [Exclusion(a, b, f"text in {script_name(text[a:b])}: no validated detector") for a, b in other_script_runs(text)]
    if prose:
        short = sum(1 for _ in islice(WORD.finditer(text), FEW_WORDS + 1)) <= FEW_WORDS
        unsure = [p for p in found if not p.foreign and _is_unsure(p, text, short=short)]
        out += [e for p in unsure for e in _unknown_words(text, p.start, p.end, UNKNOWN)]
        out += [e for m in _CAPITALS.finditer(text) for e in _unknown_words(text, *m.span(), UNKNOWN_CAPITALS)]
    placed = [Exclusion(*read.original(e.start, e.end), e.reason) for e in out]
    return _merged([*placed, *(Exclusion(*m.span(), "text in reversed order") for m in _REVERSED.finditer(original))])


def _is_unsure(p: Passage, text: str, *, short: bool) -> bool:
    """True if each word of a passage must be known. short: the whole text has few words; then a passage is trusted only if most
    of its words are known and one of them is a particle of a validated language and of no other."""
    if p.doubtful or (not p.language and p.known < MIN_KNOWN):
        return True
    if not short:
        return False
    words = [w.casefold() for w in WORD.findall(text, p.start, p.end)]
    return not (p.language and p.known >= TRUSTED and len(words) >= MIN_WORDS and _PARTICLES[p.language].intersection(words))


def without_hidden(text: str) -> str:
    """Text without characters that are never displayed but may spell words (Unicode tags, variation selectors)."""
    return text if text.isascii() else _HIDDEN.sub("", text)


def script_name(part: str) -> str:
    """The script of the first letter that is not Latin."""
    return next((s for c in part if c > "\u024f" and (s := script(c))), "another script")


def _unknown_words(text: str, start: int, end: int, reason: str) -> list[Exclusion]:
    """Words that are in no vocabulary; abbreviations of a few capitals, and words of measurements, are kept."""
    out = []
    measured = find_measurements(text[start:end])
    for m in WORD.finditer(text, start, end):
        if any(a <= m.start() - start and m.end() - start <= b for a, b in measured):
            continue
        word = m[0]
        short = len(word) <= _ABBREVIATION and word.isupper() and not may_be_name(word.casefold())
        if not short and not any(is_clinical(w) or is_known(w, "en") or is_known(w, "es") for w in (word, *_stems(word))):
            out.append(Exclusion(*m.span(), reason))
    return out


def _stems(word: str) -> tuple[str, ...]:
    """The word without a plural's ending; in small letters, where it is no listed name, also without that of a verb or an adverb."""
    if word[-1] in "sS" and len(word) > 4:
        return (word[:-1],)
    m = _ENDING.fullmatch(word)
    if m is None or may_be_name(word):
        return ()
    stem = m["stem"]
    return (stem, f"{stem}e", stem[:-1] if stem[-1] == stem[-2] else stem, f"{stem[:-1]}y" if stem[-1] == "i" else stem)


def _merged(found: Iterable[Exclusion]) -> list[Exclusion]:
    out: list[Exclusion] = []
    for e in sorted(found, key=lambda e: (e.start, -e.end)):
        if out and e.start < out[-1].end:
            out[-1] = Exclusion(out[-1].start, max(out[-1].end, e.end), out[-1].reason)
        else:
            out.append(e)
    return out


def reduced(part: str) -> str:
    """Text that the allow list leaves: measurements with their units and line ends; a placeholder replaces the rest."""
    out, at = [], 0
    for m in _KEPT.finditer(part):
        out += [_placeholder(part[at : m.start()]), m[0]]
        at = m.end()
    return "".join([*out, _placeholder(part[at:])])


def _placeholder(part: str) -> str:
    if not any(c.isalnum() or script(c) for c in part):
        return part if part.isascii() else "".join(c for c in part if c.isascii())
    left = part[: len(part) - len(part.lstrip(" \t"))]
    right = part[len(part.rstrip(" \t")) :]
    return f"{left}{PLACEHOLDER}{right}"
