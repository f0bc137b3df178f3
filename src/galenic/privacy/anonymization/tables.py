"""Anonymization of a table's quasi-identifiers: groups of equal rows that satisfy a privacy model, and the information loss."""

from dataclasses import dataclass

import numpy as np

from galenic.errors import OptionError
from galenic.privacy.anonymization.hierarchies import QuasiIdentifier
from galenic.privacy.anonymization.lattice import best_node
from galenic.privacy.anonymization.model import PrivacyModel, group_distributions
from galenic.privacy.anonymization.mondrian import partition_rows

METHODS = ("mondrian", "global")


@dataclass(frozen=True)
class AnonymizedTable:
    """A table whose rows are equal within groups.

    group_labels: by column, (rows,) positions in label_names of that column. released: (rows,) True if the row is written,
    False if it is suppressed. loss: normalized certainty penalty, 0 exact to 1 nothing known. group_sizes: of the groups that
    are written.
    """

    group_labels: tuple[np.ndarray, ...]
    label_names: tuple[tuple[str, ...], ...]
    released: np.ndarray
    loss: float
    group_sizes: np.ndarray

    @property
    def suppressed(self) -> int:
        """Number of rows that are not written."""
        return int((~self.released).sum())


@dataclass(frozen=True)
class AnonymizationMethod:
    """Method of forming groups. name: mondrian (each group by itself, the smallest loss, no row suppressed) or global (the same
    levels for all rows, easier to analyze). suppression_limit: share of rows that the global method may suppress.
    """

    name: str = "mondrian"
    suppression_limit: float = 0.01


def anonymize(
    columns: tuple[QuasiIdentifier, ...],
    codes: np.ndarray,
    model: PrivacyModel,
    method: AnonymizationMethod | None = None,
    sensitive: np.ndarray | None = None,
) -> AnonymizedTable:
    """Groups that satisfy the model, each with one label per column.

    codes: (rows, columns) of codes of each column. sensitive: (rows,) of integers from 0.
    """
    method = method or AnonymizationMethod()
    if method.name == "mondrian":
        return _local(columns, codes, partition_rows(codes, model, sensitive))
    if method.name != "global":
        raise OptionError(f"{method.name!r} is not an anonymization method. Expected one of {', '.join(METHODS)}.")
    return _global(columns, codes, model, method.suppression_limit, sensitive)


def _global(
    columns: tuple[QuasiIdentifier, ...],
    codes: np.ndarray,
    model: PrivacyModel,
    suppression_limit: float,
    sensitive: np.ndarray | None,
) -> AnonymizedTable:
    node = best_node(columns, codes, model, suppression_limit, sensitive)
    labels = tuple(c.levels[r][codes[:, i]] for i, (c, r) in enumerate(zip(columns, node.levels, strict=True)))
    names = tuple(c.labels[r] for c, r in zip(columns, node.levels, strict=True))
    key = np.zeros(len(codes), np.int64)
    for label, own_names in zip(labels, names, strict=True):
        key = key * len(own_names) + label
    group, sizes = np.unique(key, return_inverse=True, return_counts=True)[1:]
    released = _satisfies(group, sizes, model, sensitive)[group]
    return AnonymizedTable(labels, names, released, node.loss, sizes[np.unique(group[released])])


def _satisfies(group: np.ndarray, sizes: np.ndarray, model: PrivacyModel, sensitive: np.ndarray | None) -> np.ndarray:
    satisfied = sizes >= model.k
    if sensitive is not None:
        distinct, distances = group_distributions(group, sensitive, len(sizes))
        satisfied &= distinct >= model.l
        satisfied &= distances <= model.t + 1e-12
    return np.asarray(satisfied)


