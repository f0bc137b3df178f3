"""Calibration of the expected quality of a fit: fits of several tables, sizes and epsilons, and the error where a table is left out.

python benchmarks/expected_quality.py [FILE] fits (about an hour), appends each result to FILE (default: expected-quality.jsonl, which is kept
between runs), and prints the coefficients of generators/tables/quality_estimate.py and their errors.
"""

import json
import math
import random
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pyarrow as pa

from galenic import records
from galenic.errors import BudgetError
from galenic.evidence.tables import bin_column, measure_fidelity
from galenic.generators import SynthesisRequest
from galenic.generators.tables import TableGenerator, prepare_table
from galenic.privacy import ColumnOptions, rho_of, temporary_ledger
from galenic.schema import no_progress
from usability_first_rows import DATA, TABLES, source_rows

NAMES = ("diabetes", "support2", "nhanes", "randhie")
PATIENT = {"diabetes": "patient_nbr", "support2": "patient_id", "nhanes": "ID", "randhie": "zper"}
PATIENTS, COLUMNS, EPSILONS = (1_000, 3_000, 9_000, 20_000), (5, 11, 22), (0.3, 0.5, 1.0, 2.0, 3.0, 4.0, 10.0)
FAR_OFF = (0.35, 0.50)  # a fit that stopped for want of budget


def rows_of(name: str) -> list[dict[str, str]]:
    """One row for each patient."""
    if name in TABLES:
        return source_rows(name)
    source = records.demo_table() if name == "randhie" else records.read(DATA / "nhanes_subset.csv")
    rows = [row for _, batch in source.raw() for row in batch.to_pylist()]
    return list({row[PATIENT[name]]: row for row in rows}.values())


def settings(name: str) -> Iterator[tuple[int, int, float, bool]]:
    """(patients, columns, epsilon, whether everything is described) that a table allows."""
    limit = len(rows_of(name))
    for patients in (n for n in PATIENTS if n <= limit):
        yield from ((patients, k, e, described) for k in COLUMNS for e in EPSILONS for described in (False, True))


def fit(name: str, patients: int, columns: int, epsilon: float, described: bool) -> dict[str, object]:
    """The excess distances of one fit, with its size."""
    draw = random.Random(f"{name} {patients} {columns}")
    rows, patient = draw.sample(rows_of(name), patients), PATIENT[name]
    usual = [c for c in TABLES.get(name, ())[1:] if c in rows[0]]
    others = [c for c in rows[0] if c != patient and c not in usual]
    kept = [*usual, *draw.sample(others, len(others))][:columns]
    source = records.in_memory(pa.table({c: pa.array([r[c] for r in rows], pa.string()) for c in (patient, *kept)}))
    inferred = records.describe(source, patient)
    known = tuple(c.but(kind_origin="declared", bounds_origin="declared", categories_origin="declared") for c in inferred)
    drop = tuple(c.name for c in inferred if c.role == "drop")
    options = ColumnOptions(known if described else None, patient, "patient", drop)
    request = SynthesisRequest(epsilon=epsilon, population="p", column_options=options)
    about: dict[str, object] = {
        "data": name,
        "n": patients,
        "k": len(kept) - len(drop),
        "eps": epsilon,
        "bought": float(not described),
    }
    rng = np.random.default_rng(0)
    data = prepare_table(source, request, rng)
    with temporary_ledger() as ledger:
        ledger.declare("p", epsilon=epsilon, delta=1e-9, actor="benchmark")
        budget = ledger.reserve("p", epsilon=epsilon, delta=1e-9, purpose="benchmark", actor="benchmark")
        try:
            made = TableGenerator(request).fit(data, budget, no_progress).sample()
        except BudgetError:
            return {**about, "stopped": True}
    train, test = (half.table(made.columns) for half in (data.real, data.held_out))
    binned = tuple(bin_column(train, c) for c in made.columns)
    found = {f.name: f.value for f in measure_fidelity(train, test, made, binned, rng) if hasattr(f, "value")}
    levels = float(np.mean([c.levels for c in binned]))
    excess = {"e1": found["fidelity.tvd1.excess"], "e2": found["fidelity.tvd2.excess"], "floor2": found["fidelity.tvd2.floor"]}
    return {**about, **excess, "levels": levels}


def calibrate(results: list[dict]) -> None:
    """Prints coefficients, and the error of each table that is left out."""
    levels = {(r["data"], r["k"]): r["levels"] for r in results if "levels" in r}
    usable = [r for r in results if (r["data"], r["k"]) in levels]
    signal = np.array([0.7 * r["n"] * math.sqrt(float(rho_of(r["eps"], 1e-9))) for r in usable])
    usable, signal = [r for r, s in zip(usable, signal, strict=True) if 25 < s < 900], signal[(signal > 25) & (signal < 900)]
    level = np.array([levels[(r["data"], r["k"])] for r in usable])
    spread = np.array([math.sqrt(1 / (0.7 * r["n"]) + 1 / (0.3 * r["n"])) for r in usable])
    columns = np.log([r["k"] for r in usable])
    features = np.c_[np.ones(len(usable)), np.log(signal), columns, [r["bought"] for r in usable], np.log(level)]
    data = np.array([r["data"] for r in usable])
    weights = np.array([1 / math.sqrt((data == name).sum()) for name in data])
    for way, floor in (("e1", 0.4 * np.sqrt(level) * spread), ("e2", np.exp(-3.18 + 1.718 * np.log(level)) * spread)):
        excess = np.array([max(r.get(way, FAR_OFF[way == "e2"]), 0.005) for r in usable])
        error = np.log(np.sqrt((excess + floor) ** 2 - floor**2))

        def least_squares(kept: np.ndarray, error: np.ndarray = error) -> np.ndarray:
            return np.linalg.lstsq(features[kept] * weights[kept, None], error[kept] * weights[kept], rcond=None)[0]

        print(way, least_squares(data != "").round(3).tolist())
        for name in np.unique(data):
            out = data == name
            predicted = np.sqrt(floor[out] ** 2 + np.exp(2 * np.minimum(features[out] @ least_squares(~out), 0))) - floor[out]
            factor = np.exp(np.abs(np.log(excess[out]) - np.log(predicted)))
            print(
                f"  {name} left out: median factor {np.median(factor):.2f}, nine of ten within {np.quantile(factor, 0.9):.2f}"
            )


def main(place: Path) -> None:
    """Fits what is not in the file yet, and calibrates."""
    results = [json.loads(line) for line in place.read_text().splitlines()] if place.exists() else []
    done = {(r["data"], r["n"], r["asked"], r["eps"], r["bought"]) for r in results}
    for name in NAMES:
        for patients, columns, epsilon, described in settings(name):
            if (name, patients, columns, epsilon, float(not described)) not in done:
                results.append({**fit(name, patients, columns, epsilon, described), "asked": columns})
                with place.open("a") as file:
                    file.write(json.dumps(results[-1]) + "\n")
    calibrate(results)


if __name__ == "__main__":
    main(Path(sys.argv[1]) if len(sys.argv) > 1 else Path("expected-quality.jsonl"))
