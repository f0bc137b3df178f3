"""Contingency tables of encoded columns, pairwise and with a target: internally exact; returned counts are noisy and charged."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from itertools import combinations

import numpy as np
from numpy.typing import NDArray

from galenic.privacy.measurement import PrivateRows, with_anchors
from galenic.schema import Column, encode

Counts = NDArray[np.int64]
Cells = tuple[int, ...]  # positions of one, two or three columns, ascending, the target last

MAX_TRIPLE_CELLS = 30_000_000  # of 64-bit counts; a decision by sizes alone


@dataclass(frozen=True)
class NoisyMarginal:
    """Noisy counts of a marginal's cells, shape (levels of each column), and the standard deviation of the noise."""

    columns: Cells
    counts: Counts
    sigma: float


class Crosstab:
    """All 1- and 2-way counts of encoded columns, and all pairs by the level of a target; read in one pass.

    One unit with at most `cap` rows changes the counts of each marginal by at most `cap` in L2.
    """

    def __init__(self, private_rows: PrivateRows, columns: tuple[Column, ...], target: int | None = None) -> None:
        self._private_rows = private_rows
        self.names = tuple(column.name for column in columns)
        self.sizes = np.array([column.levels for column in columns])
        self.target = target if target is not None and self._by_target_fits(target) else None
        d = len(columns)
        self._blocks: dict[Cells, Counts] = {(j,): self._zeros((j,)) for j in range(d)}
        for i, j in combinations(range(d), 2):
            cells = self._with_target(i, j)
            self._blocks[cells] = self._zeros(cells)
        for table in private_rows._tables(with_anchors(columns, columns)):
            self._add(np.stack([encode(table, column) for column in columns]).astype(np.int32))

    def _by_target_fits(self, target: int) -> bool:
        others = np.delete(self.sizes, target).astype(float)
        pairs = float(others.sum() ** 2 - (others**2).sum()) / 2
        return pairs * float(self.sizes[target]) <= MAX_TRIPLE_CELLS

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
        """The counts over coarser levels. groups: for each column, the coarse level of each level, shape (levels,)."""
        coarse = object.__new__(Crosstab)
        coarse._private_rows, coarse.names, coarse.target = self._private_rows, self.names, self.target
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

    def _name(self, cells: Cells) -> str:
        return f"{len(cells)}-way {' x '.join(self.names[j] for j in cells)}"

    def ask(self, cells: Cells, rho: Fraction) -> NoisyMarginal:
        """Noisy counts of one marginal for rho: one column, a pair i < j, or a pair with the target."""
        return self.ask_all({cells: rho})[0]

    def ask_all(self, prices: Mapping[Cells, Fraction]) -> list[NoisyMarginal]:
        """Noisy counts of several marginals, each for its own rho; all are charged before any is computed."""
        sigmas = [self._private_rows._pay(self._name(cells), rho) for cells, rho in prices.items()]
        answers = self._private_rows._all_noisy([self._exact(cells) for cells in prices], list(prices.values()))
        return [NoisyMarginal(cells, counts, sigma) for cells, counts, sigma in zip(prices, answers, sigmas, strict=True)]

    def distances(self, expected: dict[Cells, Counts], rho: Fraction) -> tuple[dict[Cells, int], float]:
        """L1 distances of marginals from expected counts (integers, computed from paid measurements alone), and the noise's standard
        deviation. One unit moves each distance by at most cap, so all by cap * sqrt(marginals) in L2."""
        sigma = self._private_rows._pay(
            f"distance of {len(expected)} marginals from what is expected", rho, queries=len(expected)
        )
        exact = np.array([int(np.abs(self._exact(cells) - counts).sum()) for cells, counts in expected.items()])
        noisy = self._private_rows._noisy(exact, rho / max(len(expected), 1))
        return {cells: int(score) for cells, score in zip(expected, noisy, strict=True)}, sigma
