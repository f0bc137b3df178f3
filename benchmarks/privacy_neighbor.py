"""Effect of one patient on the public outputs of a private run at epsilon 1, and the exact delta of the split.

PRIVACY_PAIRS pairs of neighboring tables (default 2,000; one of each pair has one patient more) go through preparation, fit and sampling.
In the family "described" the table goes through `galenic table describe`, its file and --buy first. An attacker knows both tables and the
random generator that a caller may pass, and sees the synthetic rows, the described columns, and the error with its message, if any. Other
files of a release are compared by tests/stories/test_neighboring_tables.py.

The attack (statistic, sign and threshold, a learned linear one included) is chosen on one half of the pairs and
scored on the other; its false positives and negatives bound the mu of Gaussian differential privacy from below. delta: exact divergence
of two counts with Gaussian noise, relative to the file, for the numbers of training patients that the split was seen to draw.
"""

import math
import os
from concurrent.futures import ProcessPoolExecutor
from dataclasses import replace
from functools import partial
from itertools import starmap

import numpy as np
import pyarrow as pa
from scipy import stats

from galenic import records
from galenic.errors import GalenicError
from galenic.generators import GENERATORS, SynthesisRequest
from galenic.generators.tables import prepare_table
from galenic.privacy import ColumnOptions, rho_of, temporary_ledger
from galenic.records.description import from_toml
from galenic.schema import Column, no_progress

PAIRS = int(os.environ.get("PRIVACY_PAIRS", "2000"))
EPSILON, DELTA = 1.0, 1e-9
CLAIMED = math.sqrt(2 * float(rho_of(EPSILON, DELTA)))
ERROR = 0.05  # of all lower bounds together
KNOWN = 7  # state of the random generator that the attacker knows
DECLARED = (
    Column("pid", "identifier", role="patient"),
    Column("sex", "category", categories=("f", "m"), other=False),
    Column("score", "integer", low=0, high=49),
)
VALUES = {"sex": ["f", "m"], "score": [str(i) for i in range(50)], "ward": [f"w{i:02d}" for i in range(60)]}
Rows = dict[str, list[str]]


def people(n: int, rng: np.random.Generator) -> Rows:
    """Columns of n ordinary patients."""
    return {"pid": [f"p{i}" for i in range(n)], "sex": rng.choice(["f", "m"], n).tolist(),
            "score": [str(v) for v in rng.integers(0, 50, n)]}  # fmt: skip


def with_patient(rows: Rows, *, first: bool = False, **more: str) -> Rows:
    """The rows with one patient more, at the end or at the beginning."""
    extra = {"pid": "x", "sex": "f", "score": "7", "ward": "w00", **more}
    return {name: [extra[name], *values] if first else [*values, extra[name]] for name, values in rows.items()}


def pair(family: str, number: int) -> tuple[Rows, Rows, ColumnOptions]:
    """(a table, the same with one patient more, options of the caller)."""
    n = 1_000 + number % 10
    rows = people(n, np.random.default_rng(number))
    if family == "size":
        rows["sex"] = ["f"] * n
        return rows, with_patient(rows), ColumnOptions(DECLARED)
    if family == "others":  # always the same patients: whoever knows the split knows most of the counts
        rows = people(1_000, np.random.default_rng(1))
        return rows, with_patient(rows, first=True), ColumnOptions(DECLARED)
    if family == "described":
        return rows, with_patient(rows, score="tiny"), ColumnOptions(buy=True)
    if family == "word":
        return rows, with_patient(rows, score="tiny"), ColumnOptions()
    if family == "extreme":
        return rows, with_patient(rows, score="1000000"), ColumnOptions()
    if family == "decimals":
        return rows, with_patient(rows, score="7.123456"), ColumnOptions()
    rows["ward"] = [f"w{1 + i % 59:02d}" for i in range(n)]
    if family == "order":
        return rows, with_patient(rows, first=True, ward="w59"), ColumnOptions(drop=("score",))
    return rows, with_patient(rows, ward="w00"), ColumnOptions(drop=("score",))


FAMILIES = ("size", "others", "described", "word", "extreme", "decimals", "order", "rare")


