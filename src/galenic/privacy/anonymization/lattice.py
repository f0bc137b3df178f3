"""Optimal global generalization of whole columns: Optimal Lattice Anonymization (El Emam et al. 2009, JAMIA 16:670).

A node of the lattice chooses one level of each column's hierarchy, the same for all rows; rows that remain in groups too small
are suppressed, up to a share. Both are monotone: if a node satisfies the model, so do all above it; if it does not, neither do
those below. So only few nodes are evaluated: paths from bottom to top are bisected (Kohlmayer et al. 2012, Flash). With t below
1, the second property holds only if no row is suppressed. Then the result satisfies the model, but another node might have a
smaller loss.
"""

from dataclasses import dataclass

import numpy as np

from galenic.errors import RecordError
from galenic.privacy.anonymization.hierarchies import QuasiIdentifier
from galenic.privacy.anonymization.model import PrivacyModel

MAX_NODES = 200_000
SATISFIED, VIOLATED = 1, 2


@dataclass(frozen=True)
class LatticeNode:
    """levels: of each column's hierarchy. suppressed: rows in groups that violate the model. loss: information loss, from 0
    (exact) to 1 (nothing known). evaluated: number of nodes that were evaluated."""

    levels: tuple[int, ...]
    suppressed: int
    loss: float
    evaluated: int


def best_node(
    columns: tuple[QuasiIdentifier, ...],
    codes: np.ndarray,
    model: PrivacyModel,
    suppression_limit: float = 0.01,
    sensitive: np.ndarray | None = None,
) -> LatticeNode:
    """The node with the smallest loss that suppresses at most that share of the rows.

    codes: (rows, columns) of codes of each column. sensitive: (rows,) of integers from 0. Raise RecordError if the lattice is
    too large, or if its top violates the model.
    """
    heights = [len(c.levels) for c in columns]
    if int(np.prod(heights)) > MAX_NODES:
        raise RecordError(
            f"the hierarchies have {int(np.prod(heights)):,} combinations of levels, more than {MAX_NODES:,}. Name fewer "
            "columns, or use the method mondrian."
        )
    search = _Search(columns, _combinations(codes, sensitive), model, suppression_limit * len(codes))
    tags = _tag_nodes(search, tuple(heights))
    lowest = [tuple(map(int, node)) for node in np.argwhere(tags == SATISFIED) if _is_minimal(tags, tuple(node))]
    minimal = [node for node in lowest if search.suppressed(node) <= search.limit]  # t is not monotone with suppressed rows
    if not minimal:
        raise RecordError(
            f"no generalization satisfies k = {model.k}, l = {model.l}, t = {model.t} with at most "
            f"{suppression_limit:.1%} of rows suppressed, not even one group of all rows. Choose a smaller k and l, or a "
            "larger t."
        )
    node = min(minimal, key=search.loss)
    return LatticeNode(node, search.suppressed(node), search.loss(node), search.evaluated)


def _tag_nodes(search: "_Search", heights: tuple[int, ...]) -> np.ndarray:
    """Every node of the lattice as SATISFIED or VIOLATED."""
    tags = np.zeros(heights, np.int8)
    order = sorted(np.ndindex(heights), key=sum)
    for start in order:
        if tags[start]:
            continue
        path = [start]
        while (above := _untagged_above(tags, path[-1])) is not None:
            path.append(above)
        low, high = 0, len(path) - 1
        while low <= high:
            middle = (low + high) // 2
            node = path[middle]
            if search.suppressed(node) <= search.limit:
                tags[tuple(slice(i, None) for i in node)] = SATISFIED
                high = middle - 1
            else:
                tags[tuple(slice(None, i + 1) for i in node)] = VIOLATED
                low = middle + 1
    return tags


def _untagged_above(tags: np.ndarray, node: tuple[int, ...]) -> tuple[int, ...] | None:
    for i, level in enumerate(node):
        above = (*node[:i], level + 1, *node[i + 1 :])
        if level + 1 < tags.shape[i] and not tags[above]:
            return above
    return None


