"""Made-up patients with visits and conditions, in which tables depend on each other: for benchmarks of several tables."""

from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.csv as pacsv

TABLES = """version = 1
[[table]]
name = "person"
file = "person.csv"
key = "person_id"
order = "born"
columns = "person.toml"
[[table]]
name = "visit"
file = "visit.csv"
key = "visit_id"
parent = "person"
foreign_key = "person_id"
order = "started"
columns = "visit.toml"
most = 8
[[table]]
name = "condition"
file = "condition.csv"
key = "condition_id"
parent = "visit"
foreign_key = "visit_id"
columns = "condition.toml"
most = 16
"""
PERSON = """version = 1
[[column]]
name = "person_id"
kind = "identifier"
[[column]]
name = "born"
kind = "date"
low = -18262
high = 7304
missing = false
[[column]]
name = "sex"
kind = "category"
categories = ["female", "male"]
missing = false
[[column]]
name = "region"
kind = "category"
categories = ["east", "north", "south", "west"]
missing = false
"""
VISIT = """version = 1
[[column]]
name = "visit_id"
kind = "identifier"
[[column]]
name = "person_id"
kind = "identifier"
[[column]]
name = "started"
kind = "date"
missing = false
[[column]]
name = "setting"
kind = "category"
categories = ["emergency", "inpatient", "outpatient"]
missing = false
[[column]]
name = "nights"
kind = "integer"
low = 0
high = 30
missing = false
"""
CONDITION = """version = 1
[[column]]
name = "condition_id"
kind = "identifier"
[[column]]
name = "visit_id"
kind = "identifier"
[[column]]
name = "code"
kind = "category"
categories = ["C50", "E11", "I10", "I21", "J18", "J45", "M54", "N39", "O80", "S52"]
missing = false
[[column]]
name = "severity"
kind = "category"
categories = ["mild", "moderate", "severe"]
missing = false
"""
CODES = np.array(["C50", "E11", "I10", "I21", "J18", "J45", "M54", "N39", "O80", "S52"])


def write_patients(folder: Path, n: int, seed: int = 0) -> Path:
    """The file of tables, with CSVs of n patients beside it."""
    rng = np.random.default_rng(seed)
    born = rng.integers(-18262, 7305, n)
    sex = rng.choice(["female", "male"], n)
    region = rng.choice(["east", "north", "south", "west"], n, p=[0.4, 0.2, 0.3, 0.1])
    age = (18262 - born) / 365.25
    visits = np.minimum(rng.poisson(0.5 + age / 30 + 0.5 * (sex == "female")), 8)
    who = np.repeat(np.arange(n), visits)
    started = np.sort(18262 - rng.integers(0, 3650, who.size))
    started = started[rng.permutation(who.size)]
    old = age[who] > 60
    setting = np.where(
        rng.random(who.size) < 0.15 + 0.2 * old, "inpatient", np.where(rng.random(who.size) < 0.2, "emergency", "outpatient")
    )
    nights = np.where(setting == "inpatient", np.minimum(1 + rng.poisson(2 + 3 * old), 30), 0)
    each = np.minimum(rng.poisson(0.6 + 0.9 * (setting == "inpatient")), 4)
    visit = np.repeat(np.arange(who.size), each)
    person = who[visit]
    weight = np.stack(
        [
            0.3 + 1.5 * (sex[person] == "female") * (age[person] > 50),
            0.5 + age[person] / 25,
            0.5 + age[person] / 15,
            0.1 + 2.0 * (setting[visit] == "inpatient") * (age[person] > 55),
            0.5 + 1.0 * (setting[visit] == "inpatient"),
            1.5 - age[person] / 90,
            1.0 + 0.5 * (region[person] == "north"),
            0.5 + 0.8 * (sex[person] == "female"),
            1.5 * (sex[person] == "female") * (age[person] < 45) * (setting[visit] != "outpatient"),
            0.3 + 1.2 * (setting[visit] == "emergency"),
        ],
        axis=1,
    )
    top = np.cumsum(np.maximum(weight, 0), axis=1)
    code = CODES[(top < rng.random((visit.size, 1)) * top[:, -1:]).sum(axis=1)]
    severity = rng.random(visit.size) + 0.4 * (setting[visit] == "inpatient")
    day = np.datetime64("1970-01-01")
    tables = {
        "person": {"person_id": np.arange(n), "born": day + born, "sex": sex, "region": region},
        "visit": {
            "visit_id": np.arange(who.size),
            "person_id": who,
            "started": day + started,
            "setting": setting,
            "nights": nights,
        },
        "condition": {
            "condition_id": np.arange(visit.size),
            "visit_id": visit,
            "code": code,
            "severity": np.select([severity < 0.5, severity < 0.9], ["mild", "moderate"], "severe"),
        },
    }
    folder.mkdir(parents=True, exist_ok=True)
    for name, columns in tables.items():
        pacsv.write_csv(pa.table(columns), folder / f"{name}.csv")
    for name, text in (("tables", TABLES), ("person", PERSON), ("visit", VISIT), ("condition", CONDITION)):
        (folder / f"{name}.toml").write_text(text, encoding="utf-8")
    return folder / "tables.toml"
