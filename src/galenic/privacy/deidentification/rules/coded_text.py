"""Short texts next to codes (displays, labels, single values): identifiers are replaced, and words that no terminology has are
withheld."""

import html
import re
from dataclasses import dataclass, replace
from typing import Protocol
from urllib.parse import unquote

from galenic.privacy.deidentification.rules.clinical_forms import clinical_spans, postal_codes
from galenic.privacy.deidentification.rules.coded_words import is_clinical, is_term, words_of
from galenic.privacy.deidentification.rules.codes import fits_loinc, is_unit
from galenic.privacy.deidentification.rules.joined_identifiers import find_phrases, hidden_words, states_identifier
from galenic.privacy.deidentification.rules.quantities import is_measurement, is_over_89
from galenic.privacy.deidentification.rules.vocabulary import clinical_words, fold
from galenic.privacy.text import (
    LANGUAGES,
    Detector,
    Replacer,
    StatedIdentifiers,
    TextFindings,
    deidentify_text,
    find_names,
    is_note_word,
    load_detector,
    may_be_name,
    reading_language,
    reveals_age_over_89,
    unsupported_languages,
)
from galenic.schema import TextSpan

WITHHELD, OVER_89 = "[WITHHELD]", "90 or older"
SHORT = 90  # characters up to which a text is too short for the tagger to judge by context
_TOKEN = re.compile(r"[^\W_]+(?:['’][^\W_]+)*")
_PLACEHOLDER = re.compile(r"\[[A-Z]+\]")
_ESCAPED = re.compile(r"%[0-9A-Fa-f]{2}|&(?:#\d+|#[xX][0-9a-fA-F]+|[A-Za-z]{2,8});|\\u[0-9a-fA-F]{4}|=\?[\w-]+\?")
_MEASURED = re.compile(
    r"\s*[<>=~≤≥]{0,2}\s*[+-]?(?P<n>\d{1,7}(?:[.,]\d{1,4})?)(?P<to>\s*[-/–]\s*\d{1,3}(?:\.\d{1,2})?)?\s*(?P<unit>\S{0,20})\s*"
)
_LONG_NUMBER = re.compile(r"(?<![\d.])\d{5,}(?![\d.])|\d(?:[ .()-]{0,2}\d){8,}")
_NUMBER = r"(?:[- ](?:and[- ])?(?:one|two|three|four|five|six|seven|eight|nine|ten|eleven|twelve|\w+teen|twenty))?"
_WRITTEN_AGE = re.compile(
    rf"\b(?:ninety{_NUMBER}|(?:one |a )?hundred{_NUMBER})(?=[- ]?(?:years?|yrs?|y/?o)\b)"
    rf"|(?<=\baged )(?:ninety{_NUMBER}|(?:one |a )?hundred{_NUMBER})|\b(?:nonagenarian|centenarian)\b",
    re.I,
)
_PIECES = re.compile(rf"(?:{_LONG_NUMBER.pattern})|(?:{_TOKEN.pattern})")
_FEW_WORDS = 3
_BEFORE, _AFTER = re.compile(r"(?<![\w-])(?P<v>[A-Z][a-z]{2,})[ -]\Z"), re.compile(r"[ -](?P<v>[A-Z][a-z]{2,})(?![\w-])")
_ROLES = frozenset(
    ("nurse", "doctor", "patient", "sister", "daughter", "mother", "father", "wife", "husband", "brother", "son", "seen", "per")
)
_RECORD = re.compile(r"[A-Z]{1,4}-?\d{3,}\w*|\d{3,}[A-Z]{1,4}\d*", re.I)  # a number of a record, with its letters
_COUNTED = re.compile(r"(?<![\w.-])(\d{1,7}(?:\.\d{1,4})?) ?([^\s\d]\S{0,20})")
_DAY = re.compile(r"(?:0?[1-9]|1[0-2])[/-](?:0[1-9]|[12]\d|3[01])")
_CODE = re.compile(r"(?<![\w-])\d{1,5}-\d(?![\w-])")


class TextRules(Protocol):
    """Inputs that the treatment of a text needs."""

    detector: Detector
    replacer: Replacer
    stated: StatedIdentifiers | None
    findings: TextFindings


