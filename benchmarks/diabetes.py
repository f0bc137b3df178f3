"""Diabetes 130-US hospitals, prepared for benchmarks: the comparison table of 14 columns, and the raw table."""

import csv
import io
import os
import zipfile
from collections import Counter
from pathlib import Path

import numpy as np

from galenic.records import to_toml
from galenic.schema import Column

DATA = Path(os.environ.get("GALENIC_DATA", Path(__file__).parents[1] / ".." / "shared" / "data"))
COLUMNS = (
    *("race", "gender", "age", "admission_type_id", "time_in_hospital", "num_medications", "number_inpatient"),
    *("number_diagnoses", "diag_1", "A1Cresult", "insulin", "change", "diabetesMed", "readmitted"),
)
NUMERIC = ("time_in_hospital", "num_medications", "number_inpatient", "number_diagnoses")
# ICD-9 chapters by last three-digit code
CHAPTERS = (139, 239, 279, 289, 319, 389, 459, 519, 579, 629, 679, 709, 739, 759, 779, 799, 999)


def raw_csv(folder: Path) -> Path:
    """The raw CSV of 101,766 rows and 50 columns, unpacked into `folder`."""
    with zipfile.ZipFile(DATA / "tabular" / "dataset_diabetes.zip") as archive:
        name = next(n for n in archive.namelist() if n.endswith("diabetic_data.csv") and "__MACOSX" not in n)
        target = folder / "diabetic_data.csv"
        target.write_bytes(archive.read(name))
    return target


def chapter(code: str) -> str:
    if code in ("?", ""):
        return ""
    if code[0] in "EV":
        return code[0]
    return f"to {next(top for top in CHAPTERS if int(float(code)) <= top)}"


def comparison(folder: Path) -> tuple[Path, Path, Path, tuple[Column, ...]]:
    """(train.csv, test.csv, columns.toml, columns): 14 columns, 70/30 by row, bins and categories public to every method."""
    with raw_csv(folder).open(newline="") as file:
        rows = list(csv.DictReader(file))
    table = {name: [r[name] for r in rows] for name in COLUMNS}
    table["diag_1"] = [chapter(c) for c in table["diag_1"]]
    table["readmitted"] = ["no" if v == "NO" else "yes" for v in table["readmitted"]]
    order = np.random.RandomState(0).permutation(len(rows))  # the split that the peers' figures were made with
    cut = int(0.7 * len(rows))
    columns = tuple(_column(name, table[name], order[:cut]) for name in COLUMNS)
    parts = {"train.csv": order[:cut], "test.csv": order[cut:]}
    return (*_written(folder, list(COLUMNS), table, parts), _described(folder, columns), columns)


WIDE_NUMERIC = (*NUMERIC, "num_lab_procedures", "num_procedures", "number_outpatient", "number_emergency")
LEFT_OUT = ("encounter_id", "patient_nbr", "weight", "examide", "citoglipton")


def wide(folder: Path) -> tuple[Path, Path, Path, tuple[Column, ...]]:
    """The same for 36 columns: the 12 commonest specialties, columns that are at least .9995 constant left out."""
    with raw_csv(folder).open(newline="") as file:
        rows = list(csv.DictReader(file))
    names = [n for n in rows[0] if n not in LEFT_OUT]
    table = {name: [r[name] for r in rows] for name in names}
    for name in ("diag_1", "diag_2", "diag_3"):
        table[name] = [chapter(c) for c in table[name]]
    table["readmitted"] = ["no" if v == "NO" else "yes" for v in table["readmitted"]]
    common = {v for v, _n in Counter(v for v in table["medical_specialty"] if v != "?").most_common(12)}
    table["medical_specialty"] = [v if v in common or v == "?" else "other" for v in table["medical_specialty"]]
    order = np.random.RandomState(0).permutation(len(rows))
    cut = int(0.7 * len(rows))
    names = [n for n in names if Counter(table[n][i] for i in order[:cut]).most_common(1)[0][1] < 0.9995 * cut]
    columns = tuple(_column(name, table[name], order[:cut]) for name in names)
    return (
        *_written(folder, names, table, {"train.csv": order[:cut], "test.csv": order[cut:]}),
        _described(folder, columns),
        columns,
    )


def _written(folder: Path, names: list[str], table: dict[str, list[str]], parts: dict[str, np.ndarray]) -> tuple[Path, ...]:
    for name, places in parts.items():
        out = io.StringIO()
        writer = csv.writer(out)
        writer.writerow(names)
        writer.writerows([[table[c][i] for c in names] for i in places])
        (folder / name).write_text(out.getvalue(), encoding="utf-8")
    return tuple(folder / name for name in parts)


def _described(folder: Path, columns: tuple[Column, ...]) -> Path:
    (folder / "columns.toml").write_text(to_toml(columns), encoding="utf-8")
    return folder / "columns.toml"


def _column(name: str, values: list[str], train: np.ndarray) -> Column:
    if name in WIDE_NUMERIC:
        numbers = np.array(values, dtype=float)[train]
        distinct = np.unique(numbers)
        inner = (
            (distinct[1:] + distinct[:-1]) / 2
            if distinct.size <= 20
            else np.unique(np.quantile(numbers, np.arange(1, 20) / 20)) - 0.5
        )
        edges = np.unique(np.r_[distinct[0] - 0.5, inner, distinct[-1] + 0.5])
        return Column(
            name,
            "integer",
            low=float(distinct[0]),
            high=float(distinct[-1]),
            edges=tuple(edges.tolist()),
            step=1.0,
            missing=True,
        )
    listed = sorted(set(values) - set(Column("x").missing_tokens))
    return Column(name, "category", categories=tuple(listed), missing=True)
