"""A mixture of products fitted to noisy 1- and 2-way counts.

Model: P(x) = sum_k w_k prod_j p_kj(x_j). All pairwise marginals are blocks of P' diag(w) P, where P stacks the p_kj:
one matrix product gives all of them, whatever the number of rows (McKenna et al. 2021, "mixture of products" estimator).
"""

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from threadpoolctl import threadpool_limits

FEWEST_COMPONENTS, MOST_COMPONENTS = 16, 400
GROWTH = ((1.4, 1.25), (2.0, 1.5), (math.inf, 2.0))  # (extrapolated chi-square of a fit, more components next time)
ENSEMBLE, MOST_MEMBERS = 800, 32  # components of all members together, and most members
MOST_STEPS, LOOK = 1_500, 100

Floats = NDArray[np.float64]
Floats32 = NDArray[np.floating]  # float32 in practice: halves the time of the products


@dataclass(frozen=True)
class Marginal:
    """Noisy counts of one or two columns. columns: (j,) or (i, j) with i < j. counts: shape (levels,) or (levels_i, levels_j).
    variance: of each count's noise, same shape or a scalar."""

    columns: tuple[int, ...]
    counts: Floats
    variance: float | Floats


@dataclass(frozen=True)
class Mixture:
    """weights: shape (components,), sums to 1. shares: shape (components, sum of levels); each column's part sums to 1."""

    weights: Floats
    shares: Floats
    sizes: NDArray[np.int64]

    @property
    def offsets(self) -> NDArray[np.int64]:
        """Where each column's levels begin, and the end."""
        offsets: NDArray[np.int64] = np.r_[0, np.cumsum(self.sizes)]
        return offsets

    def of(self, j: int) -> Floats:
        """p_kj of column j, shape (components, levels of j)."""
        o = self.offsets
        return self.shares[:, o[j] : o[j + 1]]

    def one_way(self, j: int) -> Floats:
        """Shares of column j's levels."""
        return self.weights @ self.of(j)


@dataclass(frozen=True)
class MixtureFit:
    """A mixture, its chi-square per measured cell, the steps it took, and its extrapolated chi-square."""

    mixture: Mixture
    chi2: float
    steps: int
    heading: float


class _MarginalTargets:
    """The measurements laid out as one matrix of levels by levels, so that each step is two matrix products."""

    def __init__(self, marginals: list[Marginal], sizes: NDArray[np.int64], rows: float) -> None:
        self.sizes = sizes
        self.offsets = np.r_[0, np.cumsum(sizes)]
        total = int(self.offsets[-1])
        self.pair = np.zeros((total, total), np.float32)
        self.pair_weight = np.zeros((total, total), np.float32)
        self.one = np.zeros(total, np.float32)
        self.one_weight = np.zeros(total, np.float32)
        self.cells = sum(m.counts.size for m in marginals)
        for m in marginals:
            value, weight = m.counts / rows, rows * rows / np.broadcast_to(np.asarray(m.variance), m.counts.shape)
            spans = [slice(self.offsets[j], self.offsets[j + 1]) for j in m.columns]
            if len(spans) == 1:
                self.one[spans[0]], self.one_weight[spans[0]] = value, weight
            else:
                a, b = spans
                self.pair[a, b], self.pair[b, a] = value, value.T
                self.pair_weight[a, b], self.pair_weight[b, a] = weight, weight.T

    def residual(self, shares: Floats32, weights: Floats32) -> tuple[float, Floats32]:
        """(chi-square per cell, gradient of it with respect to the weighted shares)."""
        gap = (shares * weights[:, None]).T @ shares
        gap -= self.pair
        pull = self.pair_weight * gap
        gap1 = weights @ shares - self.one
        pull1 = self.one_weight * gap1
        chi2 = (0.5 * float(np.vdot(pull, gap)) + float(np.vdot(pull1, gap1))) / self.cells
        return chi2, shares @ pull + pull1[None]


class _Adam:
    """Adam (Kingma & Ba 2015) on one array, beta2 = 0.99 because runs are short."""

    def __init__(self, like: Floats32) -> None:
        self.mean, self.square, self.steps = np.zeros_like(like), np.zeros_like(like), 0

    def step(self, gradient: Floats32, rate: float) -> Floats32:
        self.steps += 1
        self.mean += 0.1 * (gradient - self.mean)
        self.square += 0.01 * (gradient * gradient - self.square)
        mean = self.mean / (1 - 0.9**self.steps)
        square = self.square / (1 - 0.99**self.steps)
        change: Floats32 = (rate * mean / (np.sqrt(square) + 1e-8)).astype(np.float32)
        return change


