"""Several tables of the same patients: keys, counts, order and dependence hold in what is made; what can not be joined is refused."""

from datetime import date
from itertools import pairwise
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

from galenic.errors import DescriptionError, RecordError
from galenic.generators.tables import Marginal, RelatedTables
from galenic.generators.tables.related import _reach
from galenic.records import flatten
from galenic.schema import Column, Relation, Table, in_order
from made_related import LAB, PERSON, RELATIONS, VISIT, rows, sources


@pytest.fixture(scope="module")
def real() -> dict[str, pa.Table]:
    return rows()


@pytest.fixture(scope="module")
def made(real: dict[str, pa.Table], tmp_path_factory: pytest.TempPathFactory) -> dict[str, Table]:
    flat = flatten(RELATIONS, sources(real), tmp_path_factory.mktemp("flat"))
    return RelatedTables(RELATIONS, seed=1).fit(flat, None).sample(1_500, np.random.default_rng(0))


def of(frame: pa.Table, key: str, value: str) -> dict[str, list]:
    found: dict[str, list] = {}
    for k, v in zip(frame[key].to_pylist(), frame[value].to_pylist(), strict=True):
        found.setdefault(k, []).append(v)
    return found


def test_every_foreign_key_names_a_row_and_every_key_is_its_own(made: dict[str, Table]) -> None:
    person, visit, lab = (made[n].frame for n in ("person", "visit", "lab"))
    people, visits = set(person["id"].to_pylist()), set(visit["vid"].to_pylist())
    assert len(people) == 1_500
    assert len(visits) == visit.num_rows
    assert set(visit["pid"].to_pylist()) <= people
    assert set(lab["of"].to_pylist()) <= people
    owner = dict(zip(visit["vid"].to_pylist(), visit["pid"].to_pylist(), strict=True))
    linked = [(p, v) for p, v in zip(lab["of"].to_pylist(), lab["near"].to_pylist(), strict=True) if v is not None]
    assert len(linked) > 100
    assert all(owner[v] == p for p, v in linked)  # a link leads to the same patient's visit


def test_counts_order_and_durations_are_like_the_real_ones(real: dict[str, pa.Table], made: dict[str, Table]) -> None:
    def per_sex(person: pa.Table, visit: pa.Table) -> dict[str, float]:
        counts = {k: len(v) for k, v in of(visit, "pid", "vid").items()}
        sex = dict(zip(person["id"].to_pylist(), person["sex"].to_pylist(), strict=True))
        return {s: float(np.mean([counts.get(p, 0) for p, of_sex in sex.items() if of_sex == s])) for s in "fm"}

    theirs, ours = per_sex(real["person"], real["visit"]), per_sex(made["person"].frame, made["visit"].frame)
    assert ours == pytest.approx(theirs, rel=0.12)
    assert max(len(v) for v in of(made["visit"].frame, "pid", "vid").values()) <= 6
    for days in of(made["visit"].frame, "pid", "start").values():
        assert days == sorted(days)
    stay = [(e - s).days for s, e in zip(*(made["visit"].frame[n].to_pylist() for n in ("start", "end")), strict=True)]
    assert set(stay) <= {0, 1, 2, 3}
    assert min(made["visit"].frame["start"].to_pylist()) > date(2014, 1, 1)


def test_what_came_before_and_what_parents_say_carries_over(real: dict[str, pa.Table], made: dict[str, Table]) -> None:
    def stays(frame: pa.Table) -> float:
        pairs = [(a, b) for s in of(frame, "pid", "setting").values() for a, b in pairwise(s)]
        return float(np.mean([a == b for a, b in pairs]))

    assert stays(made["visit"].frame) == pytest.approx(stays(real["visit"]), abs=0.06)
    by_chance = np.mean(np.array(made["visit"].frame["setting"].to_pylist()) == "out")
    assert stays(made["visit"].frame) > by_chance**2 + (1 - by_chance) ** 2 + 0.08


