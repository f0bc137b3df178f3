"""Labels in narrative: highlighted words, words before an element or the end of a line, and short headings, which state the
kind of the following text."""

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from xml.etree.ElementTree import Element

from galenic.privacy.deidentification.rules.headings import announced_by, local_name, text_of

LABEL = "label"  # the kind of a label itself
_HIGHLIGHTED = re.compile(r"caption|content|b|strong|i|em|span|u|cite|code|big|small|var|dfn|abbr|a|linkHtml")
_INLINE = re.compile(rf"{_HIGHLIGHTED.pattern}|sub|sup|footnote|q|samp|tt|acronym|br")
_HEADING = re.compile(r"h[1-6]|p|div|paragraph|li|item|title|caption|blockquote|pre")
_CONTAINER = re.compile(r"item|li|list|ul|ol|paragraph|p|div|text|td|th|dd|blockquote|pre|h[1-6]|footnote")
_WITH_COLON = re.compile(r"(?:\A|[;.,|\n(–—])([^:;.,|\n(]{1,60}):\s*\Z")
_FEW_WORDS = 3  # of a label without a colon
_LONGEST_ANSWER = 80  # characters of what a heading of its own announces


@dataclass
class Announced:
    """Kinds of identifiers stated by labels, by the id() of elements. inside: the text of an element and its descendants;
    behind: its tail text."""

    inside: dict[int, str] = field(default_factory=dict)
    behind: dict[int, str] = field(default_factory=dict)


def announced_by_labels(root: Element) -> Announced:
    """Kinds of identifiers that the labels in the blocks of a document state."""
    found = Announced()
    for node in root.iter():
        name = local_name(node)
        if name == "section" or _CONTAINER.fullmatch(name):
            found.inside.update(_of_headings(node))
        if _CONTAINER.fullmatch(name):
            _Reading(found).read(node)
    return found


def _of_headings(node: Element) -> Iterator[tuple[int, str]]:
    """A short block announces the block behind it; the caption of a list all its items."""
    blocks = [c for c in node if local_name(c) == "caption" or not _INLINE.fullmatch(local_name(c))]
    texts = [(one, text) for one in blocks if (text := text_of(one))]
    for at, (block, heading) in enumerate(texts[:-1]):
        kind = _whole_label(heading) if _HEADING.fullmatch(local_name(block)) else ""
        end = len(texts) if local_name(block) == "caption" else at + 2
        for one, text in texts[at + 1 : end] if kind else ():
            if len(text) <= _LONGEST_ANSWER and not (_HEADING.fullmatch(local_name(one)) and _whole_label(text)):
                yield id(one), kind


def _whole_label(text: str) -> str:
    """The kind that a text announces as a whole; "" if it is no label."""
    plain = text.strip().rstrip(" :")
    is_short = len(plain.split()) <= _FEW_WORDS and not any(c in ":0123456789" for c in plain)
    return announced_by(plain) if text.rstrip().endswith(":") or is_short else ""


@dataclass
class _Reading:
    """Reader of the text of one block in order. kind: stated by the last label; is_open: nothing was read since; is_text: the
    label was text before an element, which covers only one block."""

    found: Announced
    kind: str = ""
    is_open: bool = False
    is_text: bool = False

    def read(self, block: Element) -> None:
        """Read the text of a block, not that of the blocks in it."""
        self._text(block.text)
        self._children(block)

    def _children(self, node: Element) -> None:
        for child in node:
            self._child(child)
            if self.kind and (child.tail or "").strip():
                self.found.behind[id(child)] = self.kind
            self._text(child.tail)

    def _child(self, child: Element) -> None:
        name = local_name(child)
        if _HIGHLIGHTED.fullmatch(name) and self._is_label(text_of(child)):
            self.found.inside[id(child)] = LABEL
            for one in child.iter():
                self.found.behind.pop(id(one), None)
            self.kind, self.is_open, self.is_text = _whole_label(text_of(child)), True, False
            return
        if self.kind and name != "br":
            self.found.inside.setdefault(id(child), self.kind)
        if _INLINE.fullmatch(name):
            self._text(child.text)
            self._children(child)
        elif self.is_text:
            self.kind, self.is_open = "", False

    def _is_label(self, text: str) -> bool:
        """True if highlighted words are a label. Right behind another label they are what it announces, unless they have a
        colon."""
        if text.endswith(":"):
            return True
        return not (self.kind and self.is_open) and bool(_whole_label(text))

    def _text(self, text: str | None) -> None:
        if not (text or "").strip():
            return
        self.is_open = False
        found = _WITH_COLON.search(text or "")
        kind = announced_by(found[1].strip()) if found else _whole_label(text or "") if not self.kind else ""
        if found or kind:
            self.kind, self.is_open, self.is_text = kind, True, True
