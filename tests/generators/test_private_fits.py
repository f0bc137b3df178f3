"""A private fit is a function of paid answers alone, and its answers together are as private as they cost, whoever the patient is.

Each fit is recorded once over real rows and played back over tables without a row: what is learned and sampled must be the same. Then
every recorded question is asked again, exactly, with and without one patient who has as many rows as the cap permits.
"""

import gc
import json
import types
from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import date
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from answer_log import AnswerLog, same
from galenic import records
from galenic.generators import SynthesisRequest
from galenic.generators.tables import (
    RelatedTables,
    RelatedTablesGenerator,
    TableGenerator,
    describe_relations,
    engine,
    mixture,
    prepare_related_tables,
    prepare_table,
    related,
)
from galenic.generators.tables.target_model import TargetProblem, fit_target_model
from galenic.privacy import Budget, ColumnOptions, Crosstab, Ledger, PrivateRows, temporary_ledger
from galenic.records import Source, flatten
from galenic.schema import Column, no_progress
from made import made_patients
from made_related import PERSON, VISIT
from made_related import rows as related_rows
from made_related import sources as related_sources
from paid_answers import new_budget

CAP = 2
PRESENT = 0.5  # of the price that the worst patient of a test makes use of, at least: else the test would see little


@pytest.fixture(scope="module")
def ledger() -> Iterator[Ledger]:
    with temporary_ledger() as found:
        yield found


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    """Fits of few steps: how well they fit does not matter here. Simulation is repeatable; noise is not."""
    monkeypatch.setattr(mixture, "MOST_STEPS", 100)
    monkeypatch.setattr(engine, "MODEL_ROWS", 500)
    monkeypatch.setattr(engine, "MOST_MEMBERS", 1)
    for module in (engine, related):
        monkeypatch.setattr(module, "new_rng", lambda _seed=None: np.random.default_rng(3))
    for name, value in (("MEMBERS", 1), ("MOST_MEMBERS", 1), ("REHEARSALS", 1), ("TRIAL", 100)):
        monkeypatch.setattr(related, name, value)
    return monkeypatch


def without_rows(source: Source) -> Source:
    """The same columns, and no row."""
    schema = next(source.open(None)).schema
    return replace(records.in_memory(schema.empty_table(), source.name), name=source.name)


def saved(place: Path) -> dict[str, Any]:
    """Everything that a saved model holds."""
    found: dict[str, Any] = {}
    for path in sorted(p for p in place.rglob("*") if p.is_file()):
        name = path.relative_to(place).as_posix()
        if path.suffix == ".npz":
            with np.load(path) as arrays:
                found[name] = {n: arrays[n] for n in sorted(arrays)}
        else:
            found[name] = json.loads(path.read_text(encoding="utf-8"))
    return found


def reachable(root: object) -> Iterator[object]:
    """Objects that an object leads to, without modules and classes."""
    seen, todo = set(), [root]
    while todo:
        one = todo.pop()
        if id(one) in seen or isinstance(one, types.ModuleType | type | str | bytes | int | float):
            continue
        seen.add(id(one))
        yield one
        if isinstance(one, types.FunctionType):
            todo += [c.cell_contents for c in one.__closure__ or ()] + list(one.__defaults__ or ())
        else:
            todo += gc.get_referents(one)


@dataclass(frozen=True)
class Fit:
    """A fitted generator with a sample, and what the budget paid."""

    generator: TableGenerator | RelatedTablesGenerator
    made: Any
    budget: Budget
    model: dict[str, Any]


def fit(generator: Any, data: Any, budget: Budget, place: Path) -> Fit:
    generator.fit(data, budget, no_progress)
    generator.save(place)
    return Fit(generator, generator.sample(), budget, saved(place))


def repeated(
    data: Any, request: SynthesisRequest, generator: Any, tmp_path: Path, ledger: Ledger
) -> tuple[AnswerLog, Fit, Fit]:
    """(the log, the fit over real rows, the fit with the same answers over empty tables)."""
    with pytest.MonkeyPatch.context() as patch:
        log = AnswerLog().record(patch)
        real = fit(generator(request), data, new_budget(ledger, request.epsilon, request.delta), tmp_path / "real")
    empty = {n: without_rows(s) for n, s in data.real.items()} if isinstance(data.real, dict) else without_rows(data.real)
    with pytest.MonkeyPatch.context() as patch:
        playback = log.play(patch)
        budget = new_budget(ledger, request.epsilon, request.delta)
        played = fit(generator(request), replace(data, real=empty, held_out=empty), budget, tmp_path / "played")
    assert playback.left == [], "the fit over empty tables asks less"
    return log, real, played


def patients_with(more: list[dict[str, Any]]) -> Source:
    frame = made_patients(700, 5, visits=CAP).drop_columns(["discharged"])
    one = [{"patient_id": "one more", **dict.fromkeys(frame.column_names[1:]), **row} for row in more]
    return records.in_memory(pa.concat_tables([frame, pa.Table.from_pylist(one, schema=frame.schema)]))


