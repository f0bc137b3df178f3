"""Audit of a private mechanism: how well can the best white-box attacker infer whether a patient was in the data?

Canary patients are put in or left out by fair coins. The attacker knows everybody else, sees every noisy answer, and scores each
canary by its log-likelihood ratio. Under Gaussian differential privacy (Dong, Roth & Su 2022) the scores of present and absent
canaries are normal, mu apart in units of their standard deviation; rho-zCDP by Gaussian noise claims mu = sqrt(2 rho). Many
canaries are audited in one run (after Steinke, Nasr & Jagielski 2023); runs are added up.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
import scipy
from numpy.typing import NDArray

# present (canaries,) -> (each canary's evidence of having been in, shape (canaries,); whether every answer was a whole number)
AuditedMechanism = Callable[[NDArray[np.bool_]], tuple[NDArray[np.float64], bool]]
SAME_NOISE, FAR = 0.1, 5.0  # correlation of two runs' scores, at least and in standard errors, that fresh noise does not reach


@dataclass(frozen=True)
class PrivacyAudit:
    """mu: measured, with a 95 % interval; claimed: the most that it may be. runs x canaries coin flips.

    exceeding: runs whose own 95 % bound lies above the claim. whole: all answers were whole numbers (the low bits of float noise
    tell counts apart, Mironov 2012). repeated: correlation of one run's noise with the next one's.
    """

    mu: float
    low: float
    high: float
    claimed: float
    canaries: int
    runs: int
    exceeding: int
    whole: bool
    repeated: float

    @property
    def wrong(self) -> tuple[str, ...]:
        """Evidence against the claim; empty if it holds."""
        found = []
        if self.low > self.claimed:
            found.append(
                f"the attacker gains mu {self.mu:.3f} (at least {self.low:.3f}), more than the claimed {self.claimed:.3f}"
            )
        if not self.whole:
            found.append("answers are not whole numbers, so the low bits of their noise tell counts apart")
        if self.repeated > max(SAME_NOISE, FAR / math.sqrt(max(self.canaries * (self.runs - 1), 1))):
            found.append("noise repeats from run to run")
        return tuple(found)

    @property
    def holds(self) -> bool:
        """Whether the measurement is compatible with the claim."""
        return not self.wrong


def audit_mechanism(
    ask: AuditedMechanism, *, canaries: int, runs: int, claimed: float, rng: np.random.Generator
) -> PrivacyAudit:
    """Runs the engine `runs` times on fresh coins and measures mu; the interval is a normal one over all canaries."""
    inside, outside, left = [], [], []
    exceeding, all_whole = 0, True
    for _ in range(runs):
        present = rng.random(canaries) < 0.5
        scores, whole = ask(present)
        all_whole &= whole
        inside.append(scores[present])
        outside.append(scores[~present])
        if canaries > 1:
            exceeding += _apart(inside[-1], outside[-1])[1] > claimed
        left.append(scores)
    a, b = np.concatenate(inside), np.concatenate(outside)
    mu, low, high = _apart(a, b)
    return PrivacyAudit(mu, low, high, claimed, canaries, runs, exceeding, all_whole, _repeated(left))


def _apart(a: NDArray[np.float64], b: NDArray[np.float64]) -> tuple[float, float, float]:
    """(mu, its 95 % interval): how far present scores lie above absent ones, in standard deviations."""
    if min(a.size, b.size) < 2:
        return 0.0, -math.inf, math.inf
    spread = math.sqrt((a.var(ddof=1) * (a.size - 1) + b.var(ddof=1) * (b.size - 1)) / (a.size + b.size - 2))
    if not spread:
        gap = float(a.mean() - b.mean())
        return (math.inf, math.inf, math.inf) if gap else (0.0, 0.0, 0.0)
    mu = float((a.mean() - b.mean()) / spread)
    error = 1.96 * math.sqrt(1 / a.size + 1 / b.size)
    return mu, mu - error, mu + error


def _repeated(scores: list[NDArray[np.float64]]) -> float:
    """Correlation of consecutive runs' scores, canary by canary; their coins are fresh, so only their noise can repeat."""
    if len(scores) < 2 or scores[0].size < 8 or any(s.std() == 0 for s in scores):
        return 0.0
    return float(np.mean([np.corrcoef(s, t)[0, 1] for s, t in pairwise(scores)]))


def audit_events(inside: int, outside: int, runs: int, claimed: float) -> PrivacyAudit:
    """The audit of an event that gives one canary away: it happened in `inside` of `runs` runs with the canary and in `outside` of as
    many without. mu is at least Phi^-1(true-positive rate) - Phi^-1(false-positive rate); Clopper-Pearson bounds at 97.5 % each."""
    beta, normal = scipy.stats.beta, scipy.stats.norm
    tpr_low = float(beta.ppf(0.025, inside, runs - inside + 1)) if inside else 0.0
    fpr_high = float(beta.ppf(0.975, outside + 1, runs - outside)) if outside < runs else 1.0
    middle = [(inside + 0.5) / (runs + 1), (outside + 0.5) / (runs + 1)]
    mu = float(normal.ppf(middle[0]) - normal.ppf(middle[1]))
    low = float(normal.ppf(tpr_low) - normal.ppf(fpr_high)) if tpr_low > 0 and fpr_high < 1 else -math.inf
    return PrivacyAudit(mu, low, math.inf, claimed, 1, 2 * runs, 0, True, 0.0)
