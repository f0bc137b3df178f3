"""Rows made alike in what others may know of them: strict multidimensional partitioning (LeFevre, DeWitt, Ramakrishnan 2006)."""

from dataclasses import dataclass

import numpy as np

from galenic.errors import RecordError


@dataclass(frozen=True)
class PrivacyModel:
    """What every group must have. k: rows; l: distinct sensitive values (Machanavajjhala et al. 2007); t: at most this distance of
    the group's sensitive values from everybody's (Li et al. 2007; total variation, as for categories)."""

    k: int
    l: int = 1  # noqa: E741  # the field's own letter
    t: float = 1.0


def partition_rows(codes: np.ndarray, wanted: PrivacyModel, sensitive: np.ndarray | None = None) -> np.ndarray:
    """The group of each row: integers from 0. codes: (rows, columns) of integers whose order means something; sensitive: (rows,) of
    integers from 0. RecordError where not even all rows together are enough."""
    n = len(codes)
    if n < wanted.k:
        raise RecordError(f"the table has {n} rows, fewer than k = {wanted.k}. Take a smaller k, or more rows.")
    whole = None
    if sensitive is not None:
        whole = np.bincount(sensitive) / n
        if np.count_nonzero(whole) < wanted.l:
            raise RecordError(f"the sensitive column has fewer than l = {wanted.l} values. Take a smaller l.")
    width = np.maximum(codes.max(0) - codes.min(0), 1).astype(float)
    out = np.zeros(n, np.int64)
    waiting, number = [np.arange(n)], 0
    while waiting:
        rows = waiting.pop()
        cut = _cut(codes, rows, width, wanted, sensitive, whole) if len(rows) >= 2 * wanted.k else None
        if cut is None:
            out[rows] = number
            number += 1
        else:
            waiting += cut
    return out


def _cut(
    codes: np.ndarray,
    rows: np.ndarray,
    width: np.ndarray,
    wanted: PrivacyModel,
    sensitive: np.ndarray | None,
    whole: np.ndarray | None,
) -> list[np.ndarray] | None:
    """The rows in two, at the median of the column in which they differ most; None where no column allows it."""
    part = codes[rows]
    spread = (part.max(0) - part.min(0)) / width
    for column in np.argsort(-spread, kind="stable"):
        if spread[column] == 0:
            return None
        values = part[:, column]
        middle = np.partition(values, len(values) // 2)[len(values) // 2]
        for low in (values < middle, values <= middle):
            size = int(low.sum())
            if min(size, len(rows) - size) < wanted.k:
                continue
            sides = [rows[low], rows[~low]]
            if sensitive is None or whole is None or all(_good(sensitive[side], whole, wanted) for side in sides):
                return sides
    return None


def _good(values: np.ndarray, whole: np.ndarray, wanted: PrivacyModel) -> bool:
    share = np.bincount(values, minlength=len(whole)) / len(values)
    return bool(np.count_nonzero(share) >= wanted.l and np.abs(share - whole).sum() / 2 <= wanted.t)
