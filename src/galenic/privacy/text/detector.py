"""Detector of identifiers in text: several layers search, and their spans are merged, so that one finds what another misses."""

import re
from collections.abc import Iterable
from dataclasses import dataclass, field, replace

import numpy as np

from galenic.privacy.text.context_names import find_context_names
from galenic.privacy.text.gazetteers import Gazetteer
from galenic.privacy.text.measurements import without_measurements
from galenic.privacy.text.normalization import normalize
from galenic.privacy.text.patterns import find_patterns
from galenic.privacy.text.plausible_names import may_be_name
from galenic.privacy.text.processor_time import check_time
from galenic.privacy.text.prose_names import find_prose_names
from galenic.privacy.text.stated_identifiers import StatedIdentifiers
from galenic.privacy.text.tagger import Tagger
from galenic.privacy.text.vocabulary import is_neutral
from galenic.schema import TextSpan

TAGGER_KINDS = {
    "NAME": "name",
    "LOCATION": "place",
    "ORGANIZATION": "organisation",
    "DATE": "date",
    "AGE": "age",
    "CONTACT": "phone",
    "ID": "other",
}
LAYERS = ("known", "rule", "list", "tagger", "again")  # in this order a layer decides on the kind where several find a span
_EMAIL, _URL, _IP = (
    re.compile(r"@"),
    re.compile(r"[a-z]{2}\.[a-z]{2}|//|www", re.I),
    re.compile(r"\d\.\d{1,3}\.\d{1,3}\.\d|(?:[0-9a-f]{1,4}:){4}", re.I),
)
_NUMBER_LABELS = tuple(  # words before a number that tell its kind
    (kind, re.compile(pattern))
    for kind, pattern in (
        ("fax", r"\bfax\b"),
        ("ssn", r"\bssn\b|social|nhs|national"),
        ("record", r"\bmrn?\b|record|chart|unit|hospital|patient id|accession|encounter|visit"),
        ("plan", r"member|policy|insur|plan\b|group|benefic|medicare|medicaid|subscriber|claim"),
        ("account", r"acc(?:oun)?t|card|iban|bank|wire|pay"),
        ("licence", r"licen[cs]e|npi|\bdea\b|passport|certificate|badge"),
        ("vehicle", r"plate|vin\b|vehicle|\bcar\b"),
        ("device", r"serial|device|implant|\blot\b|udi|pacemaker|scanner|station"),
    )
)
_WORD = re.compile(r"[^\W\d_]{3,}")
# behind a number that is no age: decimals and units
_MEASURED = re.compile(r"[.,]\d|\s?(?:%|percent\b|mm\s?hg\b|bpm\b|m[cg]?g\b|kg\b|lbs?\b|cm\b|m?mol\b|°|beats?\b)", re.I)
_LETTERS = re.compile(r"[^\W\d_]+")
_WORDS = ("name", "place", "organisation")
SHORT, MAX_CACHED = 400, 50_000  # characters of texts that are cached; number of texts
COMMON_WORD_THRESHOLD = 0.6  # for common words in lower case (held-out text: no recall lost, an eighth fewer false positives)


