"""Narrative of FHIR and C-CDA rebuilt from an allow list of tags: without attributes and comments; each block is searched as
one text."""

import html
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import groupby
from xml.etree.ElementTree import Element, ParseError, SubElement, tostring

from defusedxml import DefusedXmlException
from defusedxml.ElementTree import fromstring

from galenic.privacy.deidentification.rules.announcements import announcements
from galenic.privacy.deidentification.rules.labels import LABEL, Announced

XHTML = "http://www.w3.org/1999/xhtml"
_BLOCKS = re.compile(r"div|p|ul|ol|li|dl|dt|dd|table|caption|thead|tbody|tfoot|tr|td|th|h[1-6]|blockquote|pre|hr|br")
_INLINE = re.compile(r"a|abbr|acronym|b|big|cite|code|col|colgroup|dfn|em|i|img|q|samp|small|span|strong|sub|sup|tt|var")
_ENTITY = re.compile(r"&(?!amp;|lt;|gt;|quot;|apos;|#)[A-Za-z][A-Za-z0-9]*;")  # XML defines only five
MOST_DEEP = 100


def clean_narrative(div: str, search: Callable[[str, str], str]) -> str | None:
    """Narrative's div without identifiers; None if it cannot be parsed. search: function of (text, kind stated by a heading)
    that returns the text without identifiers."""
    try:
        root = fromstring(_ENTITY.sub(lambda m: _character(m[0]), div).encode("utf-8", "replace"), forbid_dtd=True)
    except (ParseError, DefusedXmlException, ValueError):
        return None
    out = Element("div")
    _Copying(search, announcements(root)).copy(root, out, "", 0)
    text = tostring(out, encoding="unicode")
    if not "".join(out.itertext()).strip():
        return None
    return text.replace("<div", f'<div xmlns="{XHTML}"', 1)


def _character(entity: str) -> str:
    plain = html.unescape(entity)
    return " " if plain == entity else html.escape(plain)


@dataclass(frozen=True)
class _Copying:
    """search: of a text by the kind that a heading announces. announced: those kinds."""

    search: Callable[[str, str], str]
    announced: Announced

    def copy(self, source: Element, target: Element, kind: str, depth: int) -> None:
        """Copy the blocks of an element. Text between two blocks or labels is searched as one text, regardless of inline tags."""
        kind = self.announced.inside.get(id(source), kind)
        pieces: list[tuple[str, str]] = []
        last: Element | None = None

        def close() -> None:
            nonlocal last
            text = "".join(self._searched(pieces))
            pieces.clear()
            if last is None:
                target.text = (target.text or "") + text
            else:
                last.tail = (last.tail or "") + text

        def walk(node: Element, level: int, kind: str) -> None:
            nonlocal last
            pieces.append((node.text or "", kind))
            for child in node:
                name = child.tag.rpartition("}")[2] if isinstance(child.tag, str) else ""
                if _BLOCKS.fullmatch(name) and level < MOST_DEEP:
                    close()
                    last = SubElement(target, name)
                    if name not in ("br", "hr"):
                        self.copy(child, last, kind, level + 1)
                elif _INLINE.fullmatch(name) and level < MOST_DEEP:
                    walk(child, level + 1, self.announced.inside.get(id(child), kind))
                pieces.append((child.tail or "", self.announced.behind.get(id(child), kind)))

        walk(source, depth, kind)
        close()

    def _searched(self, pieces: list[tuple[str, str]]) -> Iterator[str]:
        """The texts without identifiers; neighbours of one kind are searched as one."""
        for kind, texts in groupby(pieces, key=lambda one: "" if one[1] == LABEL else one[1]):
            text = "".join(one for one, _ in texts)
            yield self.search(text, kind) if text.strip() else text
