"""Population uniqueness given a random sample: the models of Pitman and Zayatz."""

from collections.abc import Callable

import numpy as np


def population_uniques(sizes: np.ndarray, fraction: float) -> tuple[float, float]:
    """(lowest, highest) estimate of the rows of a sample that are unique in the population.

    sizes: of the sample's equivalence classes. fraction: share of the population in the sample. Estimates by Pitman's model
    (Hoshino 2001; too low for small fractions) and Zayatz's (1991; too high there). Both are named by Dankar et al. (2012, BMC Med
    Inform Decis Mak 12:66); written from memory: unverified, and tested on simulated populations.
    """
    unique = int((sizes == 1).sum())
    if unique == 0 or fraction >= 1:
        return float(unique), float(unique)
    estimates = [_zayatz(sizes, fraction), _pitman(sizes, int(sizes.sum()) / fraction)]
    in_sample = [float(min(max(one * fraction, 0.0), unique)) for one in estimates if one is not None]
    return min(in_sample), max(in_sample)


def _zayatz(sizes: np.ndarray, fraction: float) -> float:
    """Uniques of the population by Zayatz's model: P(unique in the population | unique in the sample) by Bayes' rule over class
    sizes as the sample has them, times the uniques of the sample, divided by the fraction."""
    count = np.bincount(sizes)
    i = np.arange(1, len(count))
    sampled_once = i * fraction * (1 - fraction) ** (i - 1)
    share = count[1:] / count[1:].sum()
    conditional = share[0] * sampled_once[0] / float((share * sampled_once).sum())
    return float(count[1] * conditional / fraction)


def _pitman(sizes: np.ndarray, population: float) -> float | None:
    """Uniques of the population by Pitman's model with maximum-likelihood parameters; None if they do not converge."""
    n, u = int(sizes.sum()), len(sizes)
    if u < 2 or u == n:
        return None
    alpha = _alpha(sizes)
    theta = None if alpha is None else _theta(alpha, n, u)
    if alpha is None or theta is None:
        return None
    from scipy.special import gammaln  # noqa: PLC0415  # loading takes a third of a second, and it is rarely needed

    return float(np.exp(gammaln(theta + 1) - gammaln(theta + alpha) + alpha * np.log(population)))


def _theta(alpha: float, n: int, u: int) -> float | None:
    """theta at which the likelihood's derivative by theta is 0 for this alpha."""
    i = np.arange(1, u)

    def derivative(log_theta: float) -> float:
        theta = np.exp(log_theta)
        return float((1 / (theta + i * alpha)).sum() - _harmonic(theta, n))

    try:
        return float(np.exp(_root(derivative, -12, 25)))
    except ValueError:
        return None


def _alpha(sizes: np.ndarray) -> float | None:
    """alpha at which the likelihood's derivative by alpha is 0, with the best theta for each alpha."""
    n, u = int(sizes.sum()), len(sizes)
    count = np.bincount(sizes)
    js = np.flatnonzero(count[2:]) + 2
    i = np.arange(1, u)

    def derivative(alpha: float) -> float:
        theta = _theta(alpha, n, u)
        if theta is None:
            return float("nan")
        inner = sum(count[j] * float((1 / (np.arange(1, j) - alpha)).sum()) for j in js)
        return float((i / (theta + i * alpha)).sum() - inner)

    grid = np.linspace(0.001, 0.995, 60)
    values = np.array([derivative(a) for a in grid])
    turns = np.flatnonzero((values[:-1] > 0) & (values[1:] <= 0))
    if not len(turns):
        return None
    return _root(derivative, grid[turns[0]], grid[turns[0] + 1], tolerance=1e-6)


def _root(function: Callable[[float], float], low: float, high: float, tolerance: float = 2e-12) -> float:
    from scipy.optimize import brentq  # noqa: PLC0415  # loading takes a third of a second, and it is rarely needed

    return float(brentq(function, low, high, xtol=tolerance))


def _harmonic(theta: float, n: int) -> float:
    """1/(theta + 1) + ... + 1/(theta + n - 1)."""
    from scipy.special import digamma  # noqa: PLC0415

    return float(digamma(theta + n) - digamma(theta + 1))
