"""Steps of the private table engine as mechanisms for an audit: canary patients go in or stay out, and an attacker scores them.

Each step has its own white-box attacker: measuring (all marginals of the plan that the engine makes for a wide public table),
selecting (the noisy distances by which pairs are chosen), and buying the domain (bounds and categories).
"""

from dataclasses import dataclass
from fractions import Fraction
from itertools import combinations

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from galenic import records
from galenic.generators.tables.marginal_measurement import MeasuredMarginals, measure_marginals
from galenic.generators.tables.marginal_plan import make_plan
from galenic.privacy import Budget, Crosstab, Ledger, PrivateRows, buy_domain, rho_of, split_delta
from galenic.schema import Column

WIDE, LEVELS = 10, 12  # columns of the public table, and levels of each
BACKGROUND = 6_000  # rows that are no canary's: enough for the engine to find the table worth measuring
VISITS = 2  # rows of each canary, all of them in one cell: the worst case that the cap permits
RARE_CODE, EXTREME_NUMBER = "a-code-that-one-patient-has", 1e6
TYPICAL_ROWS = 50  # rows without the canary in the selection step

Present = NDArray[np.bool_]
Scores = tuple[NDArray[np.float64], bool]  # evidence of each canary's presence; whether every answer was a whole number


@dataclass(frozen=True)
class AuditLedger:
    """A ledger for audits only, and the price of one run of an audited step."""

    ledger: Ledger
    epsilon: float
    delta: float

    @property
    def rho(self) -> Fraction:
        """Price of one run."""
        return rho_of(self.epsilon, split_delta(self.delta)[0])

    def reserve(self) -> Budget:
        """A reservation for one run, on a population of its own."""
        name = f"audit-{len(self.ledger.populations())}"
        self.ledger.declare(name, epsilon=self.epsilon, delta=self.delta, actor="audit")
        return self.ledger.reserve(name, epsilon=self.epsilon, delta=self.delta, purpose="audit", actor="audit")

    def reserve_for_all_runs(self, name: str) -> Budget:
        """A reservation that lasts for many runs; each run pays the same price, to which the claim refers."""
        self.ledger.declare(name, epsilon=900.0, delta=self.delta, actor="audit")
        return self.ledger.reserve(name, epsilon=850.0, delta=self.delta, purpose="audit", actor="audit")


def _category_table(codes: NDArray[np.int64], patients: NDArray[np.int64]) -> pa.Table:
    names = np.array([f"v{k:02d}" for k in range(LEVELS)])
    columns = {f"c{j}": pa.array(names[codes[:, j]]) for j in range(codes.shape[1])}
    return pa.table({"patient": pa.array([str(p) for p in patients]), **columns})


class MeasuringStep:
    """Measures the engine's plan of a wide table. All rows of a canary are in one random cell of every marginal. The attacker subtracts
    everybody else's rows from each noisy count and weights the rest by its precision."""

    def __init__(self, ledger: AuditLedger, canaries: int) -> None:
        self.ledger = ledger
        public = np.random.default_rng(1)
        self.background = public.integers(0, LEVELS, (BACKGROUND, WIDE))
        self.cells = public.integers(0, LEVELS, (canaries, WIDE))
        categories = tuple(f"v{k:02d}" for k in range(LEVELS))
        self.columns = tuple(Column(f"c{j}", "category", categories=categories, missing=False) for j in range(WIDE))

    def __call__(self, present: Present) -> Scores:
        """Scores of all canaries, of which the present ones go in."""
        inside = np.flatnonzero(present)
        codes = np.concatenate([self.background, np.repeat(self.cells[inside], VISITS, axis=0)])
        marginals = self._measure(codes, inside)
        score, whole = np.zeros(present.size), True
        for m in (*marginals.ones, *(m for m in marginals.pairs if len(m.columns) == 2)):
            whole &= bool((m.counts == np.rint(m.counts)).all())
            at = tuple(self.cells[:, j] for j in m.columns)
            exact = np.zeros([LEVELS] * len(m.columns))
            np.add.at(exact, tuple(codes[:, j] for j in m.columns), 1)
            others = exact[at] - VISITS * present
            score += (m.counts[at] - others) * VISITS / np.asarray(m.variance, dtype=np.float64)
        return score, whole

    def _measure(self, codes: NDArray[np.int64], inside: NDArray[np.intp]) -> MeasuredMarginals:
        """The engine's measurements of the background and the canaries that are inside."""
        budget = self.ledger.reserve()
        # background patients have one row each, canaries as many as the cap permits
        patients = np.r_[np.arange(BACKGROUND), BACKGROUND + np.repeat(inside, VISITS)]
        real = PrivateRows(records.in_memory(_category_table(codes, patients)), "patient", VISITS, budget)
        plan = make_plan(np.full(WIDE, LEVELS), np.zeros(WIDE, dtype=np.bool_), codes.shape[0], real.rho, VISITS)
        marginals, _crosstab = measure_marginals(real, self.columns, plan, codes.shape[0], None)
        budget.settle()
        return marginals