USUAL = {"age_years": 55, "sex": "female", "smoker": "no", "sbp_mmhg": 127.5, "diabetes": "no", "admitted": date(2020, 6, 1)}
EXTREME = {"age_years": 10**9, "sex": "a-sex-of-their-own", "smoker": "?", "sbp_mmhg": -1.2345e12, "diabetes": "yes"}
REQUEST = SynthesisRequest(epsilon=20.0, delta=1e-6, cap=CAP, target="diabetes", given={"sex": "male"})


@pytest.fixture(scope="module")
def table() -> Source:
    return patients_with([])


def declared(table: Source) -> tuple[Column, ...]:
    """Columns with declared bounds and categories, which every patient fits."""
    declared = {"bounds_origin": "declared", "categories_origin": "declared", "kind_origin": "declared", "missing": True}
    return tuple(c.but(**declared, other=c.kind == "category") for c in records.describe(table))


@pytest.mark.parametrize("described", ["nothing declared", "declared"])
def test_a_table_is_learned_from_paid_answers_alone(
    described: str, table: Source, tmp_path: Path, ledger: Ledger, quick: pytest.MonkeyPatch
) -> None:
    request = REQUEST
    if described == "declared":
        request = replace(REQUEST, column_options=ColumnOptions(declared(table), patient="patient_id"))
    data = replace(prepare_table(table, request, np.random.default_rng(0)), real=table)
    log, real, played = repeated(data, request, TableGenerator, tmp_path, ledger)
    assert same(played.model, real.model)
    assert played.generator.domain == real.generator.domain
    assert played.made.frame.equals(real.made.frame)  # with a given value, too
    assert set(real.made.frame["sex"].to_pylist()) == {"male"}
    assert real.made.rows == next(a.answer[0] for a in log.asked if a.method == "PrivateRows.size")
    assert played.budget.mechanisms == real.budget.mechanisms
    assert 0 <= real.budget.rho_left < Fraction(1, 10**9)
    worst = {
        who: log.mu_squared({"table": table}, {"table": patients_with([row] * CAP)})
        for who, row in (("usual", USUAL), ("extreme", EXTREME), ("nothing known", {}))
    }
    spent = 2 * float(real.budget.rho - real.budget.rho_left)
    assert PRESENT * spent <= max(worst.values()) <= spent * (1 + 1e-9), worst
    assert log.rho == pytest.approx(float(real.budget.rho - real.budget.rho_left))


def test_a_value_is_given_whether_or_not_any_patient_has_it(
    table: Source, tmp_path: Path, ledger: Ledger, quick: pytest.MonkeyPatch
) -> None:
    columns = tuple(c.but(categories=("female", "male", "nobody")) if c.name == "sex" else c for c in declared(table))
    options = ColumnOptions(columns, patient="patient_id")
    request = replace(REQUEST, column_options=options, given={"sex": "nobody", "age_years": 94}, rows=50)
    data = replace(prepare_table(table, request, np.random.default_rng(0)), real=table)
    made = fit(TableGenerator(request), data, new_budget(ledger, 20.0, 1e-6), tmp_path / "model").made.frame
    assert set(made["sex"].to_pylist()) == {"nobody"}
    assert set(made["age_years"].to_pylist()) == {94}


def test_a_fitted_private_model_leads_to_no_row_and_no_exact_count(
    table: Source, tmp_path: Path, ledger: Ledger, quick: pytest.MonkeyPatch
) -> None:
    data = replace(prepare_table(table, REQUEST, np.random.default_rng(0)), real=table)
    generator = fit(TableGenerator(REQUEST), data, new_budget(ledger, 20.0, 1e-6), tmp_path / "model").generator
    held = [type(o).__name__ for o in reachable(generator.model) if isinstance(o, PrivateRows | Crosstab | Source | pa.Table)]
    assert held == []


RELATED = (PERSON, replace(VISIT, columns=tuple(c for c in VISIT.columns if c.name != "end"), most=3))
RELATED_REQUEST = SynthesisRequest(epsilon=20.0, delta=1e-6, rows=200)


def related_with(visits: int, setting: str, day: date) -> dict[str, pa.Table]:
    """400 people, and one more with that many visits."""
    tables = related_rows(400)
    person, visit = tables["person"], tables["visit"].drop_columns(["end"])
    if visits:
        person = pa.concat_tables([person, pa.Table.from_pylist([{"id": "x", "born": day, "sex": "f"}], schema=person.schema)])
        more = [{"vid": f"x{k}", "pid": "x", "start": day, "setting": setting} for k in range(visits)]
        visit = pa.concat_tables([visit, pa.Table.from_pylist(more, schema=visit.schema)])
    return {"person": person, "visit": visit}


