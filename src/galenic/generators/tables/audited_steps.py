"""Steps of the private table engine as mechanisms for an audit: canary patients go in or stay out, and an attacker scores them.

Each step has its own white-box attacker: measuring (all marginals of the plan that the engine makes for a wide public table),
selecting (the noisy distances by which pairs are chosen), buying the domain (number of rows, bounds, bins and categories), and related
tables (all marginals of two tables that share one budget).
"""

from dataclasses import dataclass
from fractions import Fraction
from itertools import combinations
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from galenic import records
from galenic.generators.tables.marginal_measurement import MeasuredMarginals, measure_marginals
from galenic.generators.tables.marginal_plan import make_plan
from galenic.generators.tables.related import private_table
from galenic.privacy import Budget, Crosstab, Ledger, PrivateRows, buy_domain, rho_of, split_delta
from galenic.schema import PATIENT, Column, Relation, ancestors, encode

WIDE, LEVELS = 10, 12  # columns of the public table, and levels of each
BACKGROUND = 6_000  # rows that are no canary's: enough for the engine to find the table worth measuring
VISITS = 2  # rows of each canary, all of them in one cell: the worst case that the cap permits
RARE_CODE, EXTREME_NUMBER = "a-code-that-one-patient-has", 1e6
RELATED_WIDE, MOST_VISITS = 3, 3  # columns of each of two related tables, and visits of a canary
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
        name = f"{name}-{len(self.ledger.populations())}"
        self.ledger.declare(name, epsilon=900.0, delta=self.delta, actor="audit")
        return self.ledger.reserve(name, epsilon=850.0, delta=self.delta, purpose="audit", actor="audit")


def _category_table(codes: NDArray[np.int64], patients: NDArray[np.int64]) -> pa.Table:
    names = np.array([f"v{k:02d}" for k in range(LEVELS)])
    columns = {f"c{j}": pa.array(names[codes[:, j]]) for j in range(codes.shape[1])}
    return pa.table({"patient": pa.array([str(p) for p in patients]), **columns})


@dataclass(frozen=True)
class _Canaries:
    """cells: level of each canary in each column, the same in all its `rows` rows."""

    cells: NDArray[np.int64]
    present: Present
    rows: int


def _evidence(marginals: MeasuredMarginals, codes: NDArray[np.int64], canaries: _Canaries) -> Scores:
    """Evidence of each canary by the marginals of one table with these rows: everybody else's rows are subtracted from each noisy count,
    and the rest is weighted by its precision."""
    score, whole = np.zeros(canaries.present.size), True
    for m in (*marginals.ones, *(m for m in marginals.pairs if len(m.columns) == 2)):
        whole &= bool((m.counts == np.rint(m.counts)).all())
        at = tuple(canaries.cells[:, j] for j in m.columns)
        exact = np.zeros(m.counts.shape)
        np.add.at(exact, tuple(codes[:, j] for j in m.columns), 1)
        others = exact[at] - canaries.rows * canaries.present
        score += (m.counts[at] - others) * canaries.rows / np.asarray(m.variance, dtype=np.float64)
    return score, whole


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
        return _evidence(self._measure(codes, inside), codes, _Canaries(self.cells, present, VISITS))

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


@dataclass(frozen=True)
class DomainDisclosures:
    """Runs in which a bought domain gave the canary away, with and without the canary. values: it contains a category, or reaches a
    number, that only the canary has; rows: its number of rows is closer to the one with the canary. repeated: share of runs whose rows and
    bins are those of the run before."""

    values: tuple[int, int]
    rows: tuple[int, int]
    repeated: float


def domain_disclosures(ledger: AuditLedger, runs: int) -> DomainDisclosures:
    """How well purchases of a domain tell whether one canary is in the rows: `runs` with it, and as many without."""
    values, rows = {False: 0, True: 0}, {False: 0, True: 0}
    before: tuple[bool, tuple[float, ...]] | None = None
    repeated = 0
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
            domain = buy_domain(real, columns, real.rho * Fraction(1, 2), budget.threshold_delta)
            budget.settle()
            code_column, number_column = domain.columns
            values[present] += RARE_CODE in code_column.categories or number_column.edges[-1] >= EXTREME_NUMBER
            rows[present] += domain.rows > BACKGROUND + VISITS / 2
            repeated += before == (present, number_column.edges)
            before = (present, number_column.edges)
    return DomainDisclosures((values[True], values[False]), (rows[True], rows[False]), repeated / max(2 * runs - 2, 1))


