"""Expected quality of a private fit from the size of the table, before anything is spent."""

import math
from dataclasses import dataclass, replace
from statistics import NormalDist

from galenic.privacy import rho_of
from galenic.schema import Column, Finding, Report

TRAINING_SHARE = 0.7  # the rest is held out for the evaluation
DEFAULT_LEVELS = 8.0  # values or bins of a column, where nothing is known of them
MOST_LEVELS = 21  # of a column, as the evaluation counts them
SPREAD = 0.5  # standard deviation of the logarithm of measured over expected, on data sets that were left out
LIKELY_REFUSED = 0.5  # chance of acceptance below which the user is asked
LIKELY = 0.8  # chance of acceptance that a recommendation aims at
MOST_EPSILON, MOST_ROWS = 64.0, 10_000_000

# Least squares on the logarithm of the error: constant, log signal, log columns, bought, log levels. 276 fits of tables with 1,000 to
# 20,000 patients and 5 to 28 columns at epsilon 0.3 to 10 of four data sets; fits that stopped for want of budget count as far off
# (docs/log.md; benchmarks/expected_quality.py measures it again).
_SINGLES = (-1.477, -0.642, 0.382, 0.385, 0.727)
_PAIRS = (-1.225, -0.606, 0.342, 0.377, 0.796)
_PAIR_FLOOR = (-3.180, 1.718)  # log of the distance of two samples of real pairs: constant, log levels


@dataclass(frozen=True)
class TableSize:
    """Size of a table for an estimate. patients: rows that are used, of all patients. levels: average number of values or bins of a
    column. bought: share of the columns whose kinds, bounds or categories are paid from the budget."""

    patients: int
    columns: int
    levels: float = DEFAULT_LEVELS
    bought: float = 1.0


@dataclass(frozen=True)
class ExpectedQuality:
    """Expected distances between synthetic rows and held-out patients, beyond what two samples of real rows differ (0 to 1).

    singles, pairs: of single columns and of pairs of columns, the findings fidelity.tvd1.excess and fidelity.tvd2.excess. Half of all
    measured values lie within a factor of 1.4, nine of ten within 2.3.
    """

    singles: float
    pairs: float

    def chance(self, limits: dict[str, float]) -> float:
        """Chance that both distances satisfy their limits (by name of the finding), 0 to 1."""
        expected = {"fidelity.tvd1.excess": self.singles, "fidelity.tvd2.excess": self.pairs}
        chances = [
            NormalDist(math.log(value), SPREAD).cdf(math.log(max(limits[name], 1e-6)))
            for name, value in expected.items()
            if name in limits
        ]
        return min(chances, default=1.0)


def expected_quality(size: TableSize, epsilon: float, *, delta: float = 1e-9, cap: int = 1) -> ExpectedQuality:
    """Expected quality of a fit to a table of that size. cap: most rows of one patient; noise grows with it.

    >>> small = expected_quality(TableSize(3_000, 11), epsilon=1.0)
    >>> large = expected_quality(TableSize(30_000, 11), epsilon=1.0)
    >>> large.pairs < small.pairs / 2
    True
    """
    training = max(TRAINING_SHARE * size.patients, 1.0)
    signal = math.log(training * math.sqrt(float(rho_of(epsilon, delta))) / cap + 1e-9)
    levels = math.log(max(size.levels, 1.5))
    features = (1.0, signal, math.log(max(size.columns, 1)), size.bought, levels)
    spread = math.sqrt(1 / training + 1 / max((1 - TRAINING_SHARE) * size.patients, 1.0))
    single_floor = 0.4 * math.sqrt(math.exp(levels)) * spread
    pair_floor = math.exp(_PAIR_FLOOR[0] + _PAIR_FLOOR[1] * levels) * spread
    return ExpectedQuality(
        _beyond(single_floor, sum(a * b for a, b in zip(_SINGLES, features, strict=True))),
        _beyond(pair_floor, sum(a * b for a, b in zip(_PAIRS, features, strict=True))),
    )


def _beyond(floor: float, log_error: float) -> float:
    """Increase that an error causes in the distance between two samples of real rows; the two add in squares."""
    return max(math.hypot(floor, min(math.exp(log_error), 1.0)) - floor, 1e-4)


@dataclass(frozen=True)
class ExpectedOutcome:
    """Estimate from the operator's own file. It is internal: the number of rows is not public.

    chance: that the policy accepts, 0 to 1. limits: of the policy, by finding. many: columns with many different values.
    """

    size: TableSize
    quality: ExpectedQuality
    chance: float
    limits: dict[str, float]
    many: tuple[str, ...]

    @property
    def refusal_is_likely(self) -> bool:
        """Whether the user should be asked before budget is spent."""
        return self.chance < LIKELY_REFUSED

    def corrected(self, report: Report) -> "ExpectedOutcome":
        """The outcome with its limits scaled by what was measured after the run, so that advice aims at what this table needs."""
        expected = {"fidelity.tvd1.excess": self.quality.singles, "fidelity.tvd2.excess": self.quality.pairs}
        found = {name: report.get(name) for name in self.limits}
        ratio = {n: f.value / expected[n] if isinstance(f, Finding) else 1.0 for n, f in found.items()}
        return replace(self, limits={name: limit / max(ratio[name], 0.2) for name, limit in self.limits.items()})


def least_epsilon(size: TableSize, limits: dict[str, float], *, delta: float = 1e-9, cap: int = 1) -> float | None:
    """Smallest epsilon, rounded up, at which a table of that size is likely to be accepted; None where none up to 64 is."""
    choices = [x * 10.0**power for power in (-1, 0, 1) for x in (1, 1.5, 2, 3, 4, 6, 8)]
    for epsilon in (round(e, 2) for e in choices if e <= MOST_EPSILON):
        if expected_quality(size, epsilon, delta=delta, cap=cap).chance(limits) >= LIKELY:
            return epsilon
    return None


def least_patients(
    size: TableSize, epsilon: float, limits: dict[str, float], *, delta: float = 1e-9, cap: int = 1
) -> int | None:
    """Smallest number of patients, rounded up to two digits, at which acceptance is likely at that epsilon; None beyond 10 million."""
    patients = 100
    while patients <= MOST_ROWS:
        larger = TableSize(patients, size.columns, size.levels, size.bought)
        if expected_quality(larger, epsilon, delta=delta, cap=cap).chance(limits) >= LIKELY:
            return patients
        patients = _two_digits(patients * 1.1)
    return None


def levels_of(column: Column) -> float:
    """Number of values or bins of a described column, as the evaluation counts them."""
    if not column.binned:
        return float(min(len(column.categories) or MOST_LEVELS, MOST_LEVELS))
    if column.kind != "integer" or column.low is None or column.high is None:
        return float(MOST_LEVELS)
    return float(min(column.high - column.low + 1, MOST_LEVELS))


def _two_digits(value: float) -> int:
    unit = int(10 ** (int(math.log10(value)) - 1))
    return math.ceil(value / unit) * unit
