"""Audits a private engine: how well can the best white-box attacker tell whether a patient was in the data?

Canary patients, each alone in a cell of its own, are put in or left out by fair coins. The attacker sees every noisy answer
and scores each canary by its log-likelihood ratio. Under Gaussian differential privacy (Dong, Roth & Su 2022) the scores of
present and absent canaries are normal, mu apart in units of their standard deviation; rho-zCDP by Gaussian noise claims
mu = sqrt(2 rho).
"""

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

# present (canaries,) -> scores (canaries,): each canary's evidence of having been in, summed over all noisy answers
Ask = Callable[[NDArray[np.bool_]], NDArray[np.float64]]


@dataclass(frozen=True)
class Audit:
    """mu: measured, with a 95 % interval; claimed: the most that it may be. runs x canaries coin flips."""

    mu: float
    low: float
    high: float
    claimed: float
    canaries: int
    runs: int

    @property
    def holds(self) -> bool:
        """Whether the measurement is compatible with the claim."""
        return self.low <= self.claimed


def audit(ask: Ask, *, canaries: int, runs: int, rho: float, rng: np.random.Generator) -> Audit:
    """Runs the engine `runs` times on fresh coins and measures mu; the interval is a normal one over all canaries."""
    inside, outside = [], []
    for _ in range(runs):
        present = rng.random(canaries) < 0.5
        scores = ask(present)
        inside.append(scores[present])
        outside.append(scores[~present])
    a, b = np.concatenate(inside), np.concatenate(outside)
    spread = math.sqrt((a.var(ddof=1) * (a.size - 1) + b.var(ddof=1) * (b.size - 1)) / (a.size + b.size - 2))
    mu = float((a.mean() - b.mean()) / spread)
    error = 1.96 * math.sqrt(1 / a.size + 1 / b.size)
    return Audit(mu, mu - error, mu + error, math.sqrt(2 * rho), canaries, runs)
