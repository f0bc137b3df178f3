"""Audits the private table engine: canary patients, white-box attackers, and what they learn against what is claimed.

Three steps, each with its own attacker: measuring (all marginals of the plan that the engine itself makes for a wide public table),
selecting (the noisy distances by which pairs are chosen), and buying the domain (bounds and categories).
"""

import math
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict
from fractions import Fraction
from itertools import combinations
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from galenic import records, store
from galenic.evidence.tables import PrivacyAudit, audit_events, audit_mechanism
from galenic.generators.tables import ENGINE, ENGINE_VERSION, make_plan, measure_marginals
from galenic.privacy import Budget, Crosstab, Ledger, PrivateRows, buy_domain, rho_of, split_delta
from galenic.schema import Column

STEPS = ("measuring", "selecting", "domain")
WIDE, LEVELS = 10, 12  # columns of the public table, and levels of each
BACKGROUND = 6_000  # rows that are no canary's: enough for the engine to find the table worth measuring
VISITS = 2  # rows of each patient, all of them in one cell: what the cap permits at the worst
DOMAIN_RUNS, RARE, EXTREME = 60, "a-code-that-one-patient-has", 1e6

Present = NDArray[np.bool_]


def audit_engine(
    *,
    canaries: int = 400,
    runs: int = 100,
    epsilon: float = 1.0,
    delta: float = 1e-9,
    seed: int = 0,
    steps: tuple[str, ...] = STEPS,
) -> tuple[dict[str, PrivacyAudit], dict[str, Any]]:
    """(the audits by step, their JSON for shipping). The engine's own plan, measurements, noise and accounting run unchanged."""
    rng = np.random.default_rng(seed)
    mu = math.sqrt(2 * float(rho_of(epsilon, split_delta(delta)[0])))
    found: dict[str, PrivacyAudit] = {}
    with _ledger() as ledger:
        if "measuring" in steps:
            measuring = _Measuring(ledger, canaries, epsilon, delta)
            found["measuring"] = audit_mechanism(measuring, canaries=canaries, runs=runs, claimed=mu, rng=rng)
        if "selecting" in steps:
            found["selecting"] = audit_mechanism(
                _Selecting(ledger, epsilon, delta), canaries=1, runs=20 * runs, claimed=mu, rng=rng
            )
        if "domain" in steps:
            found["domain"] = _domain(ledger, epsilon, delta, mu, min(DOMAIN_RUNS, max(runs, 12)))
    about = {"engine": ENGINE, "version": ENGINE_VERSION, "epsilon": epsilon, "delta": delta}
    return found, {**about, "steps": {name: _plain(a) for name, a in found.items()}}


def _plain(found: PrivacyAudit) -> dict[str, Any]:
    """JSON types; a bound that says nothing is null."""
    return {k: (None if isinstance(v, float) and not math.isfinite(v) else v) for k, v in asdict(found).items()}


@contextmanager
def _ledger() -> Iterator[Ledger]:
    with tempfile.TemporaryDirectory() as folder:
        db = store.Database(f"sqlite:///{Path(folder) / 'ledger.db'}")
        try:
            yield Ledger(db)
        finally:
            db.close()


def _budget(ledger: Ledger, epsilon: float, delta: float) -> Budget:
    name = f"audit-{len(ledger.populations())}"
    ledger.declare(name, epsilon=epsilon, delta=delta, actor="audit")
    return ledger.reserve(name, epsilon=epsilon, delta=delta, purpose="audit", actor="audit")


def _table(codes: NDArray[np.int64], patients: NDArray[np.int64]) -> pa.Table:
    names = np.array([f"v{k:02d}" for k in range(LEVELS)])
    columns = {f"c{j}": pa.array(names[codes[:, j]]) for j in range(codes.shape[1])}
    return pa.table({"patient": pa.array([str(p) for p in patients]), **columns})


