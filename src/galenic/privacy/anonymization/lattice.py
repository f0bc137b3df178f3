"""The least generalisation of whole columns that leaves nobody alone: Optimal Lattice Anonymization (El Emam et al. 2009, JAMIA 16:670).

Every column goes up its ladder by some rungs, the same for all rows; rows that still stand in too small a group are suppressed, up to a
share. Both are monotone: what holds for a node holds for all above it, what fails fails for all below, so that few nodes are looked at:
paths from the bottom to the top are halved (Kohlmayer et al. 2012, Flash). With t below 1 the second is true only where nothing is
suppressed: then the node that is found does, but another might lose less.
"""

from dataclasses import dataclass

import numpy as np

from galenic.errors import RecordError
from galenic.privacy.anonymization.hierarchies import QuasiIdentifier
from galenic.privacy.anonymization.mondrian import PrivacyModel

MOST_NODES = 200_000
GOOD, BAD = 1, 2


@dataclass(frozen=True)
class LatticeNode:
    """rungs: by column. suppressed: rows in too small groups. loss: as `loss` says. asked: nodes that were looked at."""

    rungs: tuple[int, ...]
    suppressed: int
    loss: float
    asked: int


def best_node(
    columns: tuple[QuasiIdentifier, ...],
    codes: np.ndarray,
    wanted: PrivacyModel,
    share: float = 0.01,
    sensitive: np.ndarray | None = None,
) -> LatticeNode:
    """The node of the least loss at which at most that share of rows is suppressed. codes: (rows, columns) of places in each column's
    values; sensitive: (rows,) of integers from 0. RecordError where the lattice is too large, or even its top does not do."""
    heights = [len(c.ladder) for c in columns]
    if int(np.prod(heights)) > MOST_NODES:
        raise RecordError(
            f"the ladders have {int(np.prod(heights)):,} combinations, more than {MOST_NODES:,}. Name fewer columns, or use mondrian."
        )
    if sensitive is None:
        combos, counts = np.unique(codes, axis=0, return_counts=True)
        of, values = None, 1
    else:
        both, counts = np.unique(np.column_stack([codes, sensitive]), axis=0, return_counts=True)
        combos, of, values = both[:, :-1], both[:, -1], int(sensitive.max()) + 1
    search = _Search(columns, combos, counts, of, values, wanted, share * len(codes))
    tags = _tagged(search, tuple(heights))
    found = [tuple(map(int, node)) for node in np.argwhere(tags == GOOD) if _is_minimal(tags, tuple(node))]
    minimal = [node for node in found if search.suppressed(node) <= search.most]  # t is not monotone where rows are suppressed
    if not minimal:
        raise RecordError(
            f"not even all of it in one group has k = {wanted.k}, l = {wanted.l}, t = {wanted.t} with at most {share:.1%} suppressed. "
            "Ask for less."
        )
    node = min(minimal, key=search.loss)
    return LatticeNode(node, search.suppressed(node), search.loss(node), search.asked)


def _tagged(search: "_Search", heights: tuple[int, ...]) -> np.ndarray:
    """Every node of the lattice as GOOD or BAD."""
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
            if search.suppressed(node) <= search.most:
                tags[tuple(slice(i, None) for i in node)] = GOOD
                high = middle - 1
            else:
                tags[tuple(slice(None, i + 1) for i in node)] = BAD
                low = middle + 1
    return tags


def _untagged_above(tags: np.ndarray, node: tuple[int, ...]) -> tuple[int, ...] | None:
    for i, rung in enumerate(node):
        above = (*node[:i], rung + 1, *node[i + 1 :])
        if rung + 1 < tags.shape[i] and not tags[above]:
            return above
    return None


def _is_minimal(tags: np.ndarray, node: tuple[int, ...]) -> bool:
    return all(not rung or tags[(*node[:i], rung - 1, *node[i + 1 :])] == BAD for i, rung in enumerate(node))


@dataclass
class _Search:
    columns: tuple[QuasiIdentifier, ...]
    combos: np.ndarray
    counts: np.ndarray
    of: np.ndarray | None
    values: int
    wanted: PrivacyModel
    most: float
    asked: int = 0

    def __post_init__(self) -> None:
        self.known: dict[tuple[int, ...], int] = {}
        self.whole = None if self.of is None else np.bincount(self.of, self.counts, self.values) / self.counts.sum()

    def groups(self, node: tuple[int, ...]) -> np.ndarray:
        """The group of each combination."""
        key = np.zeros(len(self.combos), np.int64)
        for column, rung, codes in zip(self.columns, node, self.combos.T, strict=True):
            key = key * len(column.labels[rung]) + column.ladder[rung][codes]
        top = int(key.max()) + 1
        if top > 4 * len(key):
            return np.unique(key, return_inverse=True)[1]
        present = np.zeros(top, np.int64)
        present[key] = 1
        return (np.cumsum(present) - 1)[key]

    def suppressed(self, node: tuple[int, ...]) -> int:
        """Rows in groups that are not what is wanted."""
        if node not in self.known:
            self.asked += 1
            groups = self.groups(node)
            sizes = np.bincount(groups, self.counts)
            bad = sizes < self.wanted.k
            if self.of is not None and self.whole is not None:
                table = np.zeros((len(sizes), self.values))
                np.add.at(table, (groups, self.of), self.counts)
                bad |= (table > 0).sum(1) < self.wanted.l
                bad |= np.abs(table / sizes[:, None] - self.whole).sum(1) / 2 > self.wanted.t + 1e-12
            self.known[node] = int(sizes[bad].sum())
        return self.known[node]

    def loss(self, node: tuple[int, ...]) -> float:
        """Normalised certainty penalty, a mean over cells (Xu et al. 2006): 0 exact, 1 nothing known; suppressed rows count as 1."""
        share = self.suppressed(node) / self.counts.sum()
        lost = [
            information_loss(column, rung)[self.combos[:, i]] @ self.counts / self.counts.sum()
            for i, (column, rung) in enumerate(zip(self.columns, node, strict=True))
        ]
        return float(share + (1 - share) * np.mean(lost))


def information_loss(column: QuasiIdentifier, rung: int) -> np.ndarray:
    """By code: how much of the column's width its step covers."""
    steps = column.ladder[rung]
    if column.kind == "number":
        numbers = np.array([float(v) if v else np.nan for v in column.values])
        spread = np.nanmax(numbers) - np.nanmin(numbers) if np.isfinite(numbers).any() else 0.0
    else:
        numbers = np.arange(len(column.values), dtype=float)
        spread = len(column.values) - 1
    if not spread:
        return np.zeros(len(steps))
    low, high = np.full(steps.max() + 1, np.inf), np.full(steps.max() + 1, -np.inf)
    np.fmin.at(low, steps, numbers)
    np.fmax.at(high, steps, numbers)
    width = np.where(np.isfinite(low), high - low, 0.0)
    if column.kind == "category":
        width = np.bincount(steps) - 1.0
    return np.asarray((width / spread)[steps])