def test_the_same_rows_come_out_of_the_made_tables_flat(made: dict[str, Table], tmp_path: Path) -> None:
    flat = flatten(RELATIONS, sources({n: t.frame for n, t in made.items()}), tmp_path)
    assert {name: s.count() for name, s in flat.items()} == {name: t.rows for name, t in made.items()}
    assert flat["person"].names[0] == "@patient"


@pytest.mark.parametrize(
    ("relations", "message"),
    [
        ((PERSON, Relation("a", LAB.columns, "lid", "b", "of"), Relation("b", LAB.columns, "lid", "a", "of")), "cycle"),
        ((PERSON, Relation("a", LAB.columns, "lid", "stranger", "of")), "not declared"),
        ((PERSON, PERSON), "declared twice"),
        ((PERSON, Relation("other", PERSON.columns, "id")), "Exactly one table holds the patients"),
    ],
)
def test_tables_that_can_not_belong_together_are_named(relations: tuple[Relation, ...], message: str) -> None:
    with pytest.raises(DescriptionError, match=message):
        in_order(relations)


def changed(real: dict[str, pa.Table], table: str, column: str, row: int, value: object) -> dict[str, pa.Table]:
    values = real[table][column].to_pylist()
    values[row] = value
    frame = real[table]
    return {**real, table: frame.set_column(frame.column_names.index(column), column, pa.array(values))}


@pytest.mark.parametrize(
    ("table", "column", "value", "message"),
    [
        ("visit", "pid", "nobody", "of 1 rows has no matching row in 'person'"),
        ("visit", "pid", None, "of 1 rows has no matching row in 'person'"),
        ("visit", "vid", "v1", "or the same key as another row"),
        ("visit", "start", None, "which orders them"),
    ],
)
def test_rows_that_can_not_be_joined_are_refused_with_their_number(
    real: dict[str, pa.Table], tmp_path: Path, table: str, column: str, value: object, message: str
) -> None:
    with pytest.raises(RecordError, match=message) as refused:
        flatten(RELATIONS, sources(changed(real, table, column, 0, value)), tmp_path)
    assert "nobody" not in str(refused.value)


def test_orphans_may_be_dropped_and_a_patient_with_many_rows_weighs_no_more_than_declared(
    real: dict[str, pa.Table], tmp_path: Path
) -> None:
    from dataclasses import replace

    frame = real["visit"]
    many = pa.table(
        {
            "vid": [f"x{k}" for k in range(50_000)],
            "pid": ["p0"] * 49_999 + ["nobody"],
            "start": [date(2015, 1, 1)] * 50_000,
            "end": [date(2015, 1, 1)] * 50_000,
            "setting": ["out"] * 50_000,
        }
    )
    tables = {**real, "visit": pa.concat_tables([frame, many.cast(frame.schema)])}
    flat = flatten((PERSON, replace(VISIT, orphans="drop"), LAB), sources(tables), tmp_path)
    who = [p for _, batch in flat["visit"].raw(["@patient"]) for p in batch["@patient"].to_pylist()]
    assert max(who.count(p) for p in set(who)) <= 6
    assert who.count("p0") == 6
    assert "nobody" not in who


def test_counts_that_answers_do_not_tell_from_nobody_are_out_of_reach() -> None:
    column = Column("@n.visit", "integer", edges=tuple(k - 0.5 for k in range(8)), missing=False)

    def reach(*counts: float, sd: float = 10.0) -> int:
        return _reach(column, Marginal((0,), np.array(counts), sd**2))

    assert reach(500, 300, 100, 40, 5, -3, 8) == 3
    assert reach(500, 300, 100, 40, 5, -3, 30) == 3  # one lucky cell beyond a gap is not believed
    assert reach(500, 0, 0, 0, 0, 200, 0) == 5  # rows come in fives: what comes after a gap is, where it is many
    assert reach(500, 300, 100, 40, 15, 15, 15) == 4  # a long thin end counts as far as it does together: 45 is much, 30 is not
    assert reach(*np.zeros(7)) == 0
    assert reach(5, 3, 1, 1, 0, 0, 0, sd=0.0) == 3  # without noise: what was seen
