"""Audits the private table engine: canary patients, a white-box attacker, and what it learns against what is claimed."""

import tempfile
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from galenic import records, store
from galenic.evidence import Audit, audit
from galenic.generators.tables import ENGINE, ENGINE_VERSION, Plan, measure_marginals
from galenic.privacy import Ledger, Protected, rho_of, split_delta
from galenic.schema import Column

BACKGROUND = 500  # rows in a cell that no canary has
ALL_ON_ONE_PAIR = Plan(0.25, 0.0, 0.0, 0.0, 0.75, 0.0, None, 0, 1, 0.0, 0.0)  # nothing is spent where canaries are not


def audit_engine(
    *, canaries: int = 1_500, runs: int = 100, epsilon: float = 1.0, delta: float = 1e-9, seed: int = 0
) -> tuple[Audit, dict[str, Any]]:
    """(the audit, its JSON for shipping). Each canary is a patient alone in a cell; the engine's own measurements, noise and
    accounting run unchanged, and the attacker weighs every noisy count by its precision."""
    rng = np.random.default_rng(seed)
    with tempfile.TemporaryDirectory() as folder:
        db = store.Database(f"sqlite:///{Path(folder) / 'ledger.db'}")
        try:
            ask = _asker(Ledger(db), canaries, epsilon, delta)
            found = audit(ask, canaries=canaries, runs=runs, rho=float(rho_of(epsilon, split_delta(delta)[0])), rng=rng)
        finally:
            db.close()
    return found, {"engine": ENGINE, "version": ENGINE_VERSION, "epsilon": epsilon, "delta": delta, **asdict(found)}


def _asker(ledger: Ledger, canaries: int, epsilon: float, delta: float) -> Callable[[NDArray[np.bool_]], NDArray[np.float64]]:
    cells = tuple(f"c{i:05d}" for i in range(canaries + 1))
    columns = (
        Column("cell", "category", categories=cells, missing=False),
        Column("side", "category", categories=("a", "b"), missing=False),
    )
    place = np.arange(canaries)

    def ask(present: NDArray[np.bool_]) -> NDArray[np.float64]:
        name = f"audit-{len(ledger.populations())}"
        ledger.declare(name, epsilon=epsilon, delta=delta, actor="audit")
        budget = ledger.reserve(name, epsilon=epsilon, delta=delta, purpose="audit", actor="audit")
        rows = np.r_[np.flatnonzero(present), np.full(BACKGROUND, canaries)]
        frame = pa.table(
            {
                "patient": pa.array([str(i) for i in range(rows.size)]),
                "cell": pa.array([cells[i] for i in rows]),
                "side": pa.array(["ab"[i % 2] for i in rows]),
            }
        )
        protected = Protected(records.in_memory(frame), "patient", 1, budget)
        one, _side, both = measure_marginals(protected, columns, ALL_ON_ONE_PAIR, rows.size, None).pairs
        budget.settle()
        return one.counts[place] / one.variance + both.counts[place, place % 2] / both.variance

    return ask
