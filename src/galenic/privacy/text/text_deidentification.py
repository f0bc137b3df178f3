"""One text made free of identity: in pieces of bounded size, with what stands encoded in it."""

import base64
import binascii
import re
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field

from galenic.privacy.text.detector import Detector
from galenic.privacy.text.replacement import Replacer
from galenic.privacy.text.stated_identifiers import StatedIdentifiers

PIECE = 200_000  # signs that are read together
LEAST_ENCODED = 40
_ENCODED = re.compile(
    r"(?:data:[\w/+.-]{3,80};base64,)?(?:[A-Za-z0-9+/]{60,}={0,2}|(?:[A-Za-z0-9+/]{40,}\r?\n){2,}[A-Za-z0-9+/]*={0,2})"
)
_BREAK = re.compile(r"\s")


@dataclass
class TextFindings:
    """What was done to texts. found: by kind and layer; treated: by kind and treatment; dropped: what could not be read, by reason."""

    found: Counter[tuple[str, str]] = field(default_factory=Counter)
    dropped: Counter[str] = field(default_factory=Counter)
    signs: int = 0
    texts: int = 0
    touched: int = 0  # texts with an identifier


def deidentify_text(
    text: str, detector: Detector, replacer: Replacer, known: StatedIdentifiers | None = None, taken: TextFindings | None = None
) -> str:
    """The text without what identifies. Encoded attachments are read if they are text, and dropped if not."""
    done = taken if taken is not None else TextFindings()
    done.texts += 1
    done.signs += len(text)
    before = done.found.total()
    out, at = [], 0
    for m in _ENCODED.finditer(text) if max(map(len, text.split()), default=0) >= LEAST_ENCODED else ():
        out += [_piece(p, detector, replacer, known, done) for p in _pieces(text[at : m.start()])]
        out.append(_decoded(m[0], detector, replacer, known, done))
        at = m.end()
    out += [_piece(p, detector, replacer, known, done) for p in _pieces(text[at:])]
    done.touched += done.found.total() > before
    return "".join(out)


def _piece(text: str, detector: Detector, replacer: Replacer, known: StatedIdentifiers | None, done: TextFindings) -> str:
    if not text.strip():
        return text
    spans = detector.find(text, known)
    done.found.update((s.kind, s.layer) for s in spans)
    return replacer.text(text, spans)


def _pieces(text: str) -> Iterator[str]:
    """Cut where white space is, near the end of a line if there is one: an identifier may go over a line's end, not over pieces."""
    at = 0
    while len(text) - at > PIECE:
        cut = text.rfind("\n", at + PIECE // 2, at + PIECE)
        if cut < 0:
            spaces = [m.start() for m in _BREAK.finditer(text, at + PIECE - 2_000, at + PIECE)]
            cut = spaces[-1] if spaces else at + PIECE - 1
        yield text[at : cut + 1]
        at = cut + 1
    yield text[at:]


def _decoded(said: str, detector: Detector, replacer: Replacer, known: StatedIdentifiers | None, done: TextFindings) -> str:
    """Something encoded (Base64): the same without what identifies, or a mark in its place."""
    head, _, body = said.rpartition(",")
    try:
        inner = base64.b64decode(re.sub(r"\s", "", body), validate=True).decode("utf-8")
    except (binascii.Error, UnicodeDecodeError):
        inner = ""
    if not inner or sum(c.isprintable() or c.isspace() for c in inner) < 0.95 * len(inner):
        done.dropped["encoded, and not text"] += 1
        return "[ATTACHMENT]"
    clean = base64.b64encode(_piece(inner, detector, replacer, known, done).encode()).decode()
    return f"{head},{clean}" if head else clean