def flat_tables(tables: dict[str, pa.Table], place: Path) -> dict[str, Source]:
    return {n: replace(s, name=n) for n, s in flatten(RELATED, related_sources(tables), place).items()}


def test_related_tables_are_learned_privately_from_paid_answers_alone(
    tmp_path: Path, ledger: Ledger, quick: pytest.MonkeyPatch
) -> None:
    tables = related_with(0, "", date(2000, 1, 1))
    rng = np.random.default_rng(0)
    data = prepare_related_tables(RELATED, related_sources(tables), tmp_path / "work", RELATED_REQUEST, rng)
    flat = flat_tables(tables, tmp_path / "flat")
    log, real, played = repeated(replace(data, real=flat), RELATED_REQUEST, RelatedTablesGenerator, tmp_path, ledger)
    assert same(played.model, real.model)  # the largest counts of children included
    assert real.generator.model.reach == played.generator.model.reach
    assert {r.name: r.most for r in real.generator.model.relations} == {"person": 20, "visit": 3}
    assert real.generator.model.patients == next(a.answer[0] for a in log.asked if a.method == "PrivateRows.size")
    assert played.budget.mechanisms == real.budget.mechanisms
    assert 0 <= real.budget.rho_left < Fraction(1, 10**9)
    made = real.made.tables
    assert made["person"].rows == 200
    assert set(made["visit"].frame["pid"].to_pylist()) <= set(made["person"].frame["id"].to_pylist())
    held = [
        type(o).__name__ for o in reachable(real.generator.model) if isinstance(o, PrivateRows | Crosstab | Source | pa.Table)
    ]
    assert held == []
    worst = {}
    for who, visits, setting, day in (
        ("as many visits as are declared", 3, "out", date(2015, 6, 1)),
        ("many more visits", 50, "a-setting-of-their-own", date(9000, 1, 1)),
    ):
        having = flat_tables(related_with(visits, setting, day), tmp_path / who)
        worst[who] = log.mu_squared(flat, having)
    spent = 2 * float(real.budget.rho - real.budget.rho_left)
    assert PRESENT * spent <= max(worst.values()) <= spent * (1 + 1e-9), worst


def test_a_patient_with_more_rows_than_declared_is_refused_in_any_private_table(tmp_path: Path, ledger: Ledger) -> None:
    """The flat tables are capped by patient; if they were not, no table could be asked."""
    from galenic.errors import RecordError

    flat = flat_tables(related_with(3, "out", date(2015, 6, 1)), tmp_path / "flat")
    twice = flat["visit"].table(tuple(records.undescribed(flat["visit"].names))).frame
    more = {**flat, "visit": records.in_memory(pa.concat_tables([twice, twice]), "visit")}
    with pytest.raises(RecordError, match="more rows than the declared maximum of 3"):
        RelatedTables(RELATED).fit(more, new_budget(ledger, 20.0, 1e-6))


def test_one_patient_changes_no_declaration_of_related_tables(tmp_path: Path) -> None:
    """Bounds of counts are declared ("most", 20 where nothing is said), whatever the patients have."""
    found = []
    for visits in (1, 60):
        place = tmp_path / str(visits)
        place.mkdir()
        people = [f"p{k},{1940 + k % 60}-01-02,{'fm'[k % 2]}" for k in range(30)]
        rows = [f"v{k},p0,2020-01-{1 + k % 28:02d},out" for k in range(visits)]
        (place / "person.csv").write_text("\n".join(["id,born,sex", *people]) + "\n")
        (place / "visit.csv").write_text("\n".join(["vid,pid,start,setting", *rows]) + "\n")
        (place / "tables.toml").write_text(DECLARED)
        relations, _sources, dropped = describe_relations(place / "tables.toml", private=True)
        own = [records.own_columns(r, relations) for r in relations]
        found.append((relations, own, dropped))
    assert found[0] == found[1]
    counts = {c.name: c for c in found[0][1][0]}["@n.visit"]
    assert (counts.low, counts.high) == (0, 20)


DECLARED = """version = 1
[[table]]
name = "person"
file = "person.csv"
key = "id"
order = "born"
kinds = { sex = "category" }
[[table]]
name = "visit"
file = "visit.csv"
key = "vid"
parent = "person"
foreign_key = "pid"
order = "start"
kinds = { setting = "category" }
"""


def test_a_column_of_which_no_pair_was_worth_its_price_is_drawn_by_its_own_shares() -> None:
    """Noise may hide every pair with a column of a related table; the fit ended with an internal error then."""
    shares = np.array([0.2, 0.5, 0.3])
    problem = TargetProblem(1, shares, np.array([2, 3]), (np.arange(2), np.arange(3)), 1_000)
    model = fit_target_model(np.zeros((50, 2), dtype=np.int64), (), problem)
    assert model.chances(np.zeros((4, 2), dtype=np.int64)) == pytest.approx(np.tile(shares, (4, 1)), abs=1e-3)
