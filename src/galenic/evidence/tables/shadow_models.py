"""Membership by shadow models (after Carlini et al. 2022, LiRA): the strongest general attack, for the price of several fits.

The attacker fits the same generator many times, on random halves of known people, and learns for each person how near the synthetic
rows come with and without that person. The distances of the table under test are then compared with both distributions.
"""

from dataclasses import dataclass, replace

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from galenic.errors import BudgetError
from galenic.evidence.request import Refit
from galenic.evidence.tables.binning import bin_column
from galenic.evidence.tables.membership_attacks import (
    ALARM,
    AttackResult,
    DistanceSpace,
    distance_space,
    first_rows,
    nearest,
    rank_test,
    shuffle_rows,
)
from galenic.records import Source
from galenic.schema import Finding, Floats, NotMeasured, Table

MIN_SHADOWS, MIN_ROWS = 4, 200
MAX_TARGETS, MAX_SYNTHETIC = 600, 10_000
MAX_SOURCE_ROWS = 20_000  # of each side
NAME = "privacy.shadow"


def attack_sources(
    refit: Refit, halves: tuple[Source, Source], synthetic: Table, rng: np.random.Generator, shadows: int
) -> Finding | NotMeasured:
    """The attack on synthetic rows, with samples of the training and held-out rows (halves). NotMeasured where a shadow fit cannot
    pay for its measurements: half of the people can be too few for the same price."""
    train, test = (half.sample(MAX_SOURCE_ROWS, rng).table(synthetic.columns) for half in halves)
    try:
        return shadow_attack(refit, train, test, synthetic, rng, shadows=shadows)
    except BudgetError as error:
        return NotMeasured(NAME, f"half of the people are too few for a fit of the same price: {error}")


def shadow_attack(
    refit: Refit, members: Table, outsiders: Table, synthetic: Table, rng: np.random.Generator, *, shadows: int
) -> Finding | NotMeasured:
    """AUC of guessing membership by the likelihood ratio of shadow fits. members, outsiders: as many rows of each are used.

    The attack also runs on a planted copy. If it misses that, a low AUC would mean nothing, and it is not measured.
    """
    columns = tuple(bin_column(members, c) for c in synthetic.columns)
    size = min(members.rows, outsiders.rows)
    if shadows < MIN_SHADOWS or size < MIN_ROWS:
        return NotMeasured(
            NAME, f"{shadows} shadow fits and {size} rows a side are too few; {MIN_SHADOWS} and {MIN_ROWS} are needed"
        )
    halves = [first_rows(shuffle_rows(t, rng), size) for t in (members, outsiders)]
    pool = replace(members, frame=pa.concat_tables([t.frame for t in halves]))
    attack = _ShadowAttack(pool, size, distance_space(pool, columns), shadows, rng)
    planted = attack.run(lambda rows: rows, halves[0])
    if not planted.alarm:
        return NotMeasured(NAME, "the attack missed a planted copy: its silence would mean nothing")
    result = attack.run(refit, synthetic)
    each = attack.targets.size // 2
    method = f"AUC of guessing membership by likelihood ratios of {shadows} shadow fits, {each} members and non-members"
    interval = (result.advantage - 1.96 * result.se, result.advantage + 1.96 * result.se)
    detail = {
        "p": result.p,
        "alarm": result.p_beyond < ALARM,
        "detectable": result.detectable,
        "planted": {"copy": planted.alarm},
    }
    return Finding(NAME, result.advantage, method, "lower", interval, detail=detail)


@dataclass
class _ShadowAttack:
    """Rows that shadow fits are trained on, half at a time. pool: `size` members, then as many outsiders."""

    pool: Table
    size: int
    space: DistanceSpace
    shadows: int
    rng: np.random.Generator

    def __post_init__(self) -> None:
        each = min(self.size, MAX_TARGETS // 2)
        self.targets = np.r_[np.arange(each), self.size + np.arange(each)]
        self.points = self.space.points(self._rows(pa.array(self.targets)))

    def _rows(self, places: pa.Array) -> Table:
        return replace(self.pool, frame=self.pool.frame.take(places))

    def _distances(self, synthetic: Table) -> Floats:
        """Log distance of each target to its nearest synthetic row."""
        among = self.space.points(first_rows(synthetic, MAX_SYNTHETIC))
        return np.asarray(np.log(nearest(self.points, among, 1)[0] + 1e-3))

    def run(self, refit: Refit, under_test: Table) -> AttackResult:
        """The attack on one table, by shadow fits of one generator."""
        inside = np.stack([_half(2 * self.size, self.rng) for _ in range(self.shadows)])
        halves = (replace(self.pool, frame=self.pool.frame.filter(pa.array(mask))) for mask in inside)
        seen = np.stack([self._distances(refit(half)) for half in halves])
        ratio = _likelihood_ratio(self._distances(under_test), seen, inside[:, self.targets])
        return rank_test(ratio, np.arange(self.targets.size) < self.targets.size // 2)


def _half(n: int, rng: np.random.Generator) -> NDArray[np.bool_]:
    mask = np.zeros(n, dtype=np.bool_)
    mask[rng.permutation(n)[: n // 2]] = True
    return mask


def _likelihood_ratio(observed: Floats, seen: Floats, inside: NDArray[np.bool_]) -> Floats:
    """Log likelihood of each target's distance if it was in, less if it was not; normal, each with its own means and one spread for
    all, because shadows are few. A target that was always in, or never, gets what the others have on average. Shapes (targets,),
    (shadows, targets), (shadows, targets)."""
    count = np.stack([(~inside).sum(axis=0), inside.sum(axis=0)])
    total = np.stack([np.where(~inside, seen, 0).sum(axis=0), np.where(inside, seen, 0).sum(axis=0)])
    mean = total / np.maximum(count, 1)
    both = (count > 0).all(axis=0)
    gap = float(np.mean(mean[1, both] - mean[0, both])) if both.any() else 0.0
    mean[1] = np.where(count[1] > 0, mean[1], mean[0] + gap)
    mean[0] = np.where(count[0] > 0, mean[0], mean[1] - gap)
    spread = float(np.sqrt(np.mean((seen - np.where(inside, mean[1], mean[0])) ** 2))) + 1e-6
    ratio: Floats = ((observed - mean[0]) ** 2 - (observed - mean[1]) ** 2) / (2 * spread**2)
    return ratio
