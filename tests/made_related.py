"""Made-up patients with visits and laboratory values, in three tables."""

from datetime import date, timedelta

import numpy as np
import pyarrow as pa

from galenic import records
from galenic.records import Source
from galenic.schema import Column, Relation

PERSON = Relation(
    "person",
    (Column("id", "identifier"), Column("born", "date", missing=False), Column("sex", "category")),
    key="id",
    order="born",
)
VISIT = Relation(
    "visit",
    (
        Column("vid", "identifier"),
        Column("pid", "identifier"),
        Column("start", "date", missing=False),
        Column("end", "date"),
        Column("setting", "category"),
    ),
    key="vid",
    parent="person",
    foreign_key="pid",
    order="start",
    most=6,
)
LAB = Relation(
    "lab",
    (
        Column("lid", "identifier"),
        Column("of", "identifier"),
        Column("near", "identifier"),
        Column("day", "date", missing=False),
        Column("value", "numeric"),
    ),
    key="lid",
    parent="person",
    foreign_key="of",
    order="day",
    most=4,
    links={"near": "visit"},
)
RELATIONS = (PERSON, VISIT, LAB)


def rows(n: int = 1_500, seed: int = 0) -> dict[str, pa.Table]:
    """Women visit more often; settings persist from visit to visit; labs are high in who has an inpatient visit."""
    rng = np.random.default_rng(seed)
    people, visits, labs = [], [], []
    for k in range(n):
        sex, born = ("f", "m")[int(rng.random() < 0.5)], date(1940, 1, 1) + timedelta(days=int(rng.integers(0, 20_000)))
        people.append((f"p{k}", born, sex))
        at, setting, sick, mine = date(2015, 1, 1) + timedelta(days=int(rng.integers(0, 400))), "out", False, []
        for _ in range(min(int(rng.poisson(3 if sex == "f" else 1)), 6)):
            setting = setting if rng.random() < 0.8 else ("out", "in")[int(rng.random() < 0.5)]
            sick |= setting == "in"
            mine.append(f"v{len(visits)}")
            visits.append((mine[-1], f"p{k}", at, at + timedelta(days=3 if setting == "in" else 0), setting))
            at += timedelta(days=int(rng.integers(1, 200)))
        for _ in range(int(rng.integers(0, 4))):
            near = mine[0] if mine and rng.random() < 0.5 else None
            day = date(2016, 1, 1) + timedelta(days=int(rng.integers(0, 300)))
            labs.append((f"l{len(labs)}", f"p{k}", near, day, round(float(rng.normal(9 if sick else 5, 1)), 1)))
    named = {"person": (PERSON, people), "visit": (VISIT, visits), "lab": (LAB, labs)}
    return {
        name: pa.table({c.name: [row[j] for row in of] for j, c in enumerate(r.columns)}) for name, (r, of) in named.items()
    }


def sources(tables: dict[str, pa.Table]) -> dict[str, Source]:
    return {name: records.in_memory(frame, name) for name, frame in tables.items()}
