"""Constraints hold for every row, rejections are counted, contradictions are named."""

from collections.abc import Callable
from fractions import Fraction
from itertools import pairwise

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from galenic import records
from galenic.errors import DescriptionError, OptionError, RecordError
from galenic.generators.tables import MixtureTables
from galenic.privacy import Domain, PrivateRows, buy_domain
from galenic.records import constraints_from_toml
from galenic.schema import Column, Constraint, Table, all_hold, holds

RULES = (
    Constraint("order", columns=("first_seen", "treated", "last_seen")),
    Constraint("implies", name="men do not give birth", when={"sex": ("male",)}, then={"births": ("0",)}),
    Constraint("implies", name="no dose without treatment", when={"arm": ("untreated",)}, then={"dose_mg": ()}),
    Constraint("range", columns=("dose_mg",), low=1, high=80),
    Constraint("sum", columns=("cost", "cost_drug", "cost_bed")),
)


def clinic(n: int, seed: int = 0) -> pa.Table:
    """A table that obeys RULES, except that a row in a hundred has last_seen before treated."""
    rng = np.random.default_rng(seed)
    sex = rng.choice(["female", "male"], n)
    first = rng.integers(0, 900, n)
    treated = first + rng.integers(0, 60, n)
    last = treated + np.where(rng.random(n) < 0.01, -5, rng.integers(0, 400, n))
    arm = rng.choice(["untreated", "low", "high"], n, p=[0.3, 0.4, 0.3])
    dose = np.where(arm == "low", rng.integers(1, 20, n), rng.integers(20, 81, n)).astype(float)
    drug, bed = np.round(rng.gamma(2, 40, n), 2), np.round(rng.gamma(1, 300, n), 2)
    return pa.table(
        {
            "sex": sex,
            "births": np.where(sex == "male", 0, rng.integers(0, 5, n)),
            "first_seen": first,
            "treated": treated,
            "last_seen": last,
            "arm": arm,
            "dose_mg": pa.array(dose, mask=arm == "untreated"),
            "cost_drug": drug,
            "cost_bed": bed,
            "cost": np.round(drug + bed, 2),
        }
    )


@pytest.fixture(scope="module")
def learn() -> Callable[..., MixtureTables]:
    def fit(*rules: Constraint) -> MixtureTables:
        source = records.in_memory(clinic(4_000))
        columns = tuple(c.but(role="value") for c in records.describe(source))
        domain = buy_domain(PrivateRows(source, None, 1, None), columns, Fraction(1, 4), Fraction(0))
        return MixtureTables(constraints=rules, members=2, seed=0).fit(PrivateRows(source, None, 1, None), domain)

    return fit


@pytest.fixture(scope="module")
def model(learn: Callable[..., MixtureTables]) -> MixtureTables:
    return learn(*RULES)


def test_every_row_satisfies_every_constraint_and_rejections_are_counted(model: MixtureTables) -> None:
    drawn = model.sample_rows(3_000, rng=np.random.default_rng(0))
    assert drawn.table.rows == 3_000
    assert all_hold(drawn.table, RULES).all()
    assert 0 < drawn.rejection_rate < 0.9
    assert set(drawn.rejected) == {c.name for c in RULES if c.kind != "sum"}
    assert drawn.tried > 3_000


def test_a_sum_is_worked_out_and_not_learned(model: MixtureTables) -> None:
    frame = model.sample(500).frame
    assert np.allclose(np.array(frame["cost"]), np.array(frame["cost_drug"]) + np.array(frame["cost_bed"]))
    assert "cost" not in {c.name for c in model.columns}


def test_conditions_and_constraints_hold_together(model: MixtureTables) -> None:
    frame = model.sample(300, {"sex": "male", "arm": "low"}).frame
    assert set(frame["sex"].to_pylist()) == {"male"}
    assert set(frame["births"].to_pylist()) == {0}


def test_constraints_are_saved_with_the_model(model: MixtureTables, tmp_path) -> None:
    model.save(tmp_path / "m")
    again = MixtureTables.load(tmp_path / "m")
    assert again.constraints == model.constraints
    assert all_hold(again.sample(200), RULES).all()


@pytest.mark.parametrize(
    ("rules", "message"),
    [
        pytest.param(
            (
                Constraint("order", name="a", columns=("first_seen", "treated"), strict=True),
                Constraint("order", name="b", columns=("treated", "first_seen"), strict=True),
                RULES[1],
            ),
            r"\['a', 'b'\] hold together",
            id="two that exclude each other, beside a harmless one",
        ),
        pytest.param((Constraint("range", name="c", columns=("births",), low=50),), "'c' holds in fewer than", id="none does"),
        pytest.param(
            (
                Constraint("implies", name="d", when={"sex": ("male", "female")}, then={"arm": ("low",)}),
                Constraint("implies", name="e", when={"sex": ("male", "female")}, then={"arm": ("high",)}),
            ),
            r"\['d', 'e'\]",
            id="structural zeros that leave nothing",
        ),
    ],
)
def test_constraints_that_no_row_satisfies_are_named(
    learn: Callable[..., MixtureTables], rules: tuple[Constraint, ...], message: str
) -> None:
    with pytest.raises(RecordError, match=message):
        learn(*rules).sample(100, rng=np.random.default_rng(0))


