"""How likely somebody finds a person in a table: by what a recipient may know, against three attackers (El Emam 2013; EMA Policy 0070).

A prosecutor knows that the person is in the table; a journalist does not, and wants to show that it can be done with anyone; a marketer
wants as many as possible. Population figures come from a sample by models of how many are unique outside of it.
"""

from dataclasses import dataclass

import numpy as np

PUBLIC_DATA_RISK, SHARED_DATA_RISK = (
    0.05,
    0.09,
)  # highest risk per record that is commonly accepted for data made public, or shared under contract (one of 20, of 11)


@dataclass(frozen=True)
class ReidentificationRisk:
    """rows; classes: groups of rows that are alike in the quasi-identifiers; smallest of them. prosecutor: (highest, mean over rows,
    share of rows above USUAL). journalist: highest and mean, None without a sampling fraction. marketer: expected share of rows found.
    unique: share of rows alone in the table; population_unique: least and most share of rows expected to be alone in the population."""

    rows: int
    classes: int
    smallest: int
    prosecutor: tuple[float, float, float]
    journalist: tuple[float, float] | None
    marketer: float
    unique: float
    population_unique: tuple[float, float] | None

    def as_dict(self) -> dict[str, object]:
        """For machines."""
        return {
            "rows": self.rows, "equivalence classes": self.classes, "smallest class": self.smallest,
            "prosecutor": dict(zip(("highest", "mean", f"share above {SHARED_DATA_RISK}"), self.prosecutor, strict=True)),
            "journalist": None if self.journalist is None else dict(zip(("highest", "mean"), self.journalist, strict=True)),
            "marketer": self.marketer, "unique in the table": self.unique, "unique in the population": self.population_unique,
        }  # fmt: skip


def measure_risk(sizes: np.ndarray, fraction: float | None = None) -> ReidentificationRisk:
    """Of a table with classes of these sizes. fraction: the share of the population that is in the table, where it is known."""
    sizes = np.asarray(sizes, np.int64)
    n = int(sizes.sum())
    if n == 0:
        return ReidentificationRisk(0, 0, 0, (0.0, 0.0, 0.0), None, 0.0, 0.0, None)
    above = float(sizes[1 / sizes > SHARED_DATA_RISK].sum() / n)
    prosecutor = (float(1 / sizes.min()), len(sizes) / n, above)
    if fraction is None:
        return ReidentificationRisk(
            n, len(sizes), int(sizes.min()), prosecutor, None, len(sizes) / n, float((sizes == 1).sum() / n), None
        )
    alone = population_uniques(sizes, fraction)
    outside = sizes / fraction  # the class in the population, as many times as large
    journalist = (float(1 / outside.min()), float((sizes / outside).sum() / n))
    marketer = float((sizes / outside).sum() / n)
    return ReidentificationRisk(
        n,
        len(sizes),
        int(sizes.min()),
        prosecutor,
        journalist,
        marketer,
        float((sizes == 1).sum() / n),
        (alone[0] / n, alone[1] / n),
    )


def population_uniques(sizes: np.ndarray, fraction: float) -> tuple[float, float]:
    """Rows of the table that are expected to be alone in the population of which it is a random share: the least and the most that two models
    say, Pitman's (Hoshino 2001; too few where the share is small) and Zayatz's (1991; too many there). Both are named by Dankar et al. (2012,
    BMC Med Inform Decis Mak 12:66); written from memory: unverified, and tested on simulated populations."""
    alone = int((sizes == 1).sum())
    if alone == 0 or fraction >= 1:
        return float(alone), float(alone)
    found = [_zayatz(sizes, fraction), _pitman(sizes, int(sizes.sum()) / fraction)]
    said = [float(min(max(one * fraction, 0.0), alone)) for one in found if one is not None]
    return min(said), max(said)


def _zayatz(sizes: np.ndarray, fraction: float) -> float:
    """Uniques of the population: P(alone outside | alone in the table), by classes' sizes as the table has them. The uniques of the
    sample that are unique outside, divided by the fraction."""
    many = np.bincount(sizes)
    i = np.arange(1, len(many))
    seen_once = i * fraction * (1 - fraction) ** (i - 1)
    share = many[1:] / many[1:].sum()
    conditional = share[0] * seen_once[0] / float((share * seen_once).sum())
    return float(many[1] * conditional / fraction)


def _pitman(sizes: np.ndarray, population: float) -> float | None:
    """Uniques of the population by Pitman's model with parameters by maximum likelihood; None where it does not converge."""
    from scipy.optimize import brentq  # noqa: PLC0415  # a third of a second, and seldom asked

    n, u = int(sizes.sum()), len(sizes)
    many = np.bincount(sizes)
    js = np.flatnonzero(many[2:]) + 2
    if u < 2 or u == n:
        return None
    i = np.arange(1, u)

    def theta_of(alpha: float) -> float | None:
        def slope(log_theta: float) -> float:
            theta = np.exp(log_theta)
            return float((1 / (theta + i * alpha)).sum() - _sum_of(theta, n))

        try:
            return float(np.exp(brentq(slope, -12, 25)))
        except ValueError:
            return None

    def steep(alpha: float) -> float:
        theta = theta_of(alpha)
        if theta is None:
            return np.nan
        inner = sum(many[j] * float((1 / (np.arange(1, j) - alpha)).sum()) for j in js)
        return float((i / (theta + i * alpha)).sum() - inner)

    grid = np.linspace(0.001, 0.995, 60)
    values = np.array([steep(a) for a in grid])
    turns = np.flatnonzero((values[:-1] > 0) & (values[1:] <= 0))
    if not len(turns):
        return None
    alpha = float(brentq(steep, grid[turns[0]], grid[turns[0] + 1], xtol=1e-6))
    theta = theta_of(alpha)
    if theta is None:
        return None
    from scipy.special import gammaln  # noqa: PLC0415  # seldom asked

    return float(np.exp(gammaln(theta + 1) - gammaln(theta + alpha) + alpha * np.log(population)))


def _sum_of(theta: float, n: int) -> float:
    """1/(theta + 1) + ... + 1/(theta + n - 1)."""
    from scipy.special import digamma  # noqa: PLC0415

    return float(digamma(theta + n) - digamma(theta + 1))