@dataclass
class Detector:
    """Detector of identifiers.

    thresholds: by class of the tagger, the probability from which a token counts as an identifier; default_threshold: of the
    other classes. common: words of ordinary text, which are names only in some contexts. gazetteer: the user's own lists.
    kinds: by class of the tagger, the kind of identifier; a class without one identifies nobody. language: of the tagger.
    """

    tagger: Tagger | None = None
    thresholds: dict[str, float] = field(default_factory=dict)
    common: frozenset[str] = frozenset()
    default_threshold: float = 0.2
    kinds: dict[str, str] = field(default_factory=lambda: dict(TAGGER_KINDS))
    gazetteer: Gazetteer | None = None
    language: str = "en"
    _cache: dict[str, list[TextSpan]] = field(default_factory=dict, repr=False)

    def with_gazetteer(self, gazetteer: Gazetteer) -> "Detector":
        """A copy that also searches for the gazetteer's entries."""
        return replace(self, gazetteer=gazetteer, _cache={})

    def find(self, text: str, stated: StatedIdentifiers | None = None) -> list[TextSpan]:
        """Spans in order, without overlaps."""
        check_time()
        read = normalize(text)
        spans = [*(stated.find(read.text) if stated else ()), *find_patterns(read.text)]
        if self.tagger:
            names = (*find_prose_names(read.text), *find_context_names(read.text))
            spans += without_measurements(read.text, [*self._tagged(read.text), *names])
        spans += self.gazetteer.find(read.text) if self.gazetteer else ()
        spans += self._repetitions(read.text, spans)
        merged = [_with_role(read.text, s) for s in merge_spans(read.text, spans)]
        if read.starts is None:
            return merged
        return [replace(s, start=a, end=b) for s in merged for a, b in (read.original(s.start, s.end),)]

    def _tagged(self, text: str) -> list[TextSpan]:
        """Spans of the tagger; results for short texts, which records often repeat, are cached."""
        if self.tagger is None:
            return []
        if len(text) > SHORT:
            return self._tag(text)
        spans = self._cache.get(text)
        if spans is None:
            if len(self._cache) > MAX_CACHED:
                self._cache.clear()
            spans = self._cache[text] = self._tag(text)
        return spans

    def _tag(self, text: str) -> list[TextSpan]:
        assert self.tagger is not None
        bounds, p = self.tagger.tag(text)
        if not bounds:
            return []
        labels = self.tagger.labels
        by_class = p[:, 1::2] + p[:, 2::2]
        identifying = by_class[:, [k in self.kinds for k in labels]].sum(1)
        best = by_class.argmax(1)
        threshold = np.array([self.thresholds.get(k, self.default_threshold) for k in labels], np.float32)[best]
        begins = p[np.arange(len(p)), 1 + 2 * best] > p[np.arange(len(p)), 2 + 2 * best]
        hot = np.flatnonzero(identifying > threshold)
        spans: list[TextSpan] = []
        last = -2
        for i in hot.tolist():
            a, b = bounds[i]
            if not (text[a].isalnum() or (last == i - 1 and spans)):
                continue
            k = int(best[i])
            kind = self.kinds.get(labels[k])
            if kind is None or (
                identifying[i] < COMMON_WORD_THRESHOLD and kind in _WORDS and text[a:b].islower() and text[a:b] in self.common
            ):
                continue
            if last == i - 1 and spans and spans[-1].kind == kind and not begins[i] and "\n" not in text[spans[-1].end : a]:
                spans[-1] = replace(spans[-1], end=b, score=max(spans[-1].score, float(identifying[i])))
            elif text[a].isalnum():
                spans.append(TextSpan(a, b, kind, "tagger", float(identifying[i])))
            else:
                continue
            last = i
        spans = [s for s in spans if not _is_number_part(text, s) and not _is_jargon(text, s)]
        return [self._with_precise_kind(text, s) for s in spans]

    def _with_precise_kind(self, text: str, span: TextSpan) -> TextSpan:
        """The span with the kind that its form, or the words before it, tell."""
        value = text[span.start : span.end]
        if span.kind == "phone":
            kind = "email" if _EMAIL.search(value) else "ip" if _IP.search(value) else "url" if _URL.search(value) else "phone"
            if kind == "phone" and "fax" in text[max(0, span.start - 12) : span.start].casefold():
                kind = "fax"
            return replace(span, kind=kind)
        if span.kind == "other":
            before = text[max(0, span.start - 30) : span.start].casefold()
            before = before[before.rfind("\n") + 1 :]
            labels_found = [(m.end(), kind) for kind, pattern in _NUMBER_LABELS for m in pattern.finditer(before)]
            return replace(span, kind=max(labels_found)[1]) if labels_found else span
        return span

    def _repetitions(self, text: str, spans: Iterable[TextSpan]) -> list[TextSpan]:
        """Further occurrences of names that were found with high confidence elsewhere in the text."""
        words = set()
        for span in spans:
            if span.kind == "name" and (span.score > 0.8):
                words |= {w for w in _WORD.findall(text[span.start : span.end]) if w.casefold() not in self.common}
        forms = {form for w in words for form in _forms(w)}
        return [TextSpan(*m.span(), "name", "again") for m in _WORD.finditer(text) if m[0] in forms] if forms else []


