"""Audit of a private mechanism: how well can the best white-box attacker infer whether a patient was in the data?

Canary patients are put in or left out by fair coins. The attacker knows everybody else, sees every noisy answer, and scores each
canary by its log-likelihood ratio. Under Gaussian differential privacy (Dong, Roth & Su 2022) the scores of present and absent
canaries are normal, mu apart in units of their standard deviation; rho-zCDP by Gaussian noise claims mu = sqrt(2 rho). Many
canaries are audited in one run (after Steinke, Nasr & Jagielski 2023); runs are added up.

A claim is called wrong by a lower bound at 99.9 %, and only if a second audit with fresh coins and noise says so, too (`confirm`): a true
claim is called wrong once in a million audits at most.
"""

import math
from collections.abc import Callable
from dataclasses import asdict, dataclass
from itertools import pairwise
from typing import Any

import numpy as np
import scipy
from numpy.typing import NDArray

# present (canaries,) -> (each canary's evidence of having been in, shape (canaries,); whether every answer was a whole number)
AuditedMechanism = Callable[[NDArray[np.bool_]], tuple[NDArray[np.float64], bool]]
USUAL, SURE = 1.96, 3.09  # standard errors of a 95 % interval, and of a one-sided bound at 99.9 %
SAME_NOISE, FAR = 0.1, 5.0  # correlation of two runs' scores, at least and in standard errors, that fresh noise does not reach


@dataclass(frozen=True)
class PrivacyAudit:
    """mu: measured, with a 95 % interval; certain: at least so much, at 99.9 %; claimed: the most that it may be. runs x canaries coin
    flips.

    exceeding: runs whose own 95 % bound lies above the claim. whole: all answers were whole numbers (the low bits of float noise
    tell counts apart, Mironov 2012). repeated: correlation of one run's noise with the next one's.
    """

    mu: float
    low: float
    high: float
    certain: float
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
        if self.certain > self.claimed:
            found.append(
                f"the attacker gains mu {self.mu:.3f} (at least {self.certain:.3f}), more than the claimed {self.claimed:.3f}"
            )
        if not self.whole:
            found.append("answers are not whole numbers, so the low bits of their noise tell counts apart")
        if self.repeated > max(SAME_NOISE, FAR / math.sqrt(max(self.canaries * (self.runs - 1), 1))):
            found.append("noise repeats from run to run")
        return tuple(found)

    @property
    def json(self) -> dict[str, Any]:
        """Its figures as JSON types; an unbounded value is null."""
        return {k: (None if isinstance(v, float) and not math.isfinite(v) else v) for k, v in asdict(self).items()}

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
            mu, error = _apart(inside[-1], outside[-1])
            exceeding += mu - USUAL * error > claimed
        left.append(scores)
    a, b = np.concatenate(inside), np.concatenate(outside)
    mu, error = _apart(a, b)
    bounds = (mu - USUAL * error, mu + USUAL * error, mu - SURE * error)
    return PrivacyAudit(mu, *bounds, claimed, canaries, runs, exceeding, all_whole, _repeated(left))


def confirm(audit: Callable[[], PrivacyAudit]) -> PrivacyAudit:
    """The audit, done again with fresh coins and noise if it does not hold: then the second counts. A mechanism of twice the claimed mu is
    missed by one of two audits of 24 runs x 400 canaries once in 10,000 times at most."""
    first = audit()
    return first if first.holds else audit()


def _apart(a: NDArray[np.float64], b: NDArray[np.float64]) -> tuple[float, float]:
    """(mu, its standard error): how far present scores lie above absent ones, in standard deviations."""
    if min(a.size, b.size) < 2:
        return 0.0, math.inf
    spread = math.sqrt((a.var(ddof=1) * (a.size - 1) + b.var(ddof=1) * (b.size - 1)) / (a.size + b.size - 2))
    if not spread:  # answers without any noise
        gap = float(a.mean() - b.mean())
        return (math.inf, 0.0) if gap else (0.0, 0.0)
    return float((a.mean() - b.mean()) / spread), math.sqrt(1 / a.size + 1 / b.size)


def _repeated(scores: list[NDArray[np.float64]]) -> float:
    """Correlation of consecutive runs' scores, canary by canary; their coins are fresh, so only their noise can repeat."""
    if len(scores) < 2 or scores[0].size < 8 or any(s.std() == 0 for s in scores):
        return 0.0
    return float(np.mean([np.corrcoef(s, t)[0, 1] for s, t in pairwise(scores)]))


def audit_events(inside: int, outside: int, runs: int, claimed: float, *, repeated: float = 0.0) -> PrivacyAudit:
    """The audit of an event that gives one canary away: it happened in `inside` of `runs` runs with the canary and in `outside` of as
    many without. mu is at least Phi^-1(true-positive rate) - Phi^-1(false-positive rate), with Clopper-Pearson bounds. repeated: share of
    runs with the answer of another one."""
    normal = scipy.stats.norm
    middle = [(inside + 0.5) / (runs + 1), (outside + 0.5) / (runs + 1)]
    mu = float(normal.ppf(middle[0]) - normal.ppf(middle[1]))
    low, certain = (_least_of_rates(inside, outside, runs, error) for error in (0.05, 0.001))
    return PrivacyAudit(mu, low, math.inf, certain, claimed, 1, 2 * runs, 0, True, repeated)


def _least_of_rates(inside: int, outside: int, runs: int, error: float) -> float:
    """The smallest mu that the two rates allow; half of the error for each."""
    beta, normal = scipy.stats.beta, scipy.stats.norm
    tpr_low = float(beta.ppf(error / 2, inside, runs - inside + 1)) if inside else 0.0
    fpr_high = float(beta.isf(error / 2, outside + 1, runs - outside)) if outside < runs else 1.0
    return float(normal.ppf(tpr_low) - normal.ppf(fpr_high)) if tpr_low > 0 and fpr_high < 1 else -math.inf
