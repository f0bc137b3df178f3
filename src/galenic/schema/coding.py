"""Conversion of typed values into level numbers of a described column."""

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from galenic.errors import RecordError
from galenic.schema.column import Column
from galenic.schema.table import Table

Codes = NDArray[np.int64]
Floats = NDArray[np.float64]


def numbers(table: Table, column: Column) -> Floats:
    """Values of a numeric, integer or date column as floats, shape (rows,); NaN is missing.

    Dates are days since 1970-01-01, or days after the column's anchor on the same row.
    """
    values = _days_or_numbers(table.frame[column.name])
    if column.anchor:
        values = values - _days_or_numbers(table.frame[column.anchor])
    return values


def _days_or_numbers(array: pa.ChunkedArray) -> Floats:
    if pa.types.is_date32(array.type):
        array = array.cast(pa.int32())
    return np.asarray(array.cast(pa.float64()).to_numpy(), dtype=np.float64)


def encode(table: Table, column: Column) -> Codes:
    """Level numbers, shape (rows,), in 0 .. column.levels - 1; the missing level is the last one.

    A value has no level if it is missing in a column declared complete, or if it is an unlisted category in a column without
    OTHER. If `strays` is "missing", it gets the missing level, else the level of OTHER, else the first one. Otherwise raise
    RecordError.
    """
    codes = bin_codes(numbers(table, column), column) if column.binned else _category_codes(table, column)
    bad = np.flatnonzero(codes < 0)
    if bad.size and column.strays == "missing":
        codes[bad] = column.levels - 1 if column.missing or (column.other and not column.binned) else 0
    elif bad.size:
        what = "is missing or is not one of its declared categories" if not column.binned else "is missing"
        raise RecordError(
            f"column {column.name!r}, row {int(bad[0]) + 1} of its batch: the value {what}, which the description does "
            "not allow. Set missing = true or other = true for this column, or correct the data."
        )
    return codes


def bin_codes(values: Floats, column: Column) -> Codes:
    """Bin numbers of values, shape (n,); values outside the edges belong to the nearest bin; missing gets the last level (-1 if
    the column has no missing level)."""
    codes = np.searchsorted(np.asarray(column.edges[1:-1]), values, side="right").astype(np.int64)
    codes[np.isnan(values)] = column.levels - 1 if column.missing else -1
    return codes


def beginning(array: pa.ChunkedArray, length: int) -> pa.ChunkedArray:
    """The first characters of each code: its parent in a hierarchy."""
    return pc.utf8_slice_codeunits(array, 0, length)


def _category_codes(table: Table, column: Column) -> Codes:
    array = table.frame[column.name]
    if not pa.types.is_string(array.type):
        array = array.cast(pa.string())
    listed = pa.array(column.categories, pa.string())
    place = pc.index_in(array, value_set=listed)
    for length in column.hierarchy:
        place = pc.coalesce(place, pc.index_in(beginning(array, length), value_set=listed))
    missing = array.is_null().to_numpy()
    unlisted = len(column.categories) if column.other else -1
    codes = np.array(pc.fill_null(place, unlisted).to_numpy(), dtype=np.int64)
    codes[missing] = column.levels - 1 if column.missing else -1
    return codes