def public_outputs(rows: Rows, options: ColumnOptions) -> np.ndarray:
    """Numbers that describe everything that leaves: the error, columns, their kinds, levels and bounds, and counts of synthetic rows."""
    source = records.in_memory(pa.table(rows))
    if options.buy:
        options = replace(options, description=from_toml(records.to_toml(records.describe(source))))
    request = SynthesisRequest(epsilon=EPSILON, delta=DELTA, population="pairs", column_options=options)
    with temporary_ledger() as ledger:
        ledger.declare("pairs", epsilon=EPSILON, delta=DELTA, actor="bench")
        budget = ledger.reserve("pairs", epsilon=EPSILON, delta=DELTA, purpose="bench", actor="bench")
        try:
            data = prepare_table(source, request, np.random.default_rng(KNOWN))
            model = GENERATORS["table"](request)
            model.fit(data, budget, no_progress)
            made = model.sample()
        except GalenicError as error:
            return np.array([1.0 + len(type(error).__name__), float(len(str(error))), *[0.0] * (WIDTH - 2)])
    numbers = [0.0, float(made.rows), float(len(data.dropped))]
    for name, known in VALUES.items():
        column = next((c for c in made.columns if c.name == name), None)
        values = [] if column is None else [str(v) for v in made.frame[name].to_pylist()]
        found = dict(zip(*np.unique(values, return_counts=True), strict=True)) if values else {}
        numbers += [float(found.get(v, 0)) for v in known]
        numbers += [0.0] * 6 if column is None else described(column, values)
    return np.array(numbers)


def described(column: Column, values: list[str]) -> list[float]:
    """A column as a release describes it: kind, levels, bounds, and what else is among its values."""
    edges = column.edges or (0.0,)
    other = sum(v not in set(VALUES[column.name]) for v in values)
    return [float(len(column.kind)), float(column.levels), edges[0], edges[-1], float(column.step or 0), float(other)]


WIDTH = 3 + sum(len(v) + 6 for v in VALUES.values())


def run_pair(family: str, number: int) -> tuple[np.ndarray, np.ndarray]:
    """Public outputs without and with the additional patient."""
    without, with_one, options = pair(family, number)
    return public_outputs(without, options), public_outputs(with_one, options)


def bound(with_one: np.ndarray, without: np.ndarray, at: float, error: float) -> float:
    """Lower bound of mu from scores: a patient is suspected above the threshold."""
    hits, alarms = int((with_one > at).sum()), int((without > at).sum())
    right = stats.beta.ppf(error / 2, hits, with_one.size - hits + 1) if hits else 0.0
    wrong = stats.beta.ppf(1 - error / 2, alarms + 1, without.size - alarms) if alarms < without.size else 1.0
    return float(stats.norm.ppf(right) - stats.norm.ppf(wrong)) if right > 0 and wrong < 1 else 0.0


def attack(found: list[tuple[np.ndarray, np.ndarray]]) -> float:
    """Lower bound of mu by the attack that does best on the first half of the pairs, on the other half."""
    without, with_one = (np.stack(side) for side in zip(*found, strict=True))
    half = len(found) // 2
    spread = np.r_[without[:half], with_one[:half]].std(axis=0) + 1e-9
    learned = (with_one[:half].mean(axis=0) - without[:half].mean(axis=0)) / spread**2
    directions = np.c_[np.eye(without.shape[1]), -np.eye(without.shape[1]), learned]
    scores0, scores1 = without @ directions, with_one @ directions
    best = (-math.inf, 0, 0.0)
    for j in range(directions.shape[1]):
        train = np.unique(np.r_[scores0[:half, j], scores1[:half, j]])
        for at in np.unique(np.quantile(train, np.linspace(0, 1, 40))) - 1e-12:
            best = max(best, (bound(scores1[:half, j], scores0[:half, j], at, 0.3), j, float(at)))
    _, j, at = best
    return bound(scores1[half:, j], scores0[half:, j], at, ERROR / len(FAMILIES))


