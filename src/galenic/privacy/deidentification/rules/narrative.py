"""Narrative of FHIR and C-CDA rebuilt from an allow list of tags: no attributes, no comments, each block searched as one text."""

import html
import re
from collections.abc import Callable
from dataclasses import dataclass
from xml.etree.ElementTree import Element, ParseError, SubElement, tostring

from defusedxml import DefusedXmlException
from defusedxml.ElementTree import fromstring

from galenic.privacy.deidentification.rules.announcements import announcements

XHTML = "http://www.w3.org/1999/xhtml"
_BLOCKS = re.compile(r"div|p|ul|ol|li|dl|dt|dd|table|caption|thead|tbody|tfoot|tr|td|th|h[1-6]|blockquote|pre|hr|br")
_INLINE = re.compile(r"a|abbr|acronym|b|big|cite|code|col|colgroup|dfn|em|i|img|q|samp|small|span|strong|sub|sup|tt|var")
_ENTITY = re.compile(r"&(?!amp;|lt;|gt;|quot;|apos;|#)[A-Za-z][A-Za-z0-9]*;")  # XML defines only five
MOST_DEEP = 100


def clean_narrative(div: str, search: Callable[[str, str], str]) -> str | None:
    """A narrative's div without identifiers; None if it cannot be parsed. search: (text, the kind of content that a heading announces)
    to the text without identifiers."""
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
    """search: of a text by the kind that a heading announces. announced: that kind, by the id() of elements."""

    search: Callable[[str, str], str]
    announced: dict[int, str]

    def copy(self, source: Element, target: Element, kind: str, depth: int) -> None:
        """Copy the blocks of an element; text between two blocks is searched as one, whatever inline tags it holds."""
        kind = self.announced.get(id(source), kind)
        pieces: list[str] = []
        last: Element | None = None

        def close() -> None:
            nonlocal last
            text = "".join(pieces)
            pieces.clear()
            if text.strip():
                text = self.search(text, kind)
            if last is None:
                target.text = (target.text or "") + text
            else:
                last.tail = (last.tail or "") + text

        def walk(node: Element, level: int) -> None:
            nonlocal last
            pieces.append(node.text or "")
            for child in node:
                name = child.tag.rpartition("}")[2] if isinstance(child.tag, str) else ""
                if _BLOCKS.fullmatch(name) and level < MOST_DEEP:
                    close()
                    last = SubElement(target, name)
                    if name not in ("br", "hr"):
                        self.copy(child, last, kind, level + 1)
                elif _INLINE.fullmatch(name) and level < MOST_DEEP:
                    walk(child, level + 1)
                pieces.append(child.tail or "")

        walk(source, depth)
        close()
