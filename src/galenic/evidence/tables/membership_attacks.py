"""Membership attacks and copy detection on synthetic rows, each shown to work on planted leaks before it may say "clean".

Every attack gives each real row a score. Training rows (members) and held-out rows (non-members) are exchangeable unless
the synthetic rows remember the training rows, so a rank or exact test between the two groups has a known false-alarm rate.
"""

from dataclasses import dataclass, field, replace

import numpy as np
import pyarrow as pa
import scipy  # loads its parts when they are used
from numpy.typing import NDArray

from galenic.schema import Column, Table, numbers

Floats32 = NDArray[np.float32]
Floats = NDArray[np.float64]

ALARM = 0.001  # per attack; the two that tolerate nothing raise an alarm on at most 0.2 % of clean data sets
TOLERATED = (
    0.55  # AUC that ranks may reach: what epsilon 1 itself permits (mu 0.17, AUC 0.548), far below any use to an attacker
)
MISCALIBRATED = 1e-5  # fresh patients below this p mean that the attack itself is wrong
MOST_TARGETS = 2_000  # members, and as many non-members, that the distance attacks try
MOST_SYNTHETIC = 40_000
NEIGHBOURS = 5
MOST_DIMENSIONS = 200  # of a category
NEAR = 0.02  # a near copy differs by less than this in mean per-column distance from the real row,
NEARER = 0.25  # and is closer than this share of the distance to the nearest other person
OUTLIER_SHARE = 0.1  # share of targets that are farthest from everybody else: the likeliest to be remembered
ATTACKS = ("nearest", "density", "outlier", "exact", "near")
POWER = 0.8  # of the cases in which a leak of the printed size raises the alarm


@dataclass(frozen=True)
class AttackResult:
    """One attack on one data set. advantage: AUC for rank attacks, excess share of members hit for copy attacks.
    p: probability of at least this under no leak. se: standard error of the advantage under no leak.
    p_beyond: the same under the most that is tolerated, which for copies is none at all. detectable: the smallest advantage that
    raises the alarm in four of five cases."""

    advantage: float
    p: float
    se: float
    p_beyond: float
    detectable: float

    @property
    def alarm(self) -> bool:
        """Whether the attack found a leak beyond what is tolerated."""
        return self.p_beyond < ALARM


@dataclass(frozen=True)
class DistanceSpace:
    """Rows as points: numbers as ranks among real rows in [0, 1], categories one-hot / sqrt 2; missing is a level of its own."""

    columns: tuple[Column, ...]
    sorted_values: dict[str, Floats]
    categories: dict[str, dict[str, int]]

    def points(self, table: Table) -> Floats32:
        """Shape (rows, dimensions); squared distance is the sum over columns of squared differences, 1 for a mismatch."""
        parts = []
        for c in self.columns:
            if c.binned:
                values = numbers(table, c)
                missing = np.isnan(values)
                ladder = self.sorted_values[c.name]
                rank = (np.searchsorted(ladder, values, "left") + np.searchsorted(ladder, values, "right")) / (
                    2 * max(ladder.size, 1)
                )
                parts.append(np.where(missing, 0.5, rank)[:, None])
                parts.append(missing[:, None] * 0.87)
            else:
                parts.append(_one_hot(table.frame[c.name], self.categories[c.name]))
        return np.concatenate(parts, axis=1).astype(np.float32)


def _one_hot(array: pa.ChunkedArray, place: dict[str, int]) -> Floats:
    code = np.array([place.get(v, 0) if v is not None else 1 for v in array.to_pylist()])
    out = np.zeros((code.size, max(place.values(), default=1) + 1))
    out[np.arange(code.size), code] = np.sqrt(0.5)
    return out


def distance_space(real: Table, columns: tuple[Column, ...]) -> DistanceSpace:
    """The space in which distances between rows are measured, from real rows."""
    ladders = {c.name: np.sort(numbers(real, c)[~np.isnan(numbers(real, c))]) for c in columns if c.binned}
    categories = {}
    for c in columns:
        if not c.binned:
            levels = sorted(v for v in set(real.frame[c.name].to_pylist()) if v is not None)
            # beyond so many, several share a dimension: two codes then look alike in one case of so many
            categories[c.name] = {v: i % MOST_DIMENSIONS + 2 for i, v in enumerate(levels)}
    return DistanceSpace(columns, ladders, categories)


