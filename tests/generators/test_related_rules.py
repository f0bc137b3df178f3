"""Rules between columns hold for every row of related tables, across tables too; those that can not be are named."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pytest

from galenic.errors import DescriptionError, RecordError
from galenic.generators.tables import RelatedTables
from galenic.generators.tables.related_constraints import RelatedConstraints
from galenic.records import flatten
from galenic.schema import Column, Constraint, Relation
from made_related import PERSON, VISIT, rows, sources

# the real tables break the first two in many rows: only rules can keep them out of what is made
WOMEN_ALONE = Constraint("implies", "men are not admitted", when={"person.sex": ("m",)}, then={"setting": ("out",)})
OLD = Constraint("range", "born late", columns=("born",), low=-5_000)  # days from 1970: after April 1956
IN_ORDER = Constraint("order", "ends after it starts", columns=("person.born", "start", "end"))
COST = Constraint("sum", "cost", columns=("cost", "room", "drugs"))
DEAR = Constraint("range", "dear", columns=("cost",), low=20)
COSTLY = replace(
    VISIT,
    columns=(*VISIT.columns, *(Column(n, "numeric") for n in ("cost", "room", "drugs"))),
    constraints=(WOMEN_ALONE, IN_ORDER, COST, DEAR),
)


@pytest.fixture(scope="module")
def real() -> dict[str, pa.Table]:
    tables = rows(1_500, 2)
    visit, rng = tables["visit"], np.random.default_rng(0)
    room, drugs = (np.round(rng.uniform(0, 100, visit.num_rows), 1) for _ in range(2))
    for name, values in (("cost", room + drugs), ("room", room), ("drugs", drugs)):
        visit = visit.append_column(name, pa.array(values))
    return {"person": tables["person"], "visit": visit}


def fitted(relations: tuple[Relation, ...], real: dict[str, pa.Table], folder: Path) -> RelatedTables:
    return RelatedTables(relations, seed=1).fit(flatten(relations, sources(real), folder), None)


def test_every_row_satisfies_rules_within_a_table_and_across_tables(real: dict[str, pa.Table], tmp_path: Path) -> None:
    model = fitted((replace(PERSON, constraints=(OLD,)), COSTLY), real, tmp_path / "flat")
    made = model.sample(1_500, np.random.default_rng(0))
    people, visits = made["person"].frame, made["visit"].frame
    assert people.num_rows == 1_500
    assert visits.column_names == ["vid", "pid", "start", "end", "setting", "cost", "room", "drugs"]
    assert min(people["born"].cast(pa.int32()).to_pylist()) >= -5_000
    joined = visits.join(people.select(["id", "born", "sex"]), "pid", "id")
    admitted = pc.equal(joined["setting"], "in")
    assert set(joined.filter(admitted)["sex"].to_pylist()) == {"f"}
    started, ended, born = (joined[n].cast(pa.int32()).to_numpy() for n in ("start", "end", "born"))
    assert (born <= started).all()
    assert (started <= ended).all()
    cost, room, drugs = (joined[n].to_numpy() for n in ("cost", "room", "drugs"))
    assert np.allclose(cost, room + drugs)
    assert cost.min() >= 20
    rules = model.rules["visit"]
    assert rules.rejected["men are not admitted"] > 0
    assert rules.rejected["dear"] > 0
    assert 0 < rules.summary(made["visit"]).rejection_rate < 0.5
    assert rules.ended <= 0.01 * visits.num_rows


def test_rows_that_no_date_orders_follow_rules_about_what_two_tables_above_say(
    real: dict[str, pa.Table], tmp_path: Path
) -> None:
    """Diagnoses of a visit: no date of their own, and a rule about the person's sex."""
    visit, rng = real["visit"], np.random.default_rng(1)
    number = rng.integers(0, 3, visit.num_rows)
    of = pa.array(np.repeat(np.arange(visit.num_rows), number))
    codes = rng.choice(["O80", "I10", "J45"], len(of))
    found = pa.table({"did": [f"d{k}" for k in range(len(of))], "vid": visit["vid"].take(of), "code": codes})
    birth = Constraint("implies", "women give birth", when={"code": ("O80",)}, then={"person.sex": ("f",)})
    diagnosis = Relation(
        "diagnosis",
        (Column("did", "identifier"), Column("vid", "identifier"), Column("code", "category")),
        key="did",
        parent="visit",
        foreign_key="vid",
        most=8,
        constraints=(birth,),
    )
    made = fitted((PERSON, VISIT, diagnosis), {**real, "diagnosis": found}, tmp_path / "flat").sample(
        1_000, np.random.default_rng(0)
    )
    rows = made["diagnosis"].frame.join(made["visit"].frame.select(["vid", "pid"]), "vid")
    rows = rows.join(made["person"].frame.select(["id", "sex"]), "pid", "id")
    assert set(rows.filter(pc.equal(rows["code"], "O80"))["sex"].to_pylist()) == {"f"}
    assert set(rows.filter(pc.equal(rows["sex"], "m"))["code"].to_pylist()) == {"I10", "J45"}


