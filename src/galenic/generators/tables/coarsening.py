"""Coarser levels of a column, from paid counts, and the way back to fine levels."""

import numpy as np
from numpy.typing import NDArray

from galenic.schema import Column

Integers = NDArray[np.int64]
Floats = NDArray[np.float64]


def is_ordered(column: Column) -> bool:
    """Whether neighboring levels are alike and may be merged: codes in order are next to those of their chapter."""
    return column.binned or column.kind == "ordinal" or bool(column.hierarchy)


def coarse_levels(columns: tuple[Column, ...], counts: list[Floats], bins: int | None) -> list[Integers]:
    """For each column the coarse level of each level, shape (levels,): at most `bins` levels of about equal counts for
    ordered columns, OTHER and missing left apart."""
    return [_groups(column, c, bins) for column, c in zip(columns, counts, strict=True)]


def _groups(column: Column, counts: Floats, bins: int | None) -> Integers:
    apart = int(column.missing) + int(column.other and not column.binned)
    inner = column.levels - apart
    if bins is None or inner <= bins or not is_ordered(column):
        return np.arange(column.levels)
    return _even(counts, inner, bins)


def _even(counts: Floats, inner: int, bins: int) -> Integers:
    """At most `bins` runs of the first `inner` levels with about equal counts; each of the others for itself."""
    share = np.maximum(counts[:inner], 0) + 1e-6
    share = share / share.sum()
    middle = np.cumsum(share) - share / 2
    _, place = np.unique(np.minimum((bins * middle).astype(np.int64), bins - 1), return_inverse=True)
    groups: Integers = np.r_[place, place.max() + 1 + np.arange(counts.size - inner)].astype(np.int64)
    return groups


def merge_levels(columns: tuple[Column, ...], group: list[Integers], counts: list[Floats], bins: int) -> list[Integers]:
    """For each column the coarser level of each of its levels, at most bins + 1: neighbours together where it is ordered, the
    rarest together where it is not. group, counts: levels so far, and shares of them."""
    found = []
    for column, g, c in zip(columns, group, counts, strict=True):
        levels = int(g.max()) + 1
        if levels <= bins + 1:
            found.append(np.arange(levels))
        elif is_ordered(column):
            apart = int(column.missing) + int(column.other and not column.binned)
            found.append(_even(c, levels - apart, bins))
        else:
            place = np.full(levels, bins)
            place[np.argsort(-c, kind="stable")[:bins]] = np.arange(bins)
            found.append(place)
    return found


def sum_by_group(counts: Floats, group: Integers) -> Floats:
    """Counts of coarse levels."""
    return np.bincount(group, counts, minlength=int(group.max()) + 1).astype(np.float64)


def expand_shares(shares: Floats, groups_: list[Integers], ones: list[Floats]) -> Floats:
    """Component shares over coarse levels spread over the fine ones as single columns are, shape (components, fine levels)."""
    parts, start = [], 0
    for group, counts in zip(groups_, ones, strict=True):
        size = int(group.max()) + 1
        positive = np.maximum(counts, 0) + 1e-9
        within = positive / sum_by_group(positive, group)[group]
        parts.append(shares[:, start : start + size][:, group] * within)
        start += size
    return np.concatenate(parts, axis=1)


def draw_fine_levels(coarse: Integers, group: Integers, shares: Floats, rng: np.random.Generator) -> Integers:
    """A fine level for each coarse one, drawn by the fine levels' shares within it."""
    order = np.argsort(group, kind="stable")
    top = np.r_[0.0, np.cumsum(np.maximum(shares[order], 1e-12))]
    starts = np.searchsorted(group[order], np.arange(int(group.max()) + 2), side="left")
    low, high = top[starts[coarse]], top[starts[coarse + 1]]
    found = np.searchsorted(top, low + rng.random(coarse.size) * (high - low), side="right") - 1
    return np.asarray(order[np.clip(found, starts[coarse], starts[coarse + 1] - 1)])