class SelectingStep:
    """Measures the distances by which pairs are chosen, with and without one patient, and every row of that patient adds to every distance."""

    def __init__(self, ledger: AuditLedger) -> None:
        self.rho = ledger.rho
        self.columns = tuple(Column(f"c{j}", "category", categories=("v00", "v01"), missing=False) for j in range(5))
        self.tables = {present: self._crosstab(ledger, present) for present in (False, True)}
        self.expected: dict[tuple[int, ...], NDArray[np.int64]] = {
            cells: np.zeros((2, 2), dtype=np.int64) for cells in combinations(range(5), 2)
        }

    def _crosstab(self, ledger: AuditLedger, present: bool) -> Crosstab:
        rows = TYPICAL_ROWS + VISITS * present
        patients = np.r_[np.arange(TYPICAL_ROWS), np.full(VISITS * present, TYPICAL_ROWS)]
        frame = _category_table(np.zeros((rows, 5), dtype=np.int64), patients)
        budget = ledger.reserve_for_all_runs(f"selecting-{present}")
        return Crosstab(PrivateRows(records.in_memory(frame), "patient", VISITS, budget), self.columns, None)

    def __call__(self, present: Present) -> Scores:
        """Score of the one canary."""
        distances, _sigma = self.tables[bool(present[0])].distances(self.expected, self.rho)
        values = np.array(list(distances.values()), dtype=np.float64)
        return np.array([(values - TYPICAL_ROWS).sum()]), bool((values == np.rint(values)).all())


def domain_disclosures(ledger: AuditLedger, runs: int) -> tuple[int, int]:
    """(runs with the canary, runs without) in which the bought domain contains a category, or reaches a number, that only the canary
    has; of `runs` each."""
    disclosures = {False: 0, True: 0}
    public = np.random.default_rng(2)
    code, number = np.array(["a", "b", "c"])[public.integers(0, 3, BACKGROUND)], public.normal(50, 10, BACKGROUND)
    for present in (False, True):
        frame = pa.table(
            {
                "patient": [str(k) for k in range(BACKGROUND)] + ["canary"] * VISITS * present,
                "code": [*code.tolist(), *[RARE_CODE] * VISITS * present],
                "number": [*np.round(number, 1).tolist(), *[EXTREME_NUMBER] * VISITS * present],
            }
        )
        for _ in range(runs):
            budget = ledger.reserve()
            real = PrivateRows(records.in_memory(frame), "patient", VISITS, budget)
            columns = (Column("code", "category", other=True), Column("number", "numeric"))
            bought = buy_domain(real, columns, real.rho * Fraction(1, 2), budget.threshold_delta).columns
            budget.settle()
            disclosures[present] += RARE_CODE in bought[0].categories or bought[1].edges[-1] >= EXTREME_NUMBER
    return disclosures[True], disclosures[False]