def training_sizes(n: int, draws: int = 300) -> np.ndarray:
    """Probabilities of 0 to n training patients: binomial if the seen numbers vary so, otherwise as seen."""
    rows = people(n, np.random.default_rng(0))
    request = SynthesisRequest(column_options=ColumnOptions(DECLARED))
    seen = np.array([
        prepare_table(records.in_memory(pa.table(rows)), request, np.random.default_rng(KNOWN)).sizes["train_rows"]
        for _ in range(draws)
    ]).astype(int)  # fmt: skip
    dispersion = draws * seen.var() / (n * 0.21)
    fits = 1e-5 < stats.chi2.cdf(dispersion, draws - 1) < 1 - 1e-5 and abs(seen.mean() - 0.7 * n) < 5 * math.sqrt(
        n * 0.21 / draws
    )
    return stats.binom.pmf(np.arange(n + 1), n, 0.7) if fits else np.bincount(seen, minlength=n + 1) / draws


def exact_delta(n: int, epsilon: float, mu: float) -> float:
    """delta of two noisy counts at epsilon between n patients with one value and the same with one more who has another; either way."""
    sigma = 1 / mu
    step = sigma / 20
    one = np.arange(-9 * sigma, n + 9 * sigma, step)
    two = np.arange(-9 * sigma, 1 + 9 * sigma, step)
    normal = partial(stats.norm.pdf, scale=sigma)
    fewer, more = training_sizes(n), training_sizes(n + 1)
    at = np.arange(n + 2)
    inside = at / (n + 1)  # chance that one patient is among so many of n + 1
    centers = normal(one[:, None] - np.arange(-1, n + 2)[None])  # of -1 to n + 1 patients
    none, added = normal(two), normal(two - 1)
    p = np.outer(centers[:, 1 : n + 2] @ fewer, none)
    q = np.outer(centers[:, 1:] @ (more * (1 - inside)), none) + np.outer(centers[:, :-1] @ (more * inside), added)
    weight = math.exp(epsilon)
    return float(max(np.maximum(q - weight * p, 0).sum(), np.maximum(p - weight * q, 0).sum()) * step**2)


def worst_delta(epsilon: float) -> tuple[float, int]:
    """(largest delta over the claimed one, its n), for n that end in every digit."""
    mu = math.sqrt(2 * float(rho_of(epsilon, DELTA)))
    return max((exact_delta(n, epsilon, mu) / DELTA, n) for n in range(50, 60))


def measure(row) -> list[dict]:
    """The rows of privacy.neighbor."""
    each = max(PAIRS // len(FAMILIES), 4)
    with ProcessPoolExecutor(os.cpu_count()) as pool:
        found = {f: list(pool.map(partial(run_pair, f), range(each), chunksize=8)) for f in FAMILIES}
    bounds = {family: round(attack(pairs), 3) for family, pairs in found.items()}
    worst = max(bounds, key=lambda f: bounds[f])
    seeing = smallest_visible(each // 2)
    deltas = {epsilon: worst_delta(epsilon) for epsilon in (1.0, 3.0)}
    ratio = max(d for d, _ in deltas.values())
    words = ", ".join(f"n = {n} at epsilon {e:g}: {d:.3g}" for e, (d, n) in deltas.items())
    return [
        row("privacy.neighbor", "largest lower bound (95 %) of the mu that an attacker finds in public outputs at epsilon 1 "
            f"({each * len(FAMILIES)} pairs; {bounds}; worst {worst}; a mu of {seeing:.2f} would be seen in half of the runs)",
            "mu", max(bounds.values()), f"<= {CLAIMED:.3f} (claimed)", max(bounds.values()) <= CLAIMED),
        row("privacy.neighbor.split", f"exact delta relative to the file over the claimed {DELTA:g} ({words})",
            "times", float(f"{ratio:.3g}"), "<= 1", ratio <= 1),
    ]  # fmt: skip


def smallest_visible(n: int) -> float:
    """mu at which the bound of an attack with n scored pairs exceeds the claim in half of the runs."""
    scores = stats.norm.ppf((np.arange(n) + 0.5) / n)
    tried = starmap(lambda k, _: k / 20, enumerate(range(80)))
    return next((mu for mu in tried if bound(scores + mu, scores, mu / 2, ERROR / len(FAMILIES)) > CLAIMED), math.inf)