class _Descent:
    """Gradient descent on the logits of one mixture, which starts near the measured single columns."""

    def __init__(self, target: _MarginalTargets, components: int, rng: np.random.Generator) -> None:
        self.starts, self.sizes, self.components = target.offsets[:-1], target.sizes, components
        logits = np.log(np.maximum(target.one, 1e-4))[None] + rng.normal(0, 0.5, (components, target.offsets[-1]))
        self.logits = logits.astype(np.float32)
        self.weight_logits = np.zeros(components, np.float32)
        self.by_share, self.by_weight = _Adam(self.logits), _Adam(self.weight_logits)
        self.rate = 0.05

    def parameters(self) -> tuple[Floats32, Floats32]:
        """(shares, weights) at this step."""
        weights = np.exp(self.weight_logits - self.weight_logits.max())
        weights /= weights.sum()
        return _softmax(self.logits, self.starts, self.sizes), weights

    def step(self, shares: Floats32, weights: Floats32, gradient: Floats32) -> None:
        """One step; gradient: of chi-square, with respect to the weighted shares."""
        flow = weights[:, None] * gradient
        inner = np.add.reduceat(shares * flow, self.starts, axis=1)
        change = shares * (flow - np.repeat(inner, self.sizes, axis=1)) * self.components
        self.logits -= self.by_share.step(change, self.rate)
        each = (shares * gradient).sum(axis=1)
        self.weight_logits -= self.by_weight.step(weights * (each - float(weights @ each)), self.rate)
        self.rate = max(self.rate * 0.999, 0.01)


def fit_mixture(
    marginals: list[Marginal],
    sizes: NDArray[np.int64],
    rows: float,
    rng: np.random.Generator,
    *,
    components: int,
    give_up: bool = False,
) -> MixtureFit:
    """Weighted least squares until chi-square per cell reaches 1, where the model is as near as the noise permits (Morozov's
    discrepancy principle); further steps would fit the noise. give_up: end as soon as 1 is out of reach."""
    target = _MarginalTargets(marginals, sizes, rows)
    descent = _Descent(target, components, rng)
    best: tuple[float, Floats32, Floats32] | None = None
    history: list[float] = []  # chi-square every LOOK steps
    step = 0
    for step in range(1, MOST_STEPS + 1):
        shares, weights = descent.parameters()
        chi2, gradient = target.residual(shares, weights)
        if best is None or chi2 < best[0]:
            best = (chi2, shares, weights)
        if chi2 <= 1.0:
            break
        if step % LOOK == 0:
            history.append(chi2)
            if give_up and _extrapolated_chi2(history) > 1.0:
                break
        descent.step(shares, weights, gradient)
    assert best is not None
    chi2, shares, weights = best
    exact = shares.astype(np.float64)
    exact /= np.repeat(np.add.reduceat(exact, target.offsets[:-1], axis=1), sizes, axis=1)
    mixture = Mixture(weights.astype(np.float64) / weights.sum(dtype=np.float64), exact, sizes)
    return MixtureFit(mixture, chi2, step, min(_extrapolated_chi2(history) or chi2, chi2))


def _extrapolated_chi2(course: list[float]) -> float:
    """Chi-square at the end if it continues to fall by the same ratio; 0 while there are too few values."""
    if len(course) < 4:  # the first look is still on the way down from the start
        return 0.0
    before, now = course[-3] - course[-2], course[-2] - course[-1]
    if now <= 0 or before <= 0:
        return course[-1]  # it is constant, or swings
    ratio = min(now / before, 0.9)
    return course[-1] - now * ratio / (1 - ratio)


def fit_ensemble(
    marginals: list[Marginal],
    sizes: NDArray[np.int64],
    rows: float,
    rng: np.random.Generator,
    *,
    most_members: int = MOST_MEMBERS,
    progress: Callable[[float], None] | None = None,
) -> tuple[list[MixtureFit], int]:
    """(members, components of each). The fewest components that reach the noise: more of them fit the noise sooner, fewer bend
    structure that they cannot express. Members differ by their start; their average has none of the ties that a single fit invents."""
    tell = progress or (lambda _share: None)
    components = FEWEST_COMPONENTS
    # matrices of a few hundred rows: a second thread costs more in waiting than it gains
    with threadpool_limits(1):
        while True:
            last = components >= MOST_COMPONENTS
            first = fit_mixture(marginals, sizes, rows, rng, components=components, give_up=not last)
            if first.chi2 <= 1.0 or last:
                break
            growth = next(factor for heading, factor in GROWTH if first.heading <= heading)
            components = min(math.ceil(components * growth), MOST_COMPONENTS)
        members = [first]
        wanted = min(max(ENSEMBLE // components, 2), most_members)
        while len(members) < wanted:
            tell(len(members) / wanted)
            members.append(fit_mixture(marginals, sizes, rows, rng, components=components))
    return members, components


def _softmax(logits: Floats32, starts: NDArray[np.int64], sizes: NDArray[np.int64]) -> Floats32:
    powers = np.exp(logits - np.repeat(np.maximum.reduceat(logits, starts, axis=1), sizes, axis=1))
    shares: Floats32 = powers / np.repeat(np.add.reduceat(powers, starts, axis=1), sizes, axis=1)
    return shares


def average_mixtures(parts: list[Mixture]) -> Mixture:
    """The average of several mixtures over the same columns, which is a mixture again."""
    return Mixture(
        np.concatenate([p.weights for p in parts]) / len(parts), np.concatenate([p.shares for p in parts]), parts[0].sizes
    )
