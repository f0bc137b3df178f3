"""Patients made up for tests."""

import numpy as np
import pyarrow as pa

from galenic import records
from galenic.schema import Table


def made_patients(n: int, seed: int = 0, visits: int = 1) -> pa.Table:
    """n made-up patients with 1..visits rows each: numbers, codes, dates, missing values, and real dependence between them."""
    rng = np.random.default_rng(seed)
    each = rng.integers(1, visits + 1, n)
    who = np.repeat(np.arange(n), each)
    age = np.clip(rng.normal(55, 18, n), 18, 95).round()[who]
    sex = np.where(rng.random(n) < 0.52, "female", "male")[who]
    smoker = np.where(rng.random(n) < 0.15 + 0.2 * (sex[:n] == "male") if visits == 1 else rng.random(n) < 0.25, "yes", "no")[
        who
    ]
    sbp = np.round(100 + 0.5 * age + 8 * (smoker == "yes") + rng.normal(0, 10, who.size), 1)
    diabetes = np.where(rng.random(who.size) < 1 / (1 + np.exp(-(sbp - 135) / 8)), "yes", "no")
    admitted = np.datetime64("2020-01-01") + rng.integers(0, 700, who.size)
    stay = rng.poisson(2 + 3 * (diabetes == "yes"))
    missing = rng.random(who.size) < 0.08
    return pa.table(
        {
            "patient_id": pa.array([f"P{i:06d}" for i in who]),
            "age_years": pa.array(age.astype(int)),
            "sex": pa.array(sex),
            "smoker": pa.array(smoker),
            "sbp_mmhg": pa.array(np.where(missing, np.nan, sbp), from_pandas=True),
            "diabetes": pa.array(diabetes),
            "admitted": pa.array(admitted.astype("datetime64[D]")),
            "discharged": pa.array((admitted + stay).astype("datetime64[D]")),
        }
    )


def made_table(n: int, seed: int) -> Table:
    """One visit of each of n made-up patients, typed by a description that is the same for every n and seed."""
    source = records.in_memory(made_patients(n, seed).drop_columns(["patient_id"]))
    described = records.describe(records.in_memory(made_patients(3_000, 99).drop_columns(["patient_id"])))
    return source.table(described)
