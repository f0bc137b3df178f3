"""De-identification of one text, in pieces of bounded size, including encoded attachments."""

import base64
import binascii
import re
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field

from galenic.privacy.text.detector import Detector
from galenic.privacy.text.replacement import Replacer
from galenic.privacy.text.stated_identifiers import StatedIdentifiers

PIECE = 200_000  # characters that are searched together
MIN_ENCODED = 40  # characters of the shortest word that may be encoded content
_ENCODED = re.compile(
    r"(?:data:[\w/+.-]{3,80};base64,)?(?:[A-Za-z0-9+/]{60,}={0,2}|(?:[A-Za-z0-9+/]{40,}\r?\n){2,}[A-Za-z0-9+/]*={0,2})"
)
_SPACE = re.compile(r"\s")


@dataclass
class TextFindings:
    """Counts over texts. counts: identifiers by kind and layer. unreadable: encoded content that was dropped, by reason."""

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
    """The text without identifiers. Encoded attachments are searched if they are text, and dropped if not."""
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
        if not text.strip():
            return text
        spans = self.detector.find(text, self.stated)
        self.findings.counts.update((s.kind, s.layer) for s in spans)
        return self.replacer.replace(text, spans)

    def _encoded(self, content: str) -> str:
        """Base64 content without identifiers, or a placeholder if it is not text."""
        head, _, body = content.rpartition(",")
        try:
            text = base64.b64decode(re.sub(r"\s", "", body), validate=True).decode("utf-8")
        except (binascii.Error, UnicodeDecodeError):
            text = ""
        if not text or sum(c.isprintable() or c.isspace() for c in text) < 0.95 * len(text):
            self.findings.unreadable["encoded, and not text"] += 1
            return "[ATTACHMENT]"
        clean = base64.b64encode(self._piece(text).encode()).decode()
        return f"{head},{clean}" if head else clean


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