def _is_number_part(text: str, span: TextSpan) -> bool:
    """True if a guess at an age or date is a number with a unit, or the decimals of one."""
    if span.kind == "age" and _MEASURED.match(text, span.end):
        return True
    decimals = span.start > 1 and text[span.start - 1] in ".," and text[span.start - 2].isdigit()
    return decimals and span.kind in ("age", "date") and text[span.start : span.end].isdigit()


def _is_jargon(text: str, span: TextSpan) -> bool:
    """True if a guess at a name or place consists of abbreviations of notes and names of drugs."""
    if span.kind not in _WORDS:
        return False
    words = _LETTERS.findall(text[span.start : span.end])
    return all(len(w) == 1 or (is_neutral(w) and not may_be_name(w.casefold())) for w in words) and any(map(is_neutral, words))


_TITLE = re.compile(
    r"(?:\b(?:dr|prof|doctor|nurse|surgeon|physician|md|pcp|therapist|attending|resident|consultant|midwife)\b[.:,]?\s*)$", re.I
)
_DEGREE = re.compile(r",?\s{0,5}(?:M\.?D|D\.?O|R\.?N|N\.?P|P\.?A(?:-C)?|Ph\.?D|MBBS|FRC[SP]|LPN|DPM|PharmD)\b")
_RELATION = re.compile(
    r"\b(?:daughter|son|wife|husband|mother|father|sister|brother|partner|spouse|aunt|uncle|cousin|niece|nephew|grand(?:mother|father|son|daughter)|"
    r"guardian|next of kin|in-law)\b(?:\s*(?:,|:|is|was|named|called))*\s*$",
    re.I,
)
_WORKS = re.compile(
    r"\b(?:works?|worked|working|employed|employer|retired|job)\b[^.\n]{0,25}\b(?:at|for|by|from|with|is|:)\s*(?:the\s+)?$",
    re.I,
)


def _with_role(text: str, span: TextSpan) -> TextSpan:
    """A name as that of a clinician or relative, an organization as an employer, where the words around it say so."""
    if span.kind not in ("name", "organisation"):
        return span
    before = text[max(0, span.start - 45) : span.start]
    if span.kind == "organisation":
        return replace(span, kind="employer") if _WORKS.search(before) else span
    if _TITLE.search(before) or _DEGREE.match(text, span.end):
        return replace(span, kind="clinician")
    return replace(span, kind="relative") if _RELATION.search(before) else span


def _forms(word: str) -> set[str]:
    return {word, word.lower(), word.upper(), word.capitalize()}


def _is_pattern(span: TextSpan) -> bool:
    """True if the span is an address or number with a pattern, which may contain a name."""
    return span.layer == "rule" and span.kind in ("email", "url", "ip", "ssn", "phone", "fax")


def merge_spans(text: str, spans: Iterable[TextSpan]) -> list[TextSpan]:
    """Overlapping spans merged into one, with the kind of the first layer in LAYERS, extended to whole words."""
    out: list[TextSpan] = []
    for span in sorted(spans, key=lambda s: (s.start, -s.end)):
        if out and span.start < out[-1].end:
            a, b = out[-1], span
            strong = min(a, b, key=lambda s: (not _is_pattern(s), LAYERS.index(s.layer), s.start - s.end))
            out[-1] = replace(strong, start=a.start, end=max(a.end, b.end), score=max(a.score, b.score))
        else:
            out.append(span)
    return [_whole_words(text, s) for s in out]


def _whole_words(text: str, span: TextSpan) -> TextSpan:
    a, b = span.start, span.end
    while b < len(text) and b > a and text[b - 1].isalpha() and text[b].isalpha():
        b += 1
    while a > 0 and text[a].isalpha() and text[a - 1].isalpha():
        a -= 1
    return replace(span, start=a, end=b) if (a, b) != (span.start, span.end) else span
