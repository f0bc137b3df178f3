"""De-identification of one text, in pieces of bounded size, including encoded attachments."""

import base64
import binascii
import re
from bisect import bisect_right
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field, replace

from galenic.privacy.text.detector import Detector, merge_spans
from galenic.privacy.text.language_identification import VALIDATED, Passage, passages
from galenic.privacy.text.languages import load_detector
from galenic.privacy.text.normalization import normalize
from galenic.privacy.text.processor_time import check_time
from galenic.privacy.text.replacement import Replacer
from galenic.privacy.text.stated_identifiers import StatedIdentifiers
from galenic.privacy.text.unsupported_language import UNKNOWN, UNKNOWN_CAPITALS, Exclusion, exclusions, reduced, without_hidden
from galenic.schema import TextSpan

PIECE = 200_000  # characters that are searched together
MIN_ENCODED = 40  # characters of the shortest word that may be encoded content
_ENCODED = re.compile(
    r"(?:data:[\w/+.-]{3,80};base64,)?(?:[A-Za-z0-9+/]{60,}={0,2}|(?:[A-Za-z0-9+/]{40,}\r?\n){2,}[A-Za-z0-9+/]*={0,2})"
)
_SPACE = re.compile(r"\s")


@dataclass
class TextFindings:
    """Counts over texts. counts: identifiers by kind and layer. unreadable: dropped encoded content, by reason."""

    counts: Counter[tuple[str, str]] = field(default_factory=Counter)
    unreadable: Counter[str] = field(default_factory=Counter)
    characters: int = 0
    texts: int = 0
    texts_with_identifiers: int = 0


def deidentify_text(
    text: str,
    detector: Detector,
    replacer: Replacer,
    stated: StatedIdentifiers | None = None,
    findings: TextFindings | None = None,
) -> str:
    """Text without identifiers. This function de-identifies the text of all formats.

    Passages in a language or script without a validated detector are reduced to measurements with their units and the
    placeholder [TEXT], and so are unknown words of a short text in an unknown language. A detector without a tagger reads codes
    and terminology; there, only passages that are clearly in another language or script are reduced. Encoded attachments are
    searched if they are text, and dropped otherwise. `findings.unreadable` counts the reduced parts, by reason.
    """
    one = _TextDeidentifier(detector, replacer, stated, findings if findings is not None else TextFindings())
    return one.deidentify(text)


@dataclass(frozen=True)
class _TextDeidentifier:
    detector: Detector
    replacer: Replacer
    stated: StatedIdentifiers | None
    findings: TextFindings

    def deidentify(self, text: str) -> str:
        findings = self.findings
        text = without_hidden(text)
        findings.texts += 1
        findings.characters += len(text)
        before = findings.counts.total()
        out, at = [], 0
        for m in _ENCODED.finditer(text) if max(map(len, text.split()), default=0) >= MIN_ENCODED else ():
            out += [self._piece(p) for p in _pieces(text[at : m.start()])]
            out.append(self._encoded(m[0]))
            at = m.end()
        out += [self._piece(p) for p in _pieces(text[at:])]
        findings.texts_with_identifiers += findings.counts.total() > before
        return "".join(out)

    def _piece(self, text: str) -> str:
        check_time()
        if not text.strip():
            return text
        read = normalize(text)
        found = passages(read.text)
        excluded = exclusions(text, read, found, prose=self.detector.tagger is not None)
        if len(excluded) == 1 and (excluded[0].start, excluded[0].end) == (0, len(text)):
            spans: list[TextSpan] = []
        else:
            others = [replace(p, start=a, end=b) for p in found for a, b in (read.original(p.start, p.end),)]
            spans = self._found(text, others)
        excluded = _without_overlaps(excluded, spans)
        self.findings.unreadable.update(e.reason for e in excluded)
        out, at = [], 0
        for e in excluded:
            out += [self._replaced(text, at, e.start, spans), reduced(text[e.start : e.end])]
            at = e.end
        return "".join([*out, self._replaced(text, at, len(text), spans)])

    def _replaced(self, text: str, start: int, end: int, spans: list[TextSpan]) -> str:
        """The part [start, end) with the spans in it replaced."""
        part = [
            replace(s, start=max(s.start, start) - start, end=min(s.end, end) - start)
            for s in spans
            if s.start < end and s.end > start
        ]
        self.findings.counts.update((s.kind, s.layer) for s in part)
        return self.replacer.replace(text[start:end], part)

    def _found(self, text: str, found: list[Passage]) -> list[TextSpan]:
        """Identifiers; in passages of another validated language than the detector's, by the tagger of that language."""
        spans = self.detector.find(text, self.stated)
        if self.detector.tagger is None:
            return spans
        for language in VALIDATED:
            stretches = _stretches(found, language) if language != self.detector.language else []
            for a, b in stretches:
                spans = [s for s in spans if s.layer not in ("tagger", "again") or s.end <= a or s.start >= b]
                spans += [replace(s, start=a + s.start, end=a + s.end) for s in load_detector(language).find(text[a:b])]
            spans = merge_spans(text, spans) if stretches else spans
        return spans

    def _encoded(self, content: str) -> str:
        """Base64 content without identifiers, or a placeholder if it is not text."""
        head, _, body = content.rpartition(",")
        try:
            text = base64.b64decode(re.sub(r"\s", "", body), validate=True).decode("utf-8")
        except (binascii.Error, UnicodeDecodeError):
            text = ""
        if not text or sum(c.isprintable() or c.isspace() for c in text) < 0.95 * len(text):
            self.findings.unreadable["encoded data instead of text"] += 1
            return "[ATTACHMENT]"
        clean = base64.b64encode(self._piece(text).encode()).decode()
        return f"{head},{clean}" if head else clean


def _stretches(found: list[Passage], language: str) -> list[tuple[int, int]]:
    """Passages of a language, joined where they follow one another."""
    out: list[tuple[int, int]] = []
    for p, before in zip(found, (None, *found), strict=False):
        if p.language == language:
            if before is not None and before.language == language:
                out[-1] = (out[-1][0], p.end)
            else:
                out.append((p.start, p.end))
    return out


def _without_overlaps(excluded: list[Exclusion], spans: list[TextSpan]) -> list[Exclusion]:
    """Without unknown words that are identifiers, which a detector found."""
    taken = [(s.start, s.end) for s in spans]
    starts = [a for a, _ in taken]

    def is_found(e: Exclusion) -> bool:
        at = bisect_right(starts, e.start) - 1
        return at >= 0 and taken[at][1] >= e.end

    return [e for e in excluded if e.reason not in (UNKNOWN, UNKNOWN_CAPITALS) or not is_found(e)]


def _pieces(text: str) -> Iterator[str]:
    """Cut at white space, preferably at the end of a line: an identifier may cross a line's end, but not pieces."""
    at = 0
    while len(text) - at > PIECE:
        cut = text.rfind("\n", at + PIECE // 2, at + PIECE)
        if cut < 0:
            spaces = [m.start() for m in _SPACE.finditer(text, at + PIECE - 2_000, at + PIECE)]
            cut = spaces[-1] if spaces else at + PIECE - 1
        yield text[at : cut + 1]
        at = cut + 1
    yield text[at:]
