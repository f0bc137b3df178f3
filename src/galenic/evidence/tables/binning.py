"""Binning for the evaluation: 20 quantiles of the real training rows, or one bin per value where there are few."""

import numpy as np
import pyarrow.compute as pc

from galenic.schema import Codes, Column, Floats, Table, bin_codes, encode, numbers

QUANTILES = 20
MOST_CATEGORIES = 50


def bin_column(real: Table, column: Column) -> Column:
    """The column with bins or categories taken from real rows. Internal: findings that use it are for the signers."""
    plain = column.but(edges=(), heaps=(), categories=(), low=None, high=None, step=None, anchor="", missing=True)
    if column.binned:
        values = numbers(real, plain)
        return plain.but(edges=tuple(quantile_edges(values).tolist()), bounds_origin="observed", **_small_bounds(values))
    if column.hierarchy and column.categories:  # real codes are replaced as synthetic ones are: by their nearest listed parent
        return plain.but(categories=column.categories, other=True, categories_origin="observed")
    counts = pc.value_counts(real.frame[column.name].drop_null()).to_pylist()
    ordered = sorted(counts, key=lambda p: (-p["counts"], p["values"]))[:MOST_CATEGORIES]
    return plain.but(categories=tuple(sorted(p["values"] for p in ordered)), other=True, categories_origin="observed")


def _small_bounds(values: Floats) -> dict[str, float]:
    """Smallest and largest value where all are whole numbers below 100 and few, so that each has a bin and a label of its own."""
    distinct = np.unique(values[~np.isnan(values)])
    few_and_whole = 0 < distinct.size <= QUANTILES and (np.abs(distinct) < 100).all() and (distinct == np.floor(distinct)).all()
    return {"low": float(distinct[0]), "high": float(distinct[-1])} if few_and_whole else {}


def quantile_edges(values: Floats) -> Floats:
    """Edges of 20 quantile bins, or of one bin per value if there are 20 values or fewer; open to both sides."""
    values = values[~np.isnan(values)]
    distinct = np.unique(values)
    if distinct.size == 0:
        inner = np.array([0.0])
    elif distinct.size <= QUANTILES:
        inner = (distinct[1:] + distinct[:-1]) / 2
    else:
        inner = np.unique(np.quantile(values, np.arange(1, QUANTILES) / QUANTILES))
    edges: Floats = np.r_[-1e300, inner, 1e300]
    return edges


def encode_columns(table: Table, columns: tuple[Column, ...]) -> Codes:
    """Level numbers, shape (rows, columns); a value that is absent from the training rows is OTHER, one outside its bins the nearest."""
    return np.stack([_one(table, column) for column in columns], axis=1)


def _one(table: Table, column: Column) -> Codes:
    if column.binned:
        return bin_codes(numbers(table, column), column)
    return encode(table, column)