class _Measuring:
    """Asks the engine's plan of a wide table; a canary is a patient whose rows all stand in one random cell of every marginal. The
    attacker takes everybody else's rows from each noisy count and weighs what is left by its precision."""

    def __init__(self, ledger: Ledger, canaries: int, epsilon: float, delta: float) -> None:
        self.ledger, self.epsilon, self.delta = ledger, epsilon, delta
        public = np.random.default_rng(1)
        self.background = public.integers(0, LEVELS, (BACKGROUND, WIDE))
        self.cells = public.integers(0, LEVELS, (canaries, WIDE))
        self.columns = tuple(
            Column(f"c{j}", "category", categories=tuple(f"v{k:02d}" for k in range(LEVELS)), missing=False)
            for j in range(WIDE)
        )

    def __call__(self, present: Present) -> tuple[NDArray[np.float64], bool]:
        budget = _budget(self.ledger, self.epsilon, self.delta)
        inside = np.flatnonzero(present)
        codes = np.concatenate([self.background, np.repeat(self.cells[inside], VISITS, axis=0)])
        # background patients have one row each, canaries as many as the cap permits
        patients = np.r_[np.arange(BACKGROUND), BACKGROUND + np.repeat(inside, VISITS)]
        protected = PrivateRows(records.in_memory(_table(codes, patients)), "patient", VISITS, budget)
        sizes = np.full(WIDE, LEVELS)
        steps = make_plan(sizes, np.zeros(WIDE, dtype=np.bool_), codes.shape[0], protected.rho, VISITS)
        answers = measure_marginals(protected, self.columns, steps, codes.shape[0], None)
        budget.settle()
        score, whole = np.zeros(present.size), True
        for m in (*answers.ones, *(m for m in answers.pairs if len(m.columns) == 2)):
            whole &= bool((m.counts == np.rint(m.counts)).all())
            at = tuple(self.cells[:, j] for j in m.columns)
            exact = np.zeros([LEVELS] * len(m.columns))
            np.add.at(exact, tuple(codes[:, j] for j in m.columns), 1)
            others = exact[at] - VISITS * present
            score += (m.counts[at] - others) * VISITS / np.asarray(m.variance, dtype=np.float64)
        return score, whole


class _Selecting:
    """Asks for the distances by which pairs are chosen, of one patient more or fewer, all of whose rows add to every distance."""

    def __init__(self, ledger: Ledger, epsilon: float, delta: float) -> None:
        self.rho = rho_of(epsilon, split_delta(delta)[0])
        self.ledger, self.epsilon, self.delta = ledger, epsilon, delta
        self.columns = tuple(Column(f"c{j}", "category", categories=("v00", "v01"), missing=False) for j in range(5))
        self.tables = {p: self._crosstab(p) for p in (False, True)}
        self.expected: dict[tuple[int, ...], NDArray[np.int64]] = {
            cells: np.zeros((2, 2), dtype=np.int64) for cells in combinations(range(5), 2)
        }

    def _crosstab(self, present: bool) -> Crosstab:
        rows = 50 + VISITS * present
        patients = np.r_[np.arange(50), np.full(VISITS * present, 50)]
        frame = _table(np.zeros((rows, 5), dtype=np.int64), patients)
        # a budget that lasts for all runs; each run pays the same price, which is what the claim is about
        name = f"selecting-{present}"
        self.ledger.declare(name, epsilon=900.0, delta=self.delta, actor="audit")
        budget = self.ledger.reserve(name, epsilon=850.0, delta=self.delta, purpose="audit", actor="audit")
        return Crosstab(PrivateRows(records.in_memory(frame), "patient", VISITS, budget), self.columns, None)

    def __call__(self, present: Present) -> tuple[NDArray[np.float64], bool]:
        found, _sigma = self.tables[bool(present[0])].distances(self.expected, self.rho)
        values = np.array(list(found.values()), dtype=np.float64)
        return np.array([(values - 50).sum()]), bool((values == np.rint(values)).all())


def _domain(ledger: Ledger, epsilon: float, delta: float, mu: float, runs: int) -> PrivacyAudit:
    """Does the domain that is bought name a category, or reach a number, that one patient alone has?"""
    given_away = {False: 0, True: 0}
    public = np.random.default_rng(2)
    code, number = np.array(["a", "b", "c"])[public.integers(0, 3, BACKGROUND)], public.normal(50, 10, BACKGROUND)
    for present in (False, True):
        for _ in range(runs):
            frame = pa.table(
                {
                    "patient": [str(k) for k in range(BACKGROUND)] + ["canary"] * VISITS * present,
                    "code": [*code.tolist(), *[RARE] * VISITS * present],
                    "number": [*np.round(number, 1).tolist(), *[EXTREME] * VISITS * present],
                }
            )
            budget = _budget(ledger, epsilon, delta)
            protected = PrivateRows(records.in_memory(frame), "patient", VISITS, budget)
            columns = (Column("code", "category", other=True), Column("number", "numeric"))
            half = protected.rho * Fraction(1, 2)
            bought = buy_domain(protected, columns, half, budget.threshold_delta).columns
            budget.settle()
            given_away[present] += RARE in bought[0].categories or bought[1].edges[-1] >= EXTREME
    return audit_events(given_away[True], given_away[False], runs, mu)
