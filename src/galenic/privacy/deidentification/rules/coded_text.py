"""Short texts beside codes (displays, labels, single values): identifiers are replaced, and words that no terminology has are withheld."""

import html
import re
from typing import Protocol
from urllib.parse import unquote

from galenic.privacy.deidentification.rules.coded_words import is_clinical, words_of
from galenic.privacy.deidentification.rules.codes import fits_loinc, is_unit
from galenic.privacy.deidentification.rules.joined_identifiers import find_phrases, hidden_words, states_identifier
from galenic.privacy.text import Detector, Replacer, StatedIdentifiers, TextFindings, deidentify_text, unsupported_languages
from galenic.schema import TextSpan

WITHHELD = "[WITHHELD]"
SHORT = 90  # characters up to which a text is too short for the tagger to judge by context
_TOKEN = re.compile(r"[^\W_]+(?:['’][^\W_]+)*")
_PLACEHOLDER = re.compile(r"\[[A-Z]+\]")
_ESCAPED = re.compile(r"%[0-9A-Fa-f]{2}|&(?:#\d+|#[xX][0-9a-fA-F]+|[A-Za-z]{2,8});|\\u[0-9a-fA-F]{4}|=\?[\w-]+\?")
_MEASURED = re.compile(
    r"\s*[<>=~≤≥]{0,2}\s*[+-]?\d{1,6}(?:[.,]\d{1,4})?(?:\s*[-/–]\s*\d{1,4}(?:\.\d{1,4})?)?\s*(?P<unit>\S{0,20})\s*"
)
_LONG_NUMBER = re.compile(r"(?<![\d.])\d{5,}(?![\d.])|\d(?:[ .()-]{0,2}\d){8,}")
_NUMBER = r"(?:[- ](?:and[- ])?(?:one|two|three|four|five|six|seven|eight|nine|ten|eleven|twelve|\w+teen|twenty))?"
_WRITTEN_AGE = re.compile(
    rf"\b(?:ninety{_NUMBER}|(?:one |a )?hundred{_NUMBER})(?=[- ]?(?:years?|yrs?|y/?o)\b)"
    rf"|(?<=\baged )(?:ninety{_NUMBER}|(?:one |a )?hundred{_NUMBER})|\b(?:nonagenarian|centenarian)\b",
    re.I,
)
_CODE = re.compile(r"(?<![\w-])\d{1,5}-\d(?![\w-])")


class TextRules(Protocol):
    """What the treatment of a text needs."""

    detector: Detector
    replacer: Replacer
    stated: StatedIdentifiers | None
    findings: TextFindings


def decoded(text: str) -> str:
    """The text without percent and character escapes, in which names hide; at most three levels."""
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
    """The text with ages above 89 that are written in words as 90 or older."""
    if rules.replacer.policy["age"] == "keep" or not _WRITTEN_AGE.search(text):
        return text
    rules.findings.counts["age", "rule"] += 1
    rules.replacer.count("age", "generalise")
    return _WRITTEN_AGE.sub("90 or older", text)


def search_text(text: str, rules: TextRules) -> str:
    """A text without identifiers: short ones by their words, long ones by the detector."""
    text = _top_coded(decoded(text), rules)
    if not text.strip():
        return text
    if len(text) <= SHORT and "\n" not in text.strip():
        return search_coded(text, rules)
    return hide_joined(deidentify_text(text, rules.detector, rules.replacer, rules.stated, rules.findings), rules)


def search_coded(text: str, rules: TextRules) -> str:
    """A short text with stated identifiers, patterns and unknown words replaced; measurements are kept."""
    text = _top_coded(decoded(text), rules)
    if _is_measured(text) and not states_identifier(text, rules.stated):
        return text
    if not text.isascii() and len(unsupported_languages(text)) > 1:  # words and dates of other scripts are not found one by one
        return hide_joined(deidentify_text(text, rules.detector, rules.replacer, rules.stated, rules.findings), rules)
    findings = rules.findings
    findings.texts += 1
    findings.characters += len(text)
    known = list(find_phrases(text, rules.stated))
    detected = [s for s in rules.detector.find(text, rules.stated) if _counts(s, text, rules.detector.common)]
    spans = sorted(
        (*known, *(s for s in detected if not any(s.start < k.end and k.start < s.end for k in known))), key=lambda s: s.start
    )
    findings.counts.update((s.kind, s.layer) for s in spans)
    findings.texts_with_identifiers += bool(spans)
    out, at = [], 0
    for span in spans:
        out += [_without_unknown(text[at : span.start], rules), rules.replacer.value(span.kind, text[span.start : span.end])]
        at = span.end
    return hide_joined("".join([*out, _without_unknown(text[at:], rules)]), rules)


def _is_measured(text: str) -> bool:
    m = _MEASURED.fullmatch(text)
    return (
        m is not None
        and len(re.sub(r"\D", "", text)) <= 8
        and not _LONG_NUMBER.search(text)
        and (not m["unit"] or is_unit(m["unit"]))
    )


def _counts(span: TextSpan, text: str, common: frozenset[str]) -> bool:
    """Whether a span is an identifier: the tagger's guesses about words of terminology and codes are not."""
    if span.layer in ("known", "rule", "list"):
        return not _is_code(text, span)
    value = text[span.start : span.end]
    if _is_code(text, span) or not any(c.isalnum() for c in value):
        return False
    if span.kind == "date" and re.fullmatch(r"\d{1,3}/\d{1,3}", value):
        a, b = map(int, value.split("/"))
        return (1 <= a <= 12 and 1 <= b <= 31) or (1 <= b <= 12 and 1 <= a <= 31)
    words = words_of(value)
    return not words or any((len(w) == 1 and len(words) == 1) or not is_clinical(w, common) for w in words)


def _is_code(text: str, span: TextSpan) -> bool:
    return any(
        m.start() <= span.start and span.end <= m.end() + 1 and fits_loinc(m[0]) and "-" in m[0] for m in _CODE.finditer(text)
    )


def _without_unknown(text: str, rules: TextRules) -> str:
    common = rules.detector.common

    def withhold(m: re.Match[str]) -> str:
        letters = words_of(m[0])
        if all(is_clinical(w, common) for w in letters) or is_unit(m[0]):
            return m[0]
        if re.fullmatch(r"[A-Z]{1,3}\d{1,4}[A-Z]{0,2}|\d{1,4}[A-Za-z]{1,2}", m[0]):  # a variant or grade: L858R, T2N0, 3rd
            return m[0]
        rules.findings.counts["other", "unknown word"] += 1
        rules.replacer.count("other", "withhold")
        return WITHHELD

    codes = [m.span() for m in _CODE.finditer(text) if fits_loinc(m[0])]
    numbers = _LONG_NUMBER.sub(lambda m: m[0] if any(a <= m.start() < b for a, b in codes) else WITHHELD, text)
    pieces = re.split(rf"({re.escape(WITHHELD)})", numbers)
    return "".join(p if p == WITHHELD else _TOKEN.sub(withhold, p) for p in pieces)


def hide_joined(text: str, rules: TextRules) -> str:
    """The text with words replaced that hold a stated identifier inside."""
    for word in sorted(hidden_words(text, rules.stated), key=len, reverse=True):
        rules.findings.counts["name", "known"] += 1
        rules.replacer.count("name", "withhold")
        text = text.replace(word, WITHHELD)
    return text