def _is_minimal(tags: np.ndarray, node: tuple[int, ...]) -> bool:
    return all(not level or tags[(*node[:i], level - 1, *node[i + 1 :])] == VIOLATED for i, level in enumerate(node))


@dataclass(frozen=True)
class _Combinations:
    """Distinct combinations of codes (and of the sensitive value, integers below `categories`), with their numbers of rows."""

    codes: np.ndarray
    counts: np.ndarray
    sensitive: np.ndarray | None
    categories: int


def _combinations(codes: np.ndarray, sensitive: np.ndarray | None) -> _Combinations:
    if sensitive is None:
        distinct, counts = np.unique(codes, axis=0, return_counts=True)
        return _Combinations(distinct, counts, None, 1)
    distinct, counts = np.unique(np.column_stack([codes, sensitive]), axis=0, return_counts=True)
    return _Combinations(distinct[:, :-1], counts, distinct[:, -1], int(sensitive.max()) + 1)


@dataclass
class _Search:
    columns: tuple[QuasiIdentifier, ...]
    rows: _Combinations
    model: PrivacyModel
    limit: float  # rows that may be suppressed
    evaluated: int = 0

    def __post_init__(self) -> None:
        self.cache: dict[tuple[int, ...], int] = {}
        rows = self.rows
        self.overall = (
            None if rows.sensitive is None else np.bincount(rows.sensitive, rows.counts, rows.categories) / rows.counts.sum()
        )

    def groups(self, node: tuple[int, ...]) -> np.ndarray:
        """The group of each combination at a node."""
        key = np.zeros(len(self.rows.codes), np.int64)
        for column, level, codes in zip(self.columns, node, self.rows.codes.T, strict=True):
            key = key * len(column.labels[level]) + column.levels[level][codes]
        top = int(key.max()) + 1
        if top > 4 * len(key):
            return np.unique(key, return_inverse=True)[1]
        present = np.zeros(top, np.int64)
        present[key] = 1
        return np.asarray((np.cumsum(present) - 1)[key])

    def suppressed(self, node: tuple[int, ...]) -> int:
        """Number of rows in groups that violate the model."""
        if node not in self.cache:
            self.evaluated += 1
            groups, rows = self.groups(node), self.rows
            sizes = np.bincount(groups, rows.counts)
            violated = sizes < self.model.k
            if rows.sensitive is not None and self.overall is not None:
                table = np.zeros((len(sizes), rows.categories))
                np.add.at(table, (groups, rows.sensitive), rows.counts)
                violated |= (table > 0).sum(1) < self.model.l
                violated |= np.abs(table / sizes[:, None] - self.overall).sum(1) / 2 > self.model.t + 1e-12
            self.cache[node] = int(sizes[violated].sum())
        return self.cache[node]

    def loss(self, node: tuple[int, ...]) -> float:
        """Normalized certainty penalty, a mean over cells (Xu et al. 2006): 0 exact, 1 nothing known; suppressed rows count as 1."""
        total = self.rows.counts.sum()
        share = self.suppressed(node) / total
        by_column = [
            information_loss(column, level)[self.rows.codes[:, i]] @ self.rows.counts / total
            for i, (column, level) in enumerate(zip(self.columns, node, strict=True))
        ]
        return float(share + (1 - share) * np.mean(by_column))


def information_loss(column: QuasiIdentifier, level: int) -> np.ndarray:
    """By code: the share of the column's width that its group covers at a level."""
    groups, numbers = column.levels[level], column.numeric_values()
    if column.kind == "number":
        spread = np.nanmax(numbers) - np.nanmin(numbers) if np.isfinite(numbers).any() else 0.0
    else:
        spread = len(column.values) - 1
    if not spread:
        return np.zeros(len(groups))
    if column.kind == "category":
        width = np.bincount(groups) - 1.0
    else:
        low, high = np.full(groups.max() + 1, np.inf), np.full(groups.max() + 1, -np.inf)
        np.fmin.at(low, groups, numbers)
        np.fmax.at(high, groups, numbers)
        width = np.where(np.isfinite(low), high - low, 0.0)
    return np.asarray((width / spread)[groups])