def decoded(text: str) -> str:
    """Text without percent and character escapes, which can hide names; at most three levels."""
    for _ in range(3):
        if not _ESCAPED.search(text):
            break
        plain = html.unescape(unquote(text))
        plain = re.sub(r"\\u([0-9a-fA-F]{4})", lambda m: chr(int(m[1], 16)), plain)
        if plain == text:
            break
        text = plain
    return text


def _top_coded(text: str, rules: TextRules) -> str:
    """The text with ages above 89 that are written in words, or are a length of time as a whole, as 90 or older."""
    if rules.replacer.policy["age"] == "keep" or text == OVER_89 or not (_WRITTEN_AGE.search(text) or _is_long_life(text)):
        return text
    rules.findings.counts["age", "rule"] += 1
    rules.replacer.count("age", "generalise")
    return OVER_89 if _is_long_life(text) else _WRITTEN_AGE.sub(OVER_89, text)


def _is_long_life(text: str) -> bool:
    """True if a text is a length of time of 90 years or more."""
    m = _MEASURED.fullmatch(text)
    return m is not None and not m["to"] and is_over_89(float(m["n"].replace(",", ".")), m["unit"])


def search_text(text: str, rules: TextRules) -> str:
    """Text without identifiers: short texts are treated by their words, long ones by the detector."""
    text = _top_coded(decoded(text), rules)
    if not text.strip() or text == OVER_89:
        return text
    if len(text) <= SHORT and "\n" not in text.strip():
        return search_coded(text, rules)
    return hide_joined(deidentify_text(text, rules.detector, rules.replacer, rules.stated, rules.findings), rules)


def search_coded(text: str, rules: TextRules) -> str:
    """Short text with stated identifiers, patterns and unknown words replaced; measurements are unchanged."""
    text = _top_coded(decoded(text), rules)
    if text == OVER_89 or (_is_measured(text) and not states_identifier(text, rules.stated)):
        return text
    if not text.isascii() and len(unsupported_languages(text)) > 1:  # words and dates of other scripts are not found one by one
        return hide_joined(deidentify_text(text, rules.detector, rules.replacer, rules.stated, rules.findings), rules)
    rules = _reading(text, rules)
    findings = rules.findings
    findings.texts += 1
    findings.characters += len(text)
    spans = _spans(text, rules)
    findings.counts.update((s.kind, s.layer) for s in spans)
    findings.texts_with_identifiers += bool(spans)
    out, at = [], 0
    for span in spans:
        new = rules.replacer.value(span.kind, text[span.start : span.end])
        glued = new[-1:].isalnum() and text[span.end : span.end + 1].isalnum() and new != text[span.start : span.end]
        out += [_without_unknown(text[at : span.start], rules), f"{new} " if glued else new]
        at = span.end
    return hide_joined("".join([*out, _without_unknown(text[at:], rules)]), rules)


@dataclass
class _Reading:
    """Rules with the detector of another language."""

    detector: Detector
    replacer: Replacer
    stated: StatedIdentifiers | None
    findings: TextFindings


def _reading(text: str, rules: TextRules) -> TextRules:
    """The rules with the detector of the language in which most words of the text are."""
    language = reading_language(text)
    if rules.detector.tagger is None or language == rules.detector.language or language not in LANGUAGES:
        return rules
    detector = load_detector(language)
    lists = rules.detector.gazetteer
    return _Reading(detector.with_gazetteer(lists) if lists else detector, rules.replacer, rules.stated, rules.findings)


def _spans(text: str, rules: TextRules) -> list[TextSpan]:
    """Identifiers that do not overlap: stated ones before names and places of ordinary words, and these before detected ones."""
    forms = clinical_spans(text)
    detected = (_with_neighbors(s, text) for s in rules.detector.find(text, rules.stated) if _counts(s, text, forms))
    postal = (TextSpan(a, b, "place", "rule") for a, b in postal_codes(text))
    out: list[TextSpan] = []
    for span in (*find_phrases(text, rules.stated), *find_names(text), *postal, *detected):
        if not any(span.start < k.end and k.start < span.end for k in out):
            out.append(span)
    return sorted(out, key=lambda s: s.start)


