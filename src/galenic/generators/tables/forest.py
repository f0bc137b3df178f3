"""Random forests of columns in sequence, each over the columns before it; a fit without noise adds them to the mixture.

A leaf holds at least LEAF training rows, and a value is drawn from all of a leaf, so no draw rests on one patient.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from galenic.schema import Floats

Codes = NDArray[np.int64]
TREES, LEAF, INPUTS = (
    40,
    40,
    0.8,
)  # trees of a forest, rows of a leaf (5 leaked on few columns), share of columns tried at a split
MOST_ROWS = 100_000  # that a forest is grown on
OVERSAMPLED = 10  # rows drawn for each one that is used, where a value is given


@dataclass(frozen=True)
class Forest:
    """One column's forest. Nodes of all trees stand one after another: inputs < threshold go left. A leaf's rows are
    donors[first[leaf] : end[leaf]], levels in ascending order."""

    column: int
    inputs: tuple[int, ...]
    roots: Codes
    feature: Codes
    threshold: Floats
    left: Codes
    right: Codes
    first: Codes
    end: Codes
    donors: Codes

    def leaves(self, codes: Codes, rng: np.random.Generator) -> Codes:
        """The leaf of a random tree for each row, shape (rows,)."""
        node: Codes = self.roots[rng.integers(0, self.roots.size, codes.shape[0])]
        inputs = np.array(self.inputs, dtype=np.int64)
        walking = np.arange(codes.shape[0])
        while walking.size:
            here = node[walking]
            inner = self.left[here] >= 0
            walking, here = walking[inner], here[inner]
            below = codes[walking, inputs[self.feature[here]]] <= self.threshold[here]
            node[walking] = np.where(below, self.left[here], self.right[here])
        return node


@dataclass(frozen=True)
class ForestSequence:
    """start: levels of the first column, as they occur. forests: of the others, in the order in which they are drawn."""

    first: int
    start: Codes
    forests: tuple[Forest, ...]

    def draw(self, n: int, allowed: dict[int, Codes], rng: np.random.Generator) -> Codes:
        """Level numbers, shape (n, columns). allowed: levels that a column may take; rows are drawn so and weighed by how likely
        that was (likelihood weighting)."""
        many = n * OVERSAMPLED if allowed else n
        codes = np.zeros((many, len(self.forests) + 1), dtype=np.int64)
        chance = np.ones(many)
        held = self.start[np.isin(self.start, allowed[self.first])] if self.first in allowed else self.start
        held = held if held.size else allowed[self.first]
        codes[:, self.first] = held[rng.permutation(np.arange(many) * held.size // max(many, 1))]
        for forest in self.forests:
            leaf = forest.leaves(codes, rng)
            first, size = forest.first[leaf], forest.end[leaf] - forest.first[leaf]
            if forest.column not in allowed:
                codes[:, forest.column] = forest.donors[first + (rng.random(many) * size).astype(np.int64)]
                continue
            codes[:, forest.column], likely = _among(forest, first, size, allowed[forest.column], rng)
            chance *= likely
        if not allowed:
            return codes[rng.permutation(many)]
        top = np.cumsum(chance)
        kept = (
            np.searchsorted(top, (np.arange(n) + rng.random()) / max(n, 1) * top[-1], side="right")
            if many
            else top[:0].astype(int)
        )
        return codes[rng.permutation(np.minimum(kept, max(many - 1, 0)))]


def _among(forest: Forest, first: Codes, size: Codes, levels: Codes, rng: np.random.Generator) -> tuple[Codes, Floats]:
    """(a donor's level among the allowed ones for each row, the share of donors that are); one of them at random where none is."""
    fits = np.r_[0, np.cumsum(np.isin(forest.donors, levels))]
    below, count = fits[first], fits[first + size] - fits[first]
    place = np.searchsorted(fits, below + (rng.random(first.size) * count).astype(np.int64), side="right") - 1
    drawn = forest.donors[np.minimum(place, forest.donors.size - 1)]
    return np.where(count > 0, drawn, rng.choice(levels, first.size)), np.maximum(count / size, 1e-6)


def fit_forest_sequence(
    codes: Codes, nominal: NDArray[np.bool_], target: int | None, rng: np.random.Generator, progress: Any = None
) -> ForestSequence:
    """Forests over rows of levels, shape (rows, columns); nominal: columns without an order of levels. The target comes last."""
    tell = progress or (lambda _share: None)
    if codes.shape[0] > MOST_ROWS:
        codes = codes[rng.permutation(codes.shape[0])[:MOST_ROWS]]
    order = [j for j in range(codes.shape[1]) if j != target] + ([target] if target is not None else [])
    forests = []
    for place in range(1, len(order)):
        tell(place / len(order))
        forests.append(_forest(codes, tuple(order[:place]), order[place], bool(nominal[order[place]]), rng))
    return ForestSequence(order[0], np.sort(codes[:, order[0]]), tuple(forests))


def _forest(codes: Codes, inputs: tuple[int, ...], column: int, nominal: bool, rng: np.random.Generator) -> Forest:
    from sklearn.ensemble import RandomForestClassifier, RandomForestRegressor  # noqa: PLC0415  # two seconds to load

    kind = RandomForestClassifier if nominal else RandomForestRegressor
    leaf = min(LEAF, max(codes.shape[0] // 4, 1))
    made = kind(TREES, min_samples_leaf=leaf, max_features=INPUTS, random_state=int(rng.integers(2**31)), n_jobs=2)
    x, y = codes[:, inputs], codes[:, column]
    made.fit(x, y)
    roots, parts, start, held = [], [], 0, 0
    for grown in made.estimators_:
        tree = grown.tree_
        leaf_of = tree.apply(x.astype(np.float32))
        by_leaf = np.lexsort((y, leaf_of))
        first = np.searchsorted(leaf_of[by_leaf], np.arange(tree.node_count), side="left") + held
        end = np.searchsorted(leaf_of[by_leaf], np.arange(tree.node_count), side="right") + held
        left, right = (np.where(child >= 0, child + start, -1) for child in (tree.children_left, tree.children_right))
        parts.append((tree.feature, tree.threshold, left, right, first, end, y[by_leaf]))
        roots.append(start)
        start, held = start + tree.node_count, held + y.size
    feature, threshold, left, right, first, end, donors = (np.concatenate(p) for p in zip(*parts, strict=True))
    return Forest(column, inputs, np.array(roots), np.maximum(feature, 0), threshold, left, right, first, end, donors)


def forest_arrays(chain: ForestSequence) -> dict[str, NDArray[Any]]:
    """The chain as named arrays, for an .npz."""
    arrays: dict[str, NDArray[Any]] = {"chain_start": chain.start, "chain_first": np.array([chain.first])}
    for k, forest in enumerate(chain.forests):
        for name, value in vars(forest).items():
            arrays[f"forest_{k}_{name}"] = np.asarray(value)
    return arrays


def forests_from_arrays(arrays: dict[str, NDArray[Any]]) -> ForestSequence | None:
    """The chain that chain_arrays wrote, or None if there is none."""
    if "chain_start" not in arrays:
        return None
    forests, k = [], 0
    while f"forest_{k}_column" in arrays:
        found = {name: arrays[f"forest_{k}_{name}"] for name in Forest.__dataclass_fields__}
        column, inputs = int(found.pop("column")), tuple(int(j) for j in found.pop("inputs"))
        forests.append(Forest(column=column, inputs=inputs, **found))
        k += 1
    return ForestSequence(int(arrays["chain_first"][0]), arrays["chain_start"], tuple(forests))
