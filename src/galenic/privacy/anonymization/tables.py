"""Rows of a table made alike in what others may know of them, and how much was given up for it."""

from dataclasses import dataclass

import numpy as np

from galenic.errors import DescriptionError
from galenic.privacy.anonymization.hierarchies import QuasiIdentifier
from galenic.privacy.anonymization.lattice import best_node
from galenic.privacy.anonymization.mondrian import PrivacyModel, partition_rows

METHODS = ("mondrian", "global")


@dataclass(frozen=True)
class AnonymizedTable:
    """A table whose rows are alike in groups. label: (rows,) per column, places in names[column]; kept: rows that come out. loss:
    normalised certainty penalty, 0 exact to 1 nothing known; sizes: of the groups that come out."""

    label: tuple[np.ndarray, ...]
    names: tuple[tuple[str, ...], ...]
    kept: np.ndarray
    loss: float
    sizes: np.ndarray

    @property
    def suppressed(self) -> int:
        """Rows that do not come out."""
        return int((~self.kept).sum())


def anonymize(
    columns: tuple[QuasiIdentifier, ...], codes: np.ndarray, wanted: PrivacyModel, *, method: str = "mondrian", share: float = 0.01,
    sensitive: np.ndarray | None = None,
) -> AnonymizedTable:  # fmt: skip
    """Groups that are what is wanted, each with one label per column.

    mondrian: each group by itself, the least loss, no row suppressed. global: the same steps for all rows, easier to analyse, up to a
    share of rows suppressed. codes: (rows, columns) of places in each column's values.
    """
    if method == "mondrian":
        return _local(columns, codes, partition_rows(codes, wanted, sensitive))
    if method != "global":
        raise DescriptionError(f"{method!r} is no method of anonymisation. Expected one of {', '.join(METHODS)}.")
    node = best_node(columns, codes, wanted, share, sensitive)
    labels = tuple(c.ladder[r][codes[:, i]] for i, (c, r) in enumerate(zip(columns, node.rungs, strict=True)))
    names = tuple(c.labels[r] for c, r in zip(columns, node.rungs, strict=True))
    key = np.zeros(len(codes), np.int64)
    for label, called in zip(labels, names, strict=True):
        key = key * len(called) + label
    group, sizes = np.unique(key, return_inverse=True, return_counts=True)[1:]
    kept = _good(group, sizes, wanted, sensitive)[group]
    return AnonymizedTable(labels, names, kept, node.loss, sizes[np.unique(group[kept])])


def _good(group: np.ndarray, sizes: np.ndarray, wanted: PrivacyModel, sensitive: np.ndarray | None) -> np.ndarray:
    good = sizes >= wanted.k
    if sensitive is not None:
        table = np.zeros((len(sizes), int(sensitive.max()) + 1))
        np.add.at(table, (group, sensitive), 1)
        whole = table.sum(0) / table.sum()
        good &= (table > 0).sum(1) >= wanted.l
        good &= np.abs(table / sizes[:, None] - whole).sum(1) / 2 <= wanted.t + 1e-12
    return np.asarray(good)


def _local(columns: tuple[QuasiIdentifier, ...], codes: np.ndarray, group: np.ndarray) -> AnonymizedTable:
    order = np.argsort(group, kind="stable")
    sizes = np.bincount(group)
    starts = np.concatenate([[0], np.cumsum(sizes)[:-1]])
    labels, names, lost = [], [], 0.0
    for i, column in enumerate(columns):
        own = codes[order, i]
        low, high = np.minimum.reduceat(own, starts), np.maximum.reduceat(own, starts)
        called: dict[str, int] = {}
        memo: dict[tuple[int, ...], tuple[int, float]] = {}
        of = np.zeros(len(sizes), np.int64)
        width = np.zeros(len(sizes))
        scale = _scale(column)
        for g, (a, b) in enumerate(zip(low.tolist(), high.tolist(), strict=True)):
            if a == b:
                key: tuple[int, ...] = (a,)
            elif column.kind == "category":
                key = tuple(np.unique(own[starts[g] : starts[g] + sizes[g]]).tolist())
            else:
                key = (a, b)
            if key not in memo:
                said, many = column.label(np.array(key))
                lost_here = (many - 1) / scale[-1] if column.kind == "category" else scale[b] - scale[a]
                memo[key] = called.setdefault(said, len(called)), float(lost_here)
            of[g], width[g] = memo[key]
        labels.append(of[group])
        names.append(tuple(called))
        lost += float((width * sizes).sum() / len(codes))
    return AnonymizedTable(tuple(labels), tuple(names), np.ones(len(codes), bool), lost / max(len(columns), 1), sizes)


def _scale(column: QuasiIdentifier) -> np.ndarray:
    """Where each code stands between 0 and 1; of a category, its last entry is how many steps there are."""
    if column.kind == "category":
        return np.array([max(len(column.values) - 1, 1)], float)
    if column.kind == "number":
        numbers = np.array([float(v) if v else np.nan for v in column.values])
        numbers = np.where(np.isnan(numbers), np.nanmax(numbers) if np.isfinite(numbers).any() else 0.0, numbers)
    else:
        numbers = np.arange(len(column.values), dtype=float)
    spread = numbers.max() - numbers.min()
    return np.asarray((numbers - numbers.min()) / spread if spread else np.zeros(len(numbers)))


def measure_groups(labels: list[np.ndarray], sensitive: np.ndarray | None = None) -> tuple[np.ndarray, int, float]:
    """Sizes of the groups that rows with the same labels form, the fewest sensitive values in one, and its furthest from everybody's:
    measured on what comes out, by none of the code that made it."""
    key = np.zeros(len(labels[0]), np.int64)
    for label in labels:
        key = np.unique(key * (int(label.max(initial=0)) + 1) + label, return_inverse=True)[1]
    sizes = np.bincount(key)
    if sensitive is None:
        return sizes, 0, 0.0
    table = np.zeros((len(sizes), int(sensitive.max(initial=0)) + 1))
    np.add.at(table, (key, sensitive), 1)
    whole = table.sum(0) / table.sum()
    return sizes, int((table > 0).sum(1).min()), float((np.abs(table / sizes[:, None] - whole).sum(1) / 2).max())


def is_rare(values: np.ndarray, least: int) -> np.ndarray:
    """Which rows hold a value that fewer rows than that share: cells too small to be told. values: (rows,) of integers from 0."""
    too_few: np.ndarray = np.bincount(values)[values] < least
    return too_few