class RelatedStep:
    """Measures two related tables that share one budget, as the engine's fit holds them. A canary is one person with as many visits as are
    declared, all alike; the attacker adds up the evidence of both tables."""

    def __init__(self, ledger: AuditLedger, canaries: int) -> None:
        self.ledger = ledger
        public = np.random.default_rng(3)
        visits = np.r_[np.ones(BACKGROUND, dtype=np.int64), np.full(canaries, MOST_VISITS)]
        levels = public.integers(0, LEVELS, (visits.size, 2 * RELATED_WIDE))
        self.relations = _two_tables()
        with TemporaryDirectory() as folder:
            flat = records.flatten(self.relations, _two_sources(levels, visits), Path(folder) / "flat")
            self.frames = {name: pa.concat_tables(source.open(None)).combine_chunks() for name, source in flat.items()}
        self.people = np.array([f"p{k}" for k in range(visits.size)])
        self.canaries = np.arange(BACKGROUND, visits.size)

    def __call__(self, present: Present) -> Scores:
        """Scores of all canaries, of which the present ones go in."""
        budget, score, whole = self.ledger.reserve(), np.zeros(present.size), True
        absent = self.people[self.canaries[~present]]
        for place, r in enumerate(self.relations):
            frame = self.frames[r.name]
            inside = frame.filter(pa.compute.invert(pa.compute.is_in(frame[PATIENT], value_set=pa.array(absent))))
            columns = _flat_columns(r, self.relations)
            real = private_table(r, records.in_memory(inside, r.name), budget, Fraction(1, len(self.relations) - place))
            sizes = np.array([c.levels for c in columns])
            plan = make_plan(sizes, np.zeros(sizes.size, dtype=np.bool_), inside.num_rows, real.rho, real.cap)
            measured, _crosstab = measure_marginals(real, columns, plan, inside.num_rows, None)
            first = frame.take(
                pa.compute.index_in(pa.array(self.people[self.canaries]), value_set=frame[PATIENT].combine_chunks())
            )
            canaries = _Canaries(_codes(first, columns), present, r.rows_of_a_patient)
            found = _evidence(measured, _codes(inside, columns), canaries)
            score, whole = score + found[0], whole and found[1]
        budget.settle()
        return score, whole


def _two_tables() -> tuple[Relation, Relation]:
    categories = tuple(f"v{k:02d}" for k in range(LEVELS))
    described = [
        tuple(Column(f"{t}{j}", "category", categories=categories, missing=False) for j in range(RELATED_WIDE)) for t in "pv"
    ]
    person = Relation("person", (Column("id", "identifier"), *described[0]), key="id")
    keys = (Column("vid", "identifier"), Column("pid", "identifier"))
    visit = Relation("visit", (*keys, *described[1]), key="vid", parent="person", foreign_key="pid", most=MOST_VISITS)
    return person, visit


def _two_sources(levels: NDArray[np.int64], visits: NDArray[np.int64]) -> dict[str, records.Source]:
    """People with these levels in the columns of both tables, and as many visits."""
    names = np.array([f"v{k:02d}" for k in range(LEVELS)])
    ids = np.array([f"p{k}" for k in range(visits.size)])
    who = np.repeat(np.arange(visits.size), visits)
    person = {"id": ids, **{f"p{j}": names[levels[:, j]] for j in range(RELATED_WIDE)}}
    visit = {"vid": np.array([f"v{k}" for k in range(who.size)]), "pid": ids[who]}
    visit |= {f"v{j}": names[levels[who, RELATED_WIDE + j]] for j in range(RELATED_WIDE)}
    return {n: records.in_memory(pa.table(t), n) for n, t in (("person", person), ("visit", visit))}


def _flat_columns(r: Relation, relations: tuple[Relation, ...]) -> tuple[Column, ...]:
    above = [records.ancestor_column(c, up) for up in ancestors(r, relations) for c in records.own_columns(up, relations)]
    return (*records.own_columns(r, relations), *above)


def _codes(frame: pa.Table, columns: tuple[Column, ...]) -> NDArray[np.int64]:
    (table,) = records.in_memory(frame).tables(columns)
    return np.stack([encode(table, c) for c in columns], axis=1)
