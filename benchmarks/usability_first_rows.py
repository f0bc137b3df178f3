"""Commands and seconds from an empty installation to the first synthetic rows of one's own CSV file of 3,000 patients and 12 columns."""

import csv
import io
import os
import random
import subprocess
import sys
import tempfile
import time
import zipfile
from collections.abc import Callable
from pathlib import Path

from rows import HERE

DATA = Path(os.environ.get("GALENIC_DATA", HERE.parent / ".." / "shared" / "data")) / "tabular"
ROWS = 3_000
TABLES = {
    "diabetes": (
        *(
            "patient_nbr",
            "race",
            "gender",
            "age",
            "time_in_hospital",
            "num_lab_procedures",
            "num_procedures",
            "num_medications",
        ),
        *("number_diagnoses", "A1Cresult", "insulin", "readmitted"),
    ),
    "support2": (*("patient_id", "age", "sex", "dzclass", "num.co", "race", "meanbp", "hrt", "temp", "crea", "sod", "death"),),
}


def source_rows(name: str) -> list[dict[str, str]]:
    """One row for each patient of a public table."""
    if name == "diabetes":
        with zipfile.ZipFile(DATA / "dataset_diabetes.zip") as archive:
            text = archive.read("dataset_diabetes/diabetic_data.csv").decode()
    else:
        text = (DATA / "support2.csv").read_text(encoding="utf-8")
        text = "patient_id" + text if text.startswith(",") else text
    patient = TABLES[name][0]
    return list({row[patient]: row for row in csv.DictReader(io.StringIO(text))}.values())


def write_own_table(name: str, place: Path) -> None:
    """3,000 patients by chance with 12 columns, as a newcomer's file."""
    rows = random.Random(0).sample(source_rows(name), ROWS)
    with place.open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, TABLES[name], extrasaction="ignore")
        writer.writeheader()
        writer.writerows(rows)


def first_rows(name: str) -> tuple[int, float, bool, int]:
    """(commands, seconds, whether the policy accepted, synthetic rows on the screen) with nothing set up before."""
    with tempfile.TemporaryDirectory() as folder:
        table, home = Path(folder) / "my.csv", Path(folder) / "home"
        write_own_table(name, table)
        began = time.perf_counter()
        done = subprocess.run(
            [sys.executable, "-m", "galenic", "table", "synthesize", str(table), "--preview"],
            env={**os.environ, "GALENIC_HOME": str(home), "COLUMNS": "120"},
            capture_output=True,
            text=True,
            check=False,
        )
        seconds = time.perf_counter() - began
        if done.returncode not in (0, 1):
            raise SystemExit(f"the first command ended with {done.returncode}: {done.stderr[-500:]}")
        shown = sum(line.startswith("│") for line in done.stdout.splitlines())
        return 1, seconds, "ACCEPTED" in done.stdout, shown


def measure(row: Callable[..., dict]) -> list[dict]:
    """The worst of several tables."""
    found = {name: first_rows(name) for name in TABLES}
    for name, (_commands, seconds, accepted, shown) in found.items():
        print(f"  {name}: {seconds:.0f} s, {shown} rows shown, {'accepted' if accepted else 'refused, with advice'}")
    commands, seconds = max(f[0] for f in found.values()), max(f[1] for f in found.values())
    met = commands <= 2 and seconds <= 90 and all(f[3] >= 10 for f in found.values())
    value = f"{commands} command, {seconds:.0f} s"
    return [
        row("first-rows", "first synthetic rows of one's own CSV (3,000 x 12)", "worst table", value, "2 commands, 90 s", met)
    ]