def test_a_model_that_was_saved_makes_the_same_rows(real: dict[str, pa.Table], tmp_path: Path) -> None:
    model = fitted((replace(PERSON, constraints=(OLD,)), COSTLY), real, tmp_path / "flat")
    model.save(tmp_path / "model")
    again = RelatedTables.load(tmp_path / "model")
    assert again.relations == model.relations
    assert again.patients == model.patients
    for name, table in model.sample(300, np.random.default_rng(4)).items():
        assert again.sample(300, np.random.default_rng(4))[name].frame.equals(table.frame)
    with pytest.raises(RecordError, match="no models of related tables"):
        RelatedTables.load(tmp_path)


def test_what_the_rules_leave_is_as_the_model_had_it(real: dict[str, pa.Table], tmp_path: Path) -> None:
    """Women's visits, of which the rule says nothing, are admissions as often as without it."""
    share = []
    for k, rules in enumerate(((), (WOMEN_ALONE,))):
        model = fitted((PERSON, replace(VISIT, constraints=rules)), real, tmp_path / str(k))
        made = model.sample(3_000, np.random.default_rng(1))
        joined = made["visit"].frame.join(made["person"].frame.select(["id", "sex"]), "pid", "id")
        women = joined.filter(pc.equal(joined["sex"], "f"))
        share.append(float(np.mean([s == "in" for s in women["setting"].to_pylist()])))
    assert share[0] == pytest.approx(share[1], abs=0.03)


def test_rules_that_no_row_satisfies_are_named(real: dict[str, pa.Table], tmp_path: Path) -> None:
    never = Constraint("range", "dearer than anything", columns=("room",), low=1e6)
    model = fitted((PERSON, COSTLY), real, tmp_path / "flat")
    model.rules["visit"] = RelatedConstraints(replace(COSTLY, constraints=(never,)))
    for patients in (40, 1_500):  # few enough to come out empty, too
        with pytest.raises(RecordError, match=r"table 'visit'.*dearer than anything"):
            model.sample(patients)


@pytest.mark.parametrize(
    ("rule", "message"),
    [
        (Constraint("range", "r", columns=("colour",), low=0), "do not exist"),
        (Constraint("range", "r", columns=("lab.value",), low=0), "do not exist"),
        (Constraint("range", "r", columns=("setting",), low=0), "hold categories"),
        (Constraint("order", "r", columns=("person.sex", "start")), "hold categories"),
        (Constraint("sum", "r", columns=("cost", "room", "person.born")), "a sum adds columns of its own table"),
        (Constraint("sum", "r", columns=("start", "room")), "a sum adds columns of its own table"),
    ],
)
def test_rules_about_what_is_not_there_are_refused(rule: Constraint, message: str) -> None:
    with pytest.raises(DescriptionError, match=f"table 'visit'.*{message}"):
        RelatedTables((PERSON, replace(COSTLY, constraints=(rule,))))
