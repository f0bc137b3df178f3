"""Simulated patients as one row each: what a registry would hold of them on a day."""

from collections.abc import Iterable

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

LAST = {  # column: the code whose last value it is, and its decimals
    "systolic_mmhg": ("LOINC//8480-6", 0), "diastolic_mmhg": ("LOINC//8462-4", 0), "bmi": ("LOINC//39156-5", 1),
    "ldl_mg_dl": ("LOINC//13457-7", 0),
}  # fmt: skip
EVER = {
    "hypertension": "ICD10CM//I10",
    "diabetes": "ICD10CM//E11.9",
    "copd": "ICD10CM//J44.9",
    "heart_disease": "ICD10CM//I25.10",
}
DAYS = 365.25
PREFIX = "SIM-"


def cohort_table(tables: Iterable[pa.Table], stop: int) -> pa.Table:
    """One row a patient from timelines of whole patients. stop: day since 1970 that ages are counted at."""
    return pa.concat_tables([_rows(t, stop) for t in tables])


def _rows(events: pa.Table, stop: int) -> pa.Table:
    code = events["code"]
    born = events.filter(pc.equal(code, "MEDS_BIRTH"))
    who = born["subject_id"].to_numpy()
    at = {int(s): i for i, s in enumerate(who)}
    day = born["time"].cast(pa.int64()).to_numpy() / 86_400e6
    died = set(events.filter(pc.equal(code, "MEDS_DEATH"))["subject_id"].to_pylist())
    women = set(events.filter(pc.equal(code, "GENDER//female"))["subject_id"].to_pylist())
    columns: dict[str, pa.Array] = {
        "patient_id": pa.array([f"{PREFIX}{s:06d}" for s in who]),
        "age": pa.array(np.maximum((stop - day) / DAYS, 0).astype(np.int64)),
        "sex": pa.array(["female" if s in women else "male" for s in who]),
    }
    for name, one in EVER.items():
        have = set(events.filter(pc.equal(code, one))["subject_id"].to_pylist())
        columns[name] = pa.array(["yes" if s in have else "no" for s in who])
    for name, (one, decimals) in LAST.items():
        found = events.filter(pc.equal(code, one))
        values = np.full(len(who), np.nan)
        for subject, value in zip(found["subject_id"].to_pylist(), found["numeric_value"].to_pylist(), strict=True):
            values[at[subject]] = value  # in time's order: the last stays
        rounded = pa.array(np.round(values, decimals), from_pandas=True)
        columns[name] = rounded.cast(pa.int64()) if decimals == 0 else rounded
    columns["alive"] = pa.array(["no" if s in died else "yes" for s in who])
    return pa.table(columns)
