"""P(target | the other columns) by gradient-boosted trees, as plain arrays; a fit without noise draws the target by them."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from galenic.schema import Floats

Codes = NDArray[np.int64]
STAGES, RATE, DEPTH, ROWS, COLUMNS, LEAF = 200, 0.06, 3, 0.5, 0.3, 20
MOST_ROWS, MOST_LEVELS = 50_000, 12


@dataclass(frozen=True)
class BoostedTrees:
    """Trees of all stages and levels in one sequence, and their nodes likewise: inputs <= threshold go left.

    levels: those of the target that occur; start: their first scores. roots: shape (stages, scores), where two levels share
    one score.
    """

    target: int
    levels: Codes
    start: Floats
    roots: Codes
    feature: Codes
    threshold: Floats
    left: Codes
    right: Codes
    value: Floats

    def draw(self, codes: Codes, rng: np.random.Generator) -> Codes:
        """A level of the target for each row, shape (rows,)."""
        chance = np.cumsum(self.chances(codes), axis=1)
        place: Codes = np.asarray(chance < rng.random((codes.shape[0], 1)) * chance[:, -1:])
        return np.asarray(self.levels[np.minimum(place.sum(axis=1), self.levels.size - 1)])

    def chances(self, codes: Codes) -> Floats:
        """P(level | row), shape (rows, levels that occur)."""
        inputs = np.delete(codes, self.target, axis=1)
        scores = np.repeat(self.start[None], codes.shape[0], axis=0)
        for stage in self.roots:
            for k, root in enumerate(stage):
                scores[:, k] += RATE * self.value[_leaf(inputs, root, self)]
        if self.levels.size == 2:
            scores = np.c_[np.zeros(codes.shape[0]), scores[:, 0]]
        powers = np.exp(scores - scores.max(axis=1, keepdims=True))
        return np.asarray(powers / powers.sum(axis=1, keepdims=True))


def _leaf(inputs: Codes, root: int, made: BoostedTrees) -> Codes:
    node = np.full(inputs.shape[0], root)
    rows = np.arange(inputs.shape[0])
    for _ in range(DEPTH):
        inner = made.left[node] >= 0
        below = inputs[rows, made.feature[node]] <= made.threshold[node]
        node = np.where(inner, np.where(below, made.left[node], made.right[node]), node)
    return node


def fit_boosted_trees(codes: Codes, target: int, rng: np.random.Generator) -> BoostedTrees | None:
    """Boosted trees over rows of levels, shape (rows, columns); None where the target has one level only, or many."""
    from sklearn.ensemble import GradientBoostingClassifier  # noqa: PLC0415  # two seconds to load

    if codes.shape[0] > MOST_ROWS:
        codes = codes[rng.permutation(codes.shape[0])[:MOST_ROWS]]
    levels, y = np.unique(codes[:, target], return_inverse=True)
    if not 2 <= levels.size <= MOST_LEVELS or codes.shape[1] < 2:
        return None
    made = GradientBoostingClassifier(
        n_estimators=STAGES,
        learning_rate=RATE,
        max_depth=DEPTH,
        subsample=ROWS,
        max_features=COLUMNS,
        min_samples_leaf=LEAF,
        random_state=int(rng.integers(2**31)),
    ).fit(np.delete(codes, target, axis=1), y)
    share = np.bincount(y) / y.size
    two = levels.size == 2
    start = np.array([np.log(share[1] / share[0])]) if two else np.log(share)
    parts, roots, held = [], [], 0
    for stage in made.estimators_:
        for grown in stage:
            tree = grown.tree_
            left, right = (np.where(c >= 0, c + held, -1) for c in (tree.children_left, tree.children_right))
            parts.append((np.maximum(tree.feature, 0), tree.threshold, left, right, tree.value[:, 0, 0]))
            roots.append(held)
            held += tree.node_count
    feature, threshold, left, right, value = (np.concatenate(p) for p in zip(*parts, strict=True))
    return BoostedTrees(target, levels, start, np.array(roots).reshape(STAGES, -1), feature, threshold, left, right, value)


def boosted_arrays(made: BoostedTrees) -> dict[str, NDArray[Any]]:
    """The trees as named arrays, for an .npz."""
    return {f"boosted_{name}": np.asarray(value) for name, value in vars(made).items()}


def boosted_from_arrays(arrays: dict[str, NDArray[Any]]) -> BoostedTrees | None:
    """The trees that boosted_arrays wrote, or None if there are none."""
    if "boosted_target" not in arrays:
        return None
    found = {name: arrays[f"boosted_{name}"] for name in BoostedTrees.__dataclass_fields__}
    return BoostedTrees(target=int(found.pop("target")), **found)
