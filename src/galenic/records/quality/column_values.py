"""Values of one column of a table: texts, numbers, days, codes."""

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from galenic.records.cell_text import clean_text
from galenic.records.quality.analytes import Floats
from galenic.records.source import Source
from galenic.schema import MISSING_TOKENS

NUMBER = r"^\s*[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?\s*$"
ISO_DATE = r"^\d{4}-(0[1-9]|1[0-2])-(0[1-9]|[12]\d|3[01])"


def texts_of(batch: pa.Table, name: str, tokens: tuple[str, ...] = MISSING_TOKENS) -> pa.ChunkedArray:
    """Values as text, null where missing."""
    array = batch[name]
    return clean_text(array.cast(pa.string()), tokens) if not pa.types.is_null(array.type) else array.cast(pa.string())


def numbers_of(source: Source, name: str) -> tuple[Floats, int]:
    """(values, NaN if missing or not a number; number of values that are not numbers)."""
    parts, invalid = [], 0
    for _, batch in source.raw([name]):
        texts = texts_of(batch, name)
        numeric = pc.match_substring_regex(texts, NUMBER)
        invalid += int(pc.sum(pc.invert(pc.fill_null(numeric, True))).as_py() or 0)
        valid = pc.if_else(pc.fill_null(numeric, False), pc.utf8_trim_whitespace(texts), pa.scalar(None, pa.string()))
        parts.append(np.asarray(valid.cast(pa.float64()).to_numpy(), dtype=np.float64))
    return (np.concatenate(parts) if parts else np.asarray([], dtype=np.float64)), invalid


def codes_of(source: Source, name: str) -> np.ndarray:
    """A number for each distinct value, shape (rows,)."""
    texts = pa.chunked_array([c for _, b in source.raw([name]) for c in b[name].cast(pa.string()).chunks], pa.string())
    return np.asarray(texts.combine_chunks().dictionary_encode(null_encoding="encode").indices.to_numpy(), dtype=np.int64)


def days_of(batch: pa.Table, name: str) -> np.ndarray:
    """Days; NaT if missing or not an ISO 8601 date."""
    array = batch[name]
    if not (pa.types.is_date(array.type) or pa.types.is_timestamp(array.type)):
        texts = texts_of(batch, name)
        iso = pc.match_substring_regex(texts, ISO_DATE)
        days = pc.utf8_slice_codeunits(pc.if_else(pc.fill_null(iso, False), texts, pa.scalar(None, pa.string())), 0, 10)
        return np.asarray([_day(d) for d in days.to_pylist()], dtype="datetime64[D]")
    return np.asarray(array.cast(pa.timestamp("us")).to_numpy(), dtype="datetime64[D]")


def _day(text: str | None) -> np.datetime64:
    try:
        return np.datetime64("NaT" if text is None else text, "D")
    except ValueError:
        return np.datetime64("NaT", "D")