def nearest(points: Floats32, among: Floats32, k: int) -> tuple[Floats, Floats]:
    """Distances from each point to its nearest and its k-th nearest among others, each of shape (points,); in blocks of
    bounded memory."""
    first, kth = np.empty(points.shape[0]), np.empty(points.shape[0])
    norms = (among * among).sum(1)
    k = min(k, among.shape[0])
    for start in range(0, points.shape[0], 256):
        block = points[start : start + 256]
        d2 = norms[None] - 2 * block @ among.T
        own = (block * block).sum(1)
        first[start : start + 256] = np.sqrt(np.maximum(d2.min(axis=1) + own, 0))
        if k > 1:
            kth[start : start + 256] = np.sqrt(np.maximum(np.partition(d2, k - 1, axis=1)[:, k - 1] + own, 0))
    return first, (kth if k > 1 else first)


def row_keys(table: Table, columns: tuple[Column, ...]) -> NDArray[np.object_]:
    """One key per row; equal keys are equal rows in every column."""
    lists = [table.frame[c.name].to_pylist() for c in columns]
    return np.fromiter((hash(row) for row in zip(*lists, strict=True)), dtype=np.int64, count=table.rows).astype(object)


@dataclass
class AttackPool:
    """Members and non-members, prepared once, to be tried against any number of synthetic tables.

    members: training rows; outsiders: held-out rows; reference: other held-out rows, known to the attacker; spare: still
    other held-out rows, which count as non-members unless they are tried as synthetic rows themselves.
    """

    columns: tuple[Column, ...]
    members: Table
    outsiders: Table
    reference: Table
    spare: Table | None = None
    space: DistanceSpace = field(init=False)

    def __post_init__(self) -> None:
        tables = [self.members, self.outsiders, self.reference, *([self.spare] if self.spare else [])]
        # the yardstick comes from all of them: one made from members alone would fit members better
        frame = pa.concat_tables([t.frame for t in tables])
        self.space = distance_space(replace(self.members, frame=frame), self.columns)
        m = min(self.members.rows, self.outsiders.rows, MOST_TARGETS)
        self.targets = np.concatenate(
            [self.space.points(first_rows(self.members, m)), self.space.points(first_rows(self.outsiders, m))]
        )
        self.is_member = np.arange(2 * m) < m
        self.nearest_other, self.from_reference = nearest(self.targets, self.space.points(self.reference), NEIGHBOURS)
        self.outliers = self.nearest_other >= np.quantile(self.nearest_other, 1 - OUTLIER_SHARE)
        # every held-out row is a non-member; a hash join is cheap enough to use them all
        keys = np.concatenate([row_keys(t, self.columns) for t in tables])
        self.key_is_member = np.arange(keys.size) < self.members.rows
        self.key_is_spare = np.arange(keys.size) >= keys.size - (self.spare.rows if self.spare else 0)
        # only rows that are unique among real ones: a common row appears in any good synthetic table
        _values, first, counts = np.unique(keys, return_index=True, return_counts=True)
        self.unique = first[counts == 1]
        self.keys = keys

    def attack(self, synthetic: Table, *, is_spare: bool = False) -> dict[str, AttackResult]:
        """Every attack's outcome on one synthetic table. is_spare: the rows tried are the spare ones."""
        made = first_rows(synthetic, MOST_SYNTHETIC)
        points = self.space.points(made)
        gap1, gap5 = nearest(self.targets, points, NEIGHBOURS)
        ratio = np.log(self.from_reference + 1e-6) - np.log(gap5 + 1e-6)
        ratio += np.log(self.from_reference + 1e-6) - np.log(gap1 + 1e-3)
        near = gap1 < np.minimum(NEAR * np.sqrt(len(self.columns)), NEARER * self.nearest_other)
        held = set(row_keys(synthetic, self.columns).tolist())
        tried = self.unique[~self.key_is_spare[self.unique]] if is_spare else self.unique
        hit = np.fromiter((self.keys[i] in held for i in tried), dtype=np.bool_, count=tried.size)
        return {
            "nearest": rank_test(-gap1, self.is_member),
            "density": rank_test(ratio, self.is_member),
            "outlier": rank_test(self.nearest_other[self.outliers] - gap1[self.outliers], self.is_member[self.outliers]),
            "exact": _hit_test(hit, self.key_is_member[tried]),
            "near": _hit_test(near, self.is_member),
        }


def first_rows(table: Table, most: int) -> Table:
    """Its first rows, at most so many."""
    return table if table.rows <= most else replace(table, frame=table.frame.slice(0, most))


def rank_test(score: Floats, member: NDArray[np.bool_]) -> AttackResult:
    """Mann-Whitney: AUC of the score for membership, one-sided p with tie correction."""
    m, n = int(member.sum()), int((~member).sum())
    ranks = scipy.stats.rankdata(score)
    auc = (ranks[member].sum() - m * (m + 1) / 2) / (m * n)
    _values, ties = np.unique(score, return_counts=True)
    total = m + n
    correction = float((ties**3 - ties).sum()) / (total * (total - 1))
    se = float(np.sqrt(max(total + 1 - correction, 1e-12) / (12 * m * n)))
    normal = scipy.stats.norm
    p, p_beyond = float(normal.sf((auc - 0.5) / se)), float(normal.sf((auc - TOLERATED) / se))
    return AttackResult(float(auc), p, se, p_beyond, min(TOLERATED + _detectable_excess(se), 1.0))


