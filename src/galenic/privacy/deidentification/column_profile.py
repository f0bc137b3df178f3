"""Profiles of table columns: counts of the classes of all cells, from one pass in bounded memory."""

import re
from collections import Counter
from dataclasses import dataclass, field

import pyarrow as pa
import pyarrow.compute as pc

from galenic.privacy.deidentification.column_numbers import MOST_DISTINCT, NumberStatistics
from galenic.privacy.deidentification.rules.cells import cell_class
from galenic.privacy.deidentification.rules.number_limits import number_parts
from galenic.privacy.deidentification.rules.vocabulary import is_clinical_term, is_known, is_name, word_set, words_of
from galenic.privacy.text import check_time
from galenic.records import Source, clean_text
from galenic.schema import MISSING_TOKENS

_PLAIN_NUMBER = r"^[+-]?(\d+([.]\d*)?|[.]\d+)([eE][+-]?\d{1,3})?$"
_TWO_NUMBERS = re.compile(r"(\d{1,2})([-/. ])(\d{1,2})\2\d{2,4}")
_IDENTIFIER = re.compile(r"@|\d(?:[ ()./-]{0,2}\d){4}")
_TITLES = word_set("titles")
_COMPACT_DATE = r"^(18|19|20)\d{2}(0[1-9]|1[0-2])(0[1-9]|[12]\d|3[01])(\d{4}|\d{6})?$"


@dataclass
class ColumnProfile:
    """Counts over all rows of one column. classes: cells by class. words, known: words of texts, and those on the positive
    list. names, identifiers: cells with a listed name or a title, and with an @ or five digits. day_first, month_first:
    dates that are valid in only one order. pairs: values such as 3/10 that could be a month and a day."""

    name: str
    type: pa.DataType
    rows: int = 0
    present: int = 0
    classes: Counter[str] = field(default_factory=Counter)
    numbers: NumberStatistics = field(default_factory=NumberStatistics)
    distinct: set[str] = field(default_factory=set)
    words: int = 0
    known: int = 0
    names: int = 0
    identifiers: int = 0
    day_first: int = 0
    month_first: int = 0
    pairs: set[tuple[int, int]] = field(default_factory=set)

    def add(self, text: pa.ChunkedArray, common: frozenset[str]) -> None:
        """Add cells as text. common: words of ordinary text in the run's language."""
        self.rows += len(text)
        text = text.drop_null()
        self.present += len(text)
        plain = pc.and_(pc.match_substring_regex(text, _PLAIN_NUMBER), pc.invert(pc.match_substring_regex(text, _COMPACT_DATE)))
        numbers, others = text.filter(plain), text.filter(pc.invert(plain))
        self.classes["number"] += len(numbers)
        self.numbers.add(numbers)
        if len(self.distinct) < MOST_DISTINCT:
            self.distinct.update(pc.unique(numbers).to_pylist())
        counts = pc.value_counts(others.combine_chunks() if isinstance(others, pa.ChunkedArray) else others)
        for entry in counts:
            self._add_value(entry["values"].as_py(), entry["counts"].as_py(), common)

    def _add_value(self, value: str, count: int, common: frozenset[str]) -> None:
        kind = cell_class(value)
        self.classes[kind] += count
        if len(self.distinct) < MOST_DISTINCT:
            self.distinct.add(value)
        if kind == "number" and (parts := number_parts(value)) is not None:  # 3,5 or 1,250
            plain = f"{parts[0] or '0'}{'.' + parts[1] if parts[1] else ''}"
            self.numbers.add(pa.chunked_array([pa.array([plain] * min(count, 1_000), pa.string())]))
        words = [w for w in words_of(value) if len(w) > 1]
        self.words += len(words) * count
        self.known += sum(w in common or is_known(w) or is_clinical_term(w) for w in words) * count
        if kind == "date" and (m := _TWO_NUMBERS.match(value)):
            self.day_first += count * (m[2] == "." or int(m[1]) > 12)
            self.month_first += count * (int(m[3]) > 12)
        if kind == "fraction" and len(self.pairs) < MOST_DISTINCT:
            first, second = re.split(r"[-/]", value)
            self.pairs.add((int(first), int(second)))
        if kind in ("unknown", "text"):
            self.names += count * any(w in _TITLES or (is_name(w) and not is_known(w)) for w in words)
            self.identifiers += count * bool(_IDENTIFIER.search(value))

    def share(self, *classes: str) -> float:
        """The share of the cells that have one of these classes."""
        return sum(self.classes[c] for c in classes) / max(self.present, 1)


def is_nested(kind: pa.DataType) -> bool:
    """True if a column holds lists, structures or bytes, which are not searched."""
    kind = kind.value_type if pa.types.is_dictionary(kind) else kind
    simple = (
        pa.types.is_string, pa.types.is_large_string, pa.types.is_integer, pa.types.is_floating, pa.types.is_boolean, pa.types.is_temporal,
        pa.types.is_decimal, pa.types.is_null,
    )  # fmt: skip
    return not any(is_kind(kind) for is_kind in simple) or pa.types.is_duration(kind)


def cell_text(array: pa.ChunkedArray) -> pa.ChunkedArray:
    """Cells as text: trimmed, missing as null; whole numbers without a fraction of zero; times as ISO 8601."""
    kind = array.type
    if pa.types.is_dictionary(kind):
        array = array.cast(kind.value_type)
    if pa.types.is_timestamp(array.type) or pa.types.is_date64(array.type):
        array = pc.strftime(array.cast(pa.timestamp("s"), safe=False), format="%Y-%m-%dT%H:%M:%S")
    if pa.types.is_floating(array.type):
        array = pc.if_else(pc.is_nan(array), pa.scalar(None, array.type), array)
    text = clean_text(array if isinstance(array, pa.ChunkedArray) else pa.chunked_array([array]), MISSING_TOKENS)
    return text


def profile_columns(source: Source, common: frozenset[str], names: list[str] | None = None) -> dict[str, ColumnProfile]:
    """The profile of every column, or of those named, by name; nested columns are not read."""
    profiles: dict[str, ColumnProfile] = {}
    for _, batch in source.raw(names):
        check_time()
        for name in names or source.names:
            profile = profiles.setdefault(name, ColumnProfile(name, batch[name].type))
            if not is_nested(profile.type):
                profile.add(cell_text(batch[name]), common)
    return profiles