def _local(columns: tuple[QuasiIdentifier, ...], codes: np.ndarray, group: np.ndarray) -> AnonymizedTable:
    order = np.argsort(group, kind="stable")
    sizes = np.bincount(group)
    starts = np.concatenate([[0], np.cumsum(sizes)[:-1]])
    labels, names, loss = [], [], 0.0
    for i, column in enumerate(columns):
        of_group, own_names, width = _labels_of_groups(column, codes[order, i], starts, sizes)
        labels.append(of_group[group])
        names.append(own_names)
        loss += float((width * sizes).sum() / len(codes))
    released = np.ones(len(codes), bool)
    return AnonymizedTable(tuple(labels), tuple(names), released, loss / max(len(columns), 1), sizes)


def _labels_of_groups(
    column: QuasiIdentifier, codes: np.ndarray, starts: np.ndarray, sizes: np.ndarray
) -> tuple[np.ndarray, tuple[str, ...], np.ndarray]:
    """(label of each group as a position in the names, names, information loss of each group) of one column.

    codes: of all rows, group after group. starts, sizes: of the groups therein.
    """
    low, high = np.minimum.reduceat(codes, starts), np.maximum.reduceat(codes, starts)
    names: dict[str, int] = {}
    cache: dict[tuple[int, ...], tuple[int, float]] = {}
    labels = np.zeros(len(sizes), np.int64)
    width = np.zeros(len(sizes))
    scale = _scale(column)
    for g, (a, b) in enumerate(zip(low.tolist(), high.tolist(), strict=True)):
        if a == b:
            key: tuple[int, ...] = (a,)
        elif column.kind == "category":
            key = tuple(np.unique(codes[starts[g] : starts[g] + sizes[g]]).tolist())
        else:
            key = (a, b)
        if key not in cache:
            name, count = column.label(np.array(key))
            loss = (count - 1) / scale[-1] if column.kind == "category" else scale[b] - scale[a]
            cache[key] = names.setdefault(name, len(names)), float(loss)
        labels[g], width[g] = cache[key]
    return labels, tuple(names), width


def _scale(column: QuasiIdentifier) -> np.ndarray:
    """Position of each code between 0 and 1; of a category, the last entry is the number of steps."""
    if column.kind == "category":
        return np.array([max(len(column.values) - 1, 1)], float)
    numbers = column.numeric_values()
    if column.kind == "number":
        numbers = np.where(np.isnan(numbers), np.nanmax(numbers) if np.isfinite(numbers).any() else 0.0, numbers)
    spread = numbers.max() - numbers.min()
    return np.asarray((numbers - numbers.min()) / spread if spread else np.zeros(len(numbers)))


@dataclass(frozen=True)
class GroupMeasurement:
    """Groups of equal rows as they are written. sizes: of the groups. l, t: the smallest number of distinct sensitive values and
    the largest distance of a group; 0 without a sensitive column."""

    sizes: np.ndarray
    l: int = 0  # noqa: E741  # the literature's own letter
    t: float = 0.0


def measure_groups(labels: list[np.ndarray], sensitive: np.ndarray | None = None) -> GroupMeasurement:
    """k, l and t of rows with these labels, measured on the output, independently of the code that formed the groups."""
    key = np.zeros(len(labels[0]), np.int64)
    for label in labels:
        key = np.unique(key * (int(label.max(initial=0)) + 1) + label, return_inverse=True)[1]
    sizes = np.bincount(key)
    if sensitive is None:
        return GroupMeasurement(sizes)
    table = np.zeros((len(sizes), int(sensitive.max(initial=0)) + 1))
    np.add.at(table, (key, sensitive), 1)
    overall = table.sum(0) / table.sum()
    distances = np.abs(table / sizes[:, None] - overall).sum(1) / 2
    return GroupMeasurement(sizes, int((table > 0).sum(1).min()), float(distances.max()))


def is_rare(values: np.ndarray, min_rows: int) -> np.ndarray:
    """(rows,) True if fewer than `min_rows` rows have the row's value. values: (rows,) of integers from 0."""
    return np.asarray(np.bincount(values)[values] < min_rows)
