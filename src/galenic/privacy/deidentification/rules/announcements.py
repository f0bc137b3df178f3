"""Ages, names and other identifiers whose kind only a heading states: of a column or row of a narrative table, a list item, or
a term."""

import re
from collections.abc import Iterator
from xml.etree.ElementTree import Element

from galenic.privacy.deidentification.rules.coded_text import WITHHELD, TextRules, search_text
from galenic.privacy.deidentification.rules.coded_words import is_term, words_of
from galenic.privacy.deidentification.rules.headings import announced_by, local_name, text_of
from galenic.privacy.deidentification.rules.labels import Announced, announced_by_labels
from galenic.privacy.deidentification.rules.questions import states_old_age
from galenic.privacy.text import identifier_kinds, may_be_name

_MAX_SPAN = 50  # columns or rows of one cell
_DIGITS = re.compile(r"\d{3,}|\d(?:[ ./-]?\d){3,}")


def announcements(root: Element) -> Announced:
    """Kinds of identifiers that headings and labels announce. root: a narrative or a document with narratives."""
    found = announced_by_labels(root)
    for node in root.iter():
        name = local_name(node)
        for one, kind in _of_table(node) if name == "table" else _of_terms(node) if name == "dl" else ():
            found.inside[one] = kind
    return found


def _of_table(table: Element) -> Iterator[tuple[int, str]]:
    heads: dict[int, str] = {}
    spans: dict[int, int] = {}  # by column, rows that a cell above still covers
    for number, row in enumerate(r for r in table.iter() if local_name(r) == "tr"):
        cells = [c for c in row if local_name(c) in ("td", "th")]
        is_head = number == 0 or all(local_name(c) == "th" for c in cells)
        column, before = 0, ""
        spans = {c: n - 1 for c, n in spans.items() if n > 1}
        for cell in cells:
            while column in spans:
                column += 1
            text = text_of(cell)
            own = announced_by(text)
            covered = range(column, column + _span(cell, "colspan"))
            if is_head:
                heads.update((c, own) for c in covered if own or local_name(cell) == "th" or number == 0)
            kind = before or (heads.get(column, "") if not (is_head and own) else "")
            if kind and not (is_head and own):
                yield id(cell), kind
            spans.update((c, rows) for c in covered if (rows := _span(cell, "rowspan")) > 1)
            column, before = covered.stop, own if own and not (is_head and len(cells) > 2) else ""


def _of_terms(node: Element) -> Iterator[tuple[int, str]]:
    kind = ""
    for child in node:
        if local_name(child) == "dt":
            kind = announced_by(text_of(child))
        elif kind:
            yield id(child), kind


def search_announced(text: str, kind: str, rules: TextRules) -> str:
    """Text without identifiers, whose kind a heading stated."""
    if kind == "age" and rules.replacer.policy["age"] != "keep" and states_old_age(text):
        return _replaced("age", "90", rules)
    if kind == "date" and rules.replacer.policy["date"] != "keep":
        clean = search_text(text, rules)
        return _replaced("date", text, rules) if clean == text and _DIGITS.search(_without_years(text)) else clean
    if _withholds(kind, text) and rules.replacer.policy[kind] != "keep":
        return _replaced(kind, text.strip(), rules)
    return search_text(text, rules)


def _withholds(kind: str, text: str) -> bool:
    if kind not in identifier_kinds() or kind in ("age", "date"):
        return False
    return any(map(str.isalnum, text)) and (kind == "place" or not _is_plain(text))


def _replaced(kind: str, value: str, rules: TextRules) -> str:
    rules.findings.counts[kind, "field"] += 1
    made = rules.replacer.value(kind, value)
    return WITHHELD if made == value else made


def _without_years(text: str) -> str:
    return re.sub(r"(?<!\d)(?:19|20)\d\d(?![\d-])", "", text)


def _is_plain(text: str) -> bool:
    """True if a text has terms only, none of which may be a name, and no long number."""
    return not _DIGITS.search(text) and all(is_term(w) and not may_be_name(w) for w in words_of(text) if len(w) > 1)


def _span(cell: Element, name: str) -> int:
    value = cell.get(name, "1")
    return min(max(int(value), 1), _MAX_SPAN) if value.isascii() and value.isdigit() and len(value) < 4 else 1
