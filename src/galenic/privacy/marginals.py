"""Counts of every level with every level of coded columns (and of a target): exact inside, noisy and paid outside."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from itertools import combinations

import numpy as np
from numpy.typing import NDArray

from galenic.privacy.measurement import PrivateRows, with_anchors
from galenic.schema import Column, encode

Counts = NDArray[np.int64]
Cells = tuple[int, ...]  # places of one, two or three columns, ascending, the target last

MOST_TRIPLE_CELLS = 30_000_000  # held as 64-bit counts; decided by sizes alone


@dataclass(frozen=True)
class NoisyMarginal:
    """An answer: counts of a marginal's cells, shape (levels of each column), and the standard deviation of their noise."""

    columns: Cells
    counts: Counts
    sigma: float


class Crosstab:
    """All 1- and 2-way counts of coded columns, and all pairs by the level of a target; one pass whatever the number of rows.

    One unit with at most `cap` rows changes the counts of each marginal by at most `cap` in L2.
    """

    def __init__(self, protected: PrivateRows, columns: tuple[Column, ...], target: int | None = None) -> None:
        self._protected = protected
        self.names = tuple(column.name for column in columns)
        self.sizes = np.array([column.levels for column in columns])
        self.target = target if target is not None and self._by_target_fits(target) else None
        d = len(columns)
        self._blocks: dict[Cells, Counts] = {(j,): self._zeros((j,)) for j in range(d)}
        for i, j in combinations(range(d), 2):
            cells = self._with_target(i, j)
            self._blocks[cells] = self._zeros(cells)
        for table in protected._tables(with_anchors(columns, columns)):
            self._add(np.stack([encode(table, column) for column in columns]).astype(np.int32))

    def _by_target_fits(self, target: int) -> bool:
        others = np.delete(self.sizes, target).astype(float)
        pairs = float(others.sum() ** 2 - (others**2).sum()) / 2
        return pairs * float(self.sizes[target]) <= MOST_TRIPLE_CELLS

    def _with_target(self, i: int, j: int) -> Cells:
        return (i, j) if self.target is None or self.target in (i, j) else (i, j, self.target)

    def _zeros(self, cells: Cells) -> Counts:
        return np.zeros([int(self.sizes[j]) for j in cells], dtype=np.int64)

    def _add(self, codes: NDArray[np.int32]) -> None:
        for cells, block in self._blocks.items():
            place = codes[cells[0]]
            for j in cells[1:]:
                place = place * np.int32(self.sizes[j]) + codes[j]
            block += np.bincount(place, minlength=block.size).reshape(block.shape)

    def grouped(self, groups: Sequence[NDArray[np.int64]]) -> "Crosstab":
        """The same counts over coarser levels. groups: for each column, the coarse level of each level, shape (levels,)."""
        coarse = object.__new__(Crosstab)
        coarse._protected, coarse.names, coarse.target = self._protected, self.names, self.target
        coarse.sizes = np.array([int(g.max()) + 1 for g in groups])
        fold = [np.equal.outer(g, np.arange(g.max() + 1)).astype(np.int64) for g in groups]
        coarse._blocks = {}
        for cells, block in self._blocks.items():
            for axis, j in enumerate(cells):
                block = np.moveaxis(np.tensordot(block, fold[j], (axis, 0)), -1, axis)
            coarse._blocks[cells] = np.ascontiguousarray(block)
        return coarse

    def _exact(self, cells: Cells) -> Counts:
        if cells in self._blocks:
            return self._blocks[cells]
        i, j = cells
        return np.asarray(self._blocks[self._with_target(i, j)].sum(axis=2))

    def _called(self, cells: Cells) -> str:
        return f"{len(cells)}-way {' x '.join(self.names[j] for j in cells)}"

    def ask(self, cells: Cells, rho: Fraction) -> NoisyMarginal:
        """Noisy counts of a marginal for rho: one column, a pair i < j, or a pair with the target."""
        return self.ask_all({cells: rho})[0]

    def ask_all(self, prices: Mapping[Cells, Fraction]) -> list[NoisyMarginal]:
        """Noisy counts of several marginals, each for its own price; all are paid before any is answered."""
        sigmas = [self._protected._pay(self._called(cells), rho) for cells, rho in prices.items()]
        answers = self._protected._all_noisy([self._exact(cells) for cells in prices], list(prices.values()))
        return [NoisyMarginal(cells, counts, sigma) for cells, counts, sigma in zip(prices, answers, sigmas, strict=True)]

    def distances(self, expected: dict[Cells, Counts], rho: Fraction) -> tuple[dict[Cells, int], float]:
        """How far marginals are from what is expected of them (whole numbers, made of paid answers alone): L1 distances, and the
        noise's standard deviation. One unit moves each distance by at most cap, so all by cap * sqrt(marginals) in L2."""
        sigma = self._protected._pay(f"distance of {len(expected)} marginals from what is expected", rho, queries=len(expected))
        exact = np.array([int(np.abs(self._exact(cells) - counts).sum()) for cells, counts in expected.items()])
        noisy = self._protected._noisy(exact, rho / max(len(expected), 1))
        return {cells: int(score) for cells, score in zip(expected, noisy, strict=True)}, sigma
