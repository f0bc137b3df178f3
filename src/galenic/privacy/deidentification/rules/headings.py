"""Headings, and the kinds of content that their words state."""

from functools import lru_cache
from xml.etree.ElementTree import Element

from galenic.privacy.deidentification.rules.column_headers import header_kinds
from galenic.privacy.deidentification.rules.questions import asks_age, asks_person
from galenic.privacy.text import identifier_kinds

_LONGEST = 60  # characters of a heading
_AGES = ("age", "birth", "year")


@lru_cache(10_000)
def announced_by(heading: str) -> str:
    """Kind of content that a heading states: an age, a date or a kind of identifier; "" for any other."""
    if not heading.strip() or len(heading) > _LONGEST:
        return ""
    kinds = header_kinds(heading)
    soft = [k for k in kinds.soft if k in ("name", *_AGES)] if not kinds.values else []
    kind = next(iter((*kinds.hard, *soft)), "")
    if kind in _AGES or asks_age([heading], []):
        return "age" if "birth" not in kinds.hard and kind != "year" else "date"
    if kind == "date":
        return kind
    if kind == "place" and kind in kinds.soft:
        return "organisation"  # a location may be a part of the body
    return kind if kind in identifier_kinds() else "name" if asks_person([heading]) else ""


def local_name(node: Element) -> str:
    """The name of an element without its namespace; "" of a comment."""
    return node.tag.rpartition("}")[2] if isinstance(node.tag, str) else ""


def text_of(node: Element) -> str:
    """The text of an element and all in it, with single spaces."""
    return " ".join("".join(node.itertext()).split())