def _detectable_excess(se: float) -> float:
    """How far above what is tolerated an advantage must lie to raise the alarm with POWER."""
    return float(scipy.stats.norm.isf(ALARM) + scipy.stats.norm.ppf(POWER)) * se


def _hit_test(hit: NDArray[np.bool_], member: NDArray[np.bool_]) -> AttackResult:
    """Fisher's exact test (hypergeometric): are members hit more often than non-members?"""
    m, n, hits, inside = int(member.sum()), int((~member).sum()), int(hit.sum()), int(hit[member].sum())
    p = float(scipy.stats.hypergeom.sf(inside - 1, m + n, m, hits)) if hits else 1.0
    rate = hits / max(m + n, 1)
    se = float(np.sqrt(max(rate * (1 - rate), 1e-12) * (1 / max(m, 1) + 1 / max(n, 1))))
    # without hits among outsiders the exact test needs log2(1 / ALARM) hits among as many members
    fewest = np.log(1 / ALARM) / np.log(1 + n / m) / m if m and n else 1.0
    return AttackResult(
        inside / max(m, 1) - (hits - inside) / max(n, 1), p, se, p, float(min(max(_detectable_excess(se), fewest), 1.0))
    )


def shuffle_rows(table: Table, rng: np.random.Generator) -> Table:
    """Rows in random order."""
    return replace(table, frame=table.frame.take(pa.array(rng.permutation(table.rows))))


def noisy_copy(table: Table, columns: tuple[Column, ...], rng: np.random.Generator, *, share: float = 0.01) -> Table:
    """A copy with each number moved by normal noise of `share` of its standard deviation, and each category of `share` of
    the rows swapped with another row's: what a careless "anonymisation" looks like."""
    frame = table.frame
    for c in columns:
        place = frame.column_names.index(c.name)
        if c.binned and c.kind == "numeric":
            values = numbers(table, c)
            values = values + rng.normal(0, share, values.size) * np.nanstd(values)
            frame = frame.set_column(place, c.name, pa.array(values, from_pandas=True))
        else:
            order = np.arange(table.rows)
            swap = np.flatnonzero(rng.random(table.rows) < share)
            order[swap] = rng.permutation(swap)
            frame = frame.set_column(place, c.name, frame[c.name].take(pa.array(order)))
    return replace(table, frame=frame)


def leak_rows(clean: Table, members: Table, rng: np.random.Generator, *, share: float = 0.01) -> Table:
    """A clean table in which `share` of the rows are replaced by rows of members."""
    leaked = max(int(share * clean.rows), 1)
    stolen = members.frame.take(pa.array(rng.choice(members.rows, leaked, replace=leaked > members.rows)))
    return replace(
        clean,
        frame=pa.concat_tables(
            [clean.frame.slice(0, clean.rows - leaked), stolen.select(clean.frame.column_names).cast(clean.frame.schema)]
        ),
    )


def attack_planted_leaks(
    pool: AttackPool, carrier: Table, clean: Table, rng: np.random.Generator
) -> dict[str, dict[str, AttackResult]]:
    """Outcomes on three planted leaks (copy, copy with 1 % noise, 1 % of rows leaked) and on clean held-out rows.

    carrier: the rows in which 1 % are leaked; the ones under test, so that the answer is about them. Which rows leak is
    chance: the outcome is the one that two of three draws agree on.
    clean: real rows of patients that are neither members nor outsiders; the spare ones of the pool if it has any.
    """
    members = pool.members
    leaks = [pool.attack(leak_rows(carrier, members, rng)) for _ in range(2)]
    if any_alarm(leaks[0]) != any_alarm(leaks[1]):
        third = pool.attack(leak_rows(carrier, members, rng))
        leaks = [o for o in leaks if any_alarm(o) == any_alarm(third)]
    return {
        "copy": pool.attack(members),
        "noise": pool.attack(noisy_copy(members, pool.columns, rng)),
        "leak": leaks[0],
        "clean": pool.attack(clean, is_spare=pool.spare is clean),
    }


def any_alarm(outcomes: dict[str, AttackResult]) -> bool:
    """Whether any attack found a leak."""
    return any(o.alarm for o in outcomes.values())


def miscalibrated(outcomes: dict[str, AttackResult]) -> bool:
    """Whether fresh patients look like a leak beyond any chance: then the attack is wrong, not the data."""
    return any(o.p < MISCALIBRATED for o in outcomes.values())