def test_sums_in_a_circle_are_refused_before_anything_is_learned(learn: Callable[..., MixtureTables]) -> None:
    with pytest.raises(DescriptionError, match="go round in a circle"):
        learn(Constraint("sum", columns=("cost", "cost_bed")), Constraint("sum", columns=("cost_bed", "cost")))
    with pytest.raises(DescriptionError, match=r"which do not exist; there are \['sex'"):
        learn(Constraint("order", columns=("sex", "height")))


@pytest.mark.parametrize(
    ("text", "message"),
    [
        pytest.param('kind = "order"\ncolumns = ["a"]', "Expected 2 or more columns", id="one column has no order"),
        pytest.param('kind = "often"', "the kind is unknown", id="unknown kind"),
        pytest.param('kind = "range"\ncolumns = ["a"]', "Expected low, high or both", id="range without bounds"),
        pytest.param('kind = "range"\ncolumns = ["a"]\nlow = 3\nhigh = 1', "low is above high", id="bounds crossed"),
        pytest.param('kind = "range"\ncolumns = ["a"]\nlow = "x"', r"\['low'\] has the wrong type", id="a word for a number"),
        pytest.param('kind = "implies"\nwhen = {a = "x"}', "Expected when and then", id="implies nothing"),
        pytest.param('kind = "sum"\ncolums = ["a"]', r"\['colums'\] is unknown", id="misspelt"),
    ],
)
def test_a_constraint_that_makes_no_sense_is_refused_by_name(text: str, message: str) -> None:
    with pytest.raises(DescriptionError, match=message):
        constraints_from_toml(f"[[constraint]]\n{text}\n")


def test_constraints_stand_in_the_description() -> None:
    text = '[[constraint]]\nkind = "implies"\nwhen = {sex = "male"}\nthen = {births = [0], parity = []}\n'
    (rule,) = constraints_from_toml(text)
    assert rule == Constraint("implies", when={"sex": ("male",)}, then={"births": ("0",), "parity": ()})


@settings(max_examples=50, deadline=None)
@given(st.lists(st.tuples(*[st.one_of(st.none(), st.floats(-5, 5))] * 3), min_size=1, max_size=30), st.booleans())
def test_order_holds_exactly_where_no_present_pair_falls(rows: list[tuple], strict: bool) -> None:
    frame = pa.table({n: pa.array([r[i] for r in rows], pa.float64()) for i, n in enumerate("abc")})
    table = Table(frame, tuple(Column(n, "numeric") for n in "abc"))
    found = holds(table, Constraint("order", columns=("a", "b", "c"), strict=strict))
    for row, good in zip(rows, found, strict=True):
        pairs = [(x, y) for x, y in pairwise(row) if x is not None and y is not None]
        assert good == all(x < y if strict else x <= y for x, y in pairs)


def test_gaps_are_filled_within_constraints_and_what_is_there_stays(model: MixtureTables) -> None:
    real = clinic(600, 5).drop_columns(["cost"])
    rng = np.random.default_rng(1)
    holed = pa.table({n: pa.array(real[n].to_pylist(), mask=rng.random(600) < 0.2) for n in real.column_names})
    table = records.in_memory(holed).table(tuple(c for c in model.columns))
    done = model.impute(table, np.random.default_rng(0))
    was = holed.to_pydict()
    now = done.table.frame.to_pydict()
    for name in holed.column_names:
        assert all(before in (None, after) for before, after in zip(was[name], now[name], strict=True))
    assert done.filled > 500
    assert done.left < 60
    rules = tuple(c for c in RULES if c.kind == "implies" and "dose_mg" not in c.then)
    assert all_hold(done.table, rules).mean() > 0.97  # rows whose own values break a rule stay as they are


def test_a_value_is_filled_in_by_what_the_row_holds(model: MixtureTables) -> None:
    frame = pa.table({"arm": ["low"] * 300 + ["high"] * 300, "dose_mg": pa.array([None] * 600, pa.float64())})
    columns = tuple(next(c for c in model.columns if c.name == n) for n in ("arm", "dose_mg"))
    done = model.impute(records.in_memory(frame).table(columns), np.random.default_rng(0))
    dose = np.array(done.table.frame["dose_mg"], dtype=float)
    assert np.median(dose[:300]) < 20 <= np.median(dose[300:])


def test_rare_groups_are_made_equally_frequent(model: MixtureTables) -> None:
    drawn = model.sample_balanced("arm", 3_000, np.random.default_rng(0))
    arms = drawn.table.frame["arm"].to_pylist()
    assert {a: arms.count(a) for a in set(arms)} == {"untreated": 1_000, "low": 1_000, "high": 1_000}
    assert all_hold(drawn.table, RULES).all()
    with pytest.raises(OptionError, match="no category column"):
        model.sample_balanced("cost_bed", 10)


def test_nothing_is_learned_of_a_table_of_sums_alone() -> None:
    frame = pa.table({"a": [1.0, 2.0] * 50})
    domain = Domain((Column("a", "numeric"),), 100, 0.0, 4)
    with pytest.raises(RecordError, match="no column"):
        MixtureTables().fit(PrivateRows(records.in_memory(frame), None, 1, None), domain)