def _with_neighbors(span: TextSpan, text: str) -> TextSpan:
    """A name in a text of three words or fewer with the capitalized words beside it, which are names too; titles and drugs are not."""
    if span.kind != "name" or len(_TOKEN.findall(text)) > _FEW_WORDS:
        return span
    before, after = _BEFORE.search(text, 0, span.start), _AFTER.match(text, span.end)
    start = (
        before.start("v") if before and not is_note_word(before["v"]) and before["v"].casefold() not in _ROLES else span.start
    )
    end = after.end("v") if after and not is_note_word(after["v"]) else span.end
    return replace(span, start=start, end=end)


def _is_measured(text: str) -> bool:
    """True if a text is a number with a known unit, a pair of short numbers, or a number of four digits that is no year of
    birth."""
    m = _MEASURED.fullmatch(text)
    if m is None or (m["unit"] and not is_unit(m["unit"])):
        return False
    whole = m["n"].partition(".")[0].partition(",")[0]
    if m["to"]:
        return len(whole) <= 3 and _is_pair(text) and _DAY.fullmatch(text.strip()) is None
    number = m["n"].replace(",", ".")
    if not m["unit"]:
        return len(whole) <= 4 and not (
            len(number) == 4 and number.isdigit() and int(number) > 1800 and reveals_age_over_89(int(number))
        )
    return is_measurement(number, m["unit"])


def _is_pair(text: str) -> bool:
    """True if the two numbers of a text have three digits or fewer each, and six together at most."""
    numbers = re.findall(r"\d+", text)
    return all(len(n) <= 3 for n in numbers) and sum(map(len, numbers)) <= 6


def _counts(span: TextSpan, text: str, forms: list[tuple[int, int]]) -> bool:
    """True if a span is an identifier: the tagger's guesses about terms and clinical forms are not."""
    value = text[span.start : span.end]
    if _is_code(text, span):
        return False
    if span.layer == "rule" and span.kind == "age":
        return True
    if span.layer != "known" and any(a <= span.start and span.end <= b for a, b in forms):
        return False
    if span.layer in ("known", "rule", "list"):
        return True
    if not any(c.isalnum() for c in value):
        return False
    if span.kind == "date" and re.fullmatch(r"\d{1,3}/\d{1,3}", value):
        a, b = map(int, value.split("/"))
        return (1 <= a <= 12 and 1 <= b <= 31) or (1 <= b <= 12 and 1 <= a <= 31)
    words = words_of(value)
    return not words or any((len(w) == 1 and len(words) == 1) or not is_term(w) or may_be_name(w) for w in words)


def _is_code(text: str, span: TextSpan) -> bool:
    return any(
        m.start() <= span.start and span.end <= m.end() + 1 and fits_loinc(m[0]) and "-" in m[0] for m in _CODE.finditer(text)
    )


def _without_unknown(text: str, rules: TextRules) -> str:
    kept = [m.span() for m in _CODE.finditer(text) if fits_loinc(m[0])] + clinical_spans(text) + _counted(text)

    def withhold(m: re.Match[str]) -> str:
        if any(a <= m.start() and m.end() <= b for a, b in kept):
            return m[0]
        if _LONG_NUMBER.fullmatch(m[0]):
            return WITHHELD
        if is_unit(m[0]) or (_is_harmless(m[0], rules.detector) and not _RECORD.fullmatch(m[0])):
            return m[0]
        rules.findings.counts["other", "unknown word"] += 1
        rules.replacer.count("other", "withhold")
        return WITHHELD

    return _PIECES.sub(withhold, text)


def _is_harmless(token: str, detector: Detector) -> bool:
    """True if each word of a token is clinical or ordinary; in Spanish, an ordinary word that is a listed name only in small
    letters."""
    if is_note_word(token):
        return True
    if detector.language != "en" and token[:1].isupper() and may_be_name(token.casefold()):
        return False
    return all(is_clinical(w, detector.common) or (fold(w) in clinical_words() and not may_be_name(w)) for w in words_of(token))


def _counted(text: str) -> list[tuple[int, int]]:
    """Positions of numbers followed by the name of something that is counted."""
    return [m.span(1) for m in _COUNTED.finditer(text) if is_unit(m[2]) and is_measurement(m[1], m[2])]


def hide_joined(text: str, rules: TextRules) -> str:
    """The text with words replaced that hold a stated identifier inside."""
    for word in sorted(hidden_words(text, rules.stated), key=len, reverse=True):
        rules.findings.counts["name", "known"] += 1
        rules.replacer.count("name", "withhold")
        text = text.replace(word, WITHHELD)
    return text
