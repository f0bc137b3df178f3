"""Decoding of level numbers to values of a described column, and of given values to levels."""

import math
from collections.abc import Mapping

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from galenic.errors import OptionError, UnknownNameError
from galenic.generators.tables.value_support import ValueSupport
from galenic.schema import OTHER, Codes, Column, Floats, bin_codes

FINE = 64  # possible values of a wide bin above which skewed amounts are drawn by their logarithm, as those without a step


def decode(column: Column, codes: Codes, rng: np.random.Generator, support: ValueSupport | None = None) -> pa.Array:
    """Values of a column, shape (n,), in its Arrow type (dates with an anchor: float days after it, missing NaN)."""
    if not column.binned:
        names = [*column.categories, *([OTHER] if column.other else []), *([None] if column.missing else [])]
        return pa.array(names, pa.string()).take(pa.array(codes))
    values = draw_within_bins(column, codes, rng) if support is None else _within_support(support, column, codes, rng)
    if column.kind == "numeric" or column.anchor:
        return pa.array(values, from_pandas=True)
    missing = np.isnan(values)
    whole = pa.array(np.where(missing, 0, values).astype(np.int64), mask=missing)
    return whole if column.kind == "integer" else whole.cast(pa.int32()).cast(pa.date32())


def _within_support(support: ValueSupport, column: Column, codes: Codes, rng: np.random.Generator) -> Floats:
    missing = codes > len(column.edges) - 2
    return np.where(missing, np.nan, support.draw(np.minimum(codes, len(column.edges) - 2), rng))


def draw_within_bins(column: Column, codes: Codes, rng: np.random.Generator) -> Floats:
    """One number for each bin number, drawn within its bin at multiples of the column's step; NaN for the missing level."""
    edges = np.asarray(column.edges)
    missing = codes > len(edges) - 2
    place = np.minimum(codes, len(edges) - 2)
    left, right = edges[place], edges[place + 1]
    u = rng.random(codes.size)
    step = 1.0 if column.kind in ("integer", "date") else column.step
    skewed = (left > 0) & (right > 4 * left)  # wide bins of skewed amounts: uniform in the logarithm
    ratio = np.where(skewed, right / np.where(left > 0, left, 1), 1.0)
    values = np.where(skewed, left * ratio**u, left + u * (right - left))
    if step:
        # the multiples of the step in [left, right); the last bin is closed
        first = np.ceil(left / step - 1e-9)
        closed = np.floor(right / step + 1e-9) + 1
        count = np.where(place == len(edges) - 2, closed, np.ceil(right / step - 1e-9)) - first
        even = first + np.floor(u * np.maximum(count, 1))
        near = np.clip(np.rint(values / step), first, first + np.maximum(count, 1) - 1)
        values = np.where(skewed & (count > FINE) & (column.kind == "numeric"), near, even) * step
        values = np.round(values, max(0, math.ceil(-math.log10(step)) + 2))
    else:
        values = np.round(values, int(np.clip(4 - math.ceil(math.log10(max(edges[-1] - edges[0], 1e-9))), 0, 9)))
    for heap in column.heaps:
        values[bin_codes(np.array([heap]), column)[0] == place] = heap
    low = column.low if column.low is not None else edges[0]
    high = column.high if column.high is not None else edges[-1]
    return np.where(missing, np.nan, np.clip(values, low, high))


def allowed_levels(columns: tuple[Column, ...], given: Mapping[str, object]) -> dict[int, NDArray[np.int64]]:
    """Levels that each given column may take. A value, a list of values, or None for missing.

    OptionError if a column is unknown or the model has no such level; the value itself is not repeated.
    """
    names = [column.name for column in columns]
    allowed: dict[int, NDArray[np.int64]] = {}
    for name, wanted in given.items():
        if name not in names:
            raise UnknownNameError(f"given: the model has no column {name!r}. It has {names}.")
        column = columns[names.index(name)]
        values = wanted if isinstance(wanted, list | tuple | set) else [wanted]
        levels = [_level(column, value) for value in values]
        allowed[names.index(name)] = np.unique(np.array(levels, dtype=np.int64))
    return allowed


def _level(column: Column, value: object) -> int:
    if value is None:
        if column.missing:
            return column.levels - 1
        raise OptionError(f"given: column {column.name!r} is never missing in this model. Give a value.")
    if column.binned:
        try:
            number = float(value)  # type: ignore[arg-type]
        except (TypeError, ValueError):
            raise OptionError(f"given: column {column.name!r} is {column.kind}. Give a number.") from None
        if not column.edges[0] <= number <= column.edges[-1]:
            raise OptionError(
                f"given: column {column.name!r} lies between {column.edges[0]:g} and {column.edges[-1]:g} in this model."
            )
        return int(bin_codes(np.array([number]), column)[0])
    text = str(value)
    if text in column.categories:
        return column.categories.index(text)
    if text == OTHER and column.other:
        return len(column.categories)
    raise OptionError(
        f"given: the value for column {column.name!r} is not one of the model's {len(column.categories)} categories."
    )
