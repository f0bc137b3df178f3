"""Measures which tables the internal policy accepts: rows x columns x epsilon; writes benchmarks/results/choose_epsilon.json.

Patients are drawn from the Diabetes 130-US hospitals table, one row each. Nothing is declared: every bound and category is paid for from
the privacy budget, as for a newcomer who only names the patient column. Each cell is one run; a repetition may differ near a limit.
"""

import json
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.csv as pacsv

import galenic
from diabetes import raw_csv

ROOT = Path(__file__).parents[1]
RESULT = ROOT / "benchmarks" / "results" / "choose_epsilon.json"
ROWS, COLUMNS, EPSILONS = (1_000, 3_000, 10_000, 30_000), (6, 12, 24), (1.0, 3.0, 6.0)
ORDER = (
    "age", "gender", "readmitted", "time_in_hospital", "insulin", "num_medications", "race", "diabetesMed", "change", "number_inpatient",
    "num_lab_procedures", "number_diagnoses", "A1Cresult", "metformin", "number_outpatient", "number_emergency", "num_procedures",
    "max_glu_serum", "glipizide", "glyburide", "pioglitazone", "rosiglitazone", "glimepiride", "repaglinide",
)  # fmt: skip


def patients() -> pa.Table:
    """One row of each patient, in random order."""
    with tempfile.TemporaryDirectory() as folder:
        return drawn(raw_csv(Path(folder)))


def drawn(file: Path) -> pa.Table:
    """First row of each patient of the file, in random order."""
    options = pacsv.ConvertOptions(include_columns=["patient_nbr", *ORDER])
    table = pacsv.read_csv(file, convert_options=options)
    first = np.unique(table["patient_nbr"].to_numpy(), return_index=True)[1]
    return table.take(pa.array(np.random.default_rng(20).permutation(first)))


def cell(table: pa.Table, epsilon: float) -> dict[str, object]:
    """Decision and the two measured distances of one run, or the reason why it did not begin."""
    with tempfile.TemporaryDirectory() as folder:
        home = Path(folder) / "home"
        galenic.open(home).ledger.declare("cells", epsilon=50.0, delta=1e-6, actor="benchmark")
        began = time.monotonic()
        try:
            model = galenic.Synthesizer(epsilon=epsilon, patient="patient_nbr", population="cells", home=home)
            result = model.fit(table).result_
        except Exception as error:  # noqa: BLE001  # a refusal before the fit is a result here
            return {"accepted": False, "reason": str(error)[:300]}
        found = {f.name: getattr(f, "value", None) for f in result.report.findings}
        return {
            "accepted": result.decision.accepted,
            "refused by": [item.finding for item in result.decision.refusals],
            "one": found.get("fidelity.tvd1.excess"),
            "two": found.get("fidelity.tvd2.excess"),
            "seconds": round(time.monotonic() - began, 1),
        }


def main() -> None:
    every = patients()
    cells: list[dict[str, object]] = json.loads(RESULT.read_text()) if "--continue" in sys.argv and RESULT.exists() else []
    done = {(c["rows"], c["columns"], c["epsilon"]) for c in cells}
    for rows in ROWS:
        for columns in COLUMNS:
            for epsilon in EPSILONS:
                if (rows, columns, epsilon) in done:
                    continue
                table = every.slice(0, rows).select(["patient_nbr", *ORDER[:columns]])
                cells.append({"rows": rows, "columns": columns, "epsilon": epsilon, **cell(table, epsilon)})
                print(cells[-1], flush=True)
                RESULT.write_text(json.dumps(cells, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
