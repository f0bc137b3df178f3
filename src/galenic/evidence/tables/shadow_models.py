"""Membership by shadow models (after Carlini et al. 2022, LiRA): the strongest general attack, for the price of several fits.

The attacker fits the same engine many times, on random halves of people it knows, and learns for each person how near the synthetic
rows come with and without that person. What the table under test does is then weighed between the two.
"""

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from galenic.evidence.tables.membership_attacks import (
    ALARM,
    AttackResult,
    distance_space,
    first_rows,
    nearest,
    rank_test,
    shuffle_rows,
)
from galenic.schema import Column, Finding, Floats, NotMeasured, Table

FEWEST, MOST_TARGETS, MOST_SYNTHETIC = 4, 600, 10_000
Refit = Callable[[Table], Table]  # training rows -> synthetic rows


def shadow_attack(
    make: Refit,
    members: Table,
    outsiders: Table,
    synthetic: Table,
    columns: tuple[Column, ...],
    rng: np.random.Generator,
    *,
    shadows: int,
) -> Finding | NotMeasured:
    """AUC of guessing membership by the likelihood ratio of shadow fits. members, outsiders: as many rows of each are used.

    It is run on a planted copy, too; if it misses that, its silence would mean nothing and it is not measured.
    """
    name = "privacy.shadow"
    size = min(members.rows, outsiders.rows)
    if shadows < FEWEST or size < 200:
        return NotMeasured(name, f"{shadows} shadow fits and {size} rows a side are too few; {FEWEST} and 200 are needed")
    halves = [first_rows(shuffle_rows(t, rng), size) for t in (members, outsiders)]
    pool = replace(members, frame=pa.concat_tables([t.frame for t in halves]))
    each = min(size, MOST_TARGETS // 2)
    targets = np.r_[np.arange(each), size + np.arange(each)]
    view = distance_space(pool, columns)
    points = view.points(replace(pool, frame=pool.frame.take(pa.array(targets))))

    def near(made: Table) -> Floats:
        return np.log(nearest(points, view.points(first_rows(made, MOST_SYNTHETIC)), 1)[0] + 1e-3)

    def tried(maker: Refit, under_test: Table) -> AttackResult:
        inside = np.stack([_half(2 * size, rng) for _ in range(shadows)])
        seen = np.stack([near(maker(replace(pool, frame=pool.frame.filter(pa.array(mask))))) for mask in inside])
        return rank_test(_likelihood_ratio(near(under_test), seen, inside[:, targets]), np.arange(2 * each) < each)

    planted = tried(lambda rows: rows, halves[0])
    if not planted.alarm:
        return NotMeasured(name, "the attack missed a planted copy: its silence would mean nothing")
    found = tried(make, synthetic)
    method = f"AUC of guessing membership by likelihood ratios of {shadows} shadow fits, {each} members and non-members"
    interval = (found.advantage - 1.96 * found.se, found.advantage + 1.96 * found.se)
    detail = {"p": found.p, "alarm": found.p_beyond < ALARM, "detectable": found.detectable, "planted": {"copy": planted.alarm}}
    return Finding(name, found.advantage, method, "lower", interval, detail=detail)


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
