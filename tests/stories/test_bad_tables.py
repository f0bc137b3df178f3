"""Tables, rules and wishes that can not be: each is told with what is wrong and what to do, before anything is spent where it can be."""

import json
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.csv as pacsv
import pytest

from galenic import store
from galenic.cli import run as galenic
from galenic.errors import BudgetError, DescriptionError
from galenic.privacy import Ledger
from galenic.privacy.ledger import Mechanism
from galenic.schema import Constraint, check_kinds


def written(folder: Path, columns: dict[str, object]) -> str:
    pacsv.write_csv(pa.table(columns), folder / "table.csv")
    return str(folder / "table.csv")


def said(capsys: pytest.CaptureFixture[str]) -> str:
    return " ".join(capsys.readouterr().err.split())


@pytest.mark.parametrize(
    ("rules", "message"),
    [
        ((Constraint("order", columns=("sex", "age")),), "hold categories"),
        ((Constraint("range", columns=("sex",), low=0),), "hold categories"),
        ((Constraint("order", "a", ("x", "y"), strict=True), Constraint("order", "b", ("y", "x"))), "to come before itself"),
        ((Constraint("range", "a", ("x",), low=5), Constraint("range", "b", ("x",), high=4)), "leave no value for 'x'"),
    ],
)
def test_rules_that_can_not_hold_together_are_named(rules: tuple[Constraint, ...], message: str) -> None:
    with pytest.raises(DescriptionError, match=message):
        check_kinds(rules, {"sex": "category", "age": "integer", "x": "numeric", "y": "numeric"})


def test_equal_columns_and_a_single_point_are_possible() -> None:
    rules = (
        Constraint("order", "a", ("x", "y")),
        Constraint("order", "b", ("y", "x")),
        Constraint("range", "c", ("x",), low=5, high=5),
    )
    check_kinds(rules, {"x": "numeric", "y": "unknown"})


def test_nothing_is_spent_on_rules_that_can_not_hold(tmp_path: Path, home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    table = written(tmp_path, {"x": np.arange(500.0), "sex": ["f", "m"] * 250})
    (tmp_path / "c.toml").write_text(
        'version = 1\n[[column]]\nname = "x"\nkind = "numeric"\n[[column]]\nname = "sex"\nkind = "category"\n'
        'categories = ["f", "m"]\n[[constraint]]\nkind = "range"\ncolumns = ["sex"]\nlow = 0\n'
    )
    assert galenic(["budget", "declare", "p", "--epsilon", "2"]) == 0
    assert (
        galenic(["table", "synthesize", table, "--columns", str(tmp_path / "c.toml"), "--unit", "row", "--population", "p"])
        == 2
    )
    assert "hold categories" in said(capsys)
    assert galenic(["budget", "p", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)[0]["rho_spent"] == 0


def test_two_hundred_thousand_categories_become_other(tmp_path: Path, home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    rng = np.random.default_rng(0)
    table = written(
        tmp_path,
        {"code": [f"c{k:06d}" for k in range(200_000)], "x": rng.integers(0, 9, 200_000), "y": rng.integers(0, 9, 200_000)},
    )
    (tmp_path / "c.toml").write_text(
        'version = 1\nothers = "drop"\n[[column]]\nname = "code"\nkind = "category"\nother = true\n[[column]]\nname = "x"\n'
        'kind = "integer"\nlow = 0\nhigh = 8\n[[column]]\nname = "y"\nkind = "integer"\nlow = 0\nhigh = 8\n'
    )
    words = ["--columns", str(tmp_path / "c.toml"), "--unit", "row", "--rows", "2000", "--json"]
    assert galenic(["table", "synthesize", table, *words]) in (0, 1)
    run = Path(json.loads(capsys.readouterr().out)["folder"])
    model = json.loads((run / "model" / "model.json").read_text())
    code = next(c for c in model["columns"] if c["name"] == "code")
    assert len(code["categories"]) <= 1  # each code has one patient; noise lets one pass in a billion


def test_a_patient_with_a_million_rows_gives_one(tmp_path: Path, home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    rng = np.random.default_rng(0)
    who = np.r_[np.arange(3_000), np.zeros(1_000_000, dtype=int)]
    x = np.r_[rng.integers(0, 9, 3_000), np.full(1_000_000, 8)]
    table = written(tmp_path, {"patient_id": [f"p{k}" for k in who], "x": x, "y": rng.integers(0, 5, who.size)})
    words = ["--patient", "patient_id", "--no-privacy", "--json"]
    assert galenic(["table", "synthesize", table, *words]) in (0, 1)
    run = Path(json.loads(capsys.readouterr().out)["folder"])
    sheet = json.loads((run / "internal" / "sheet.json").read_text())
    assert sheet["split"]["train_rows"] + sheet["split"]["test_rows"] == 3_000


def test_a_target_with_one_class_is_not_measured(tmp_path: Path, home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    rng = np.random.default_rng(0)
    columns = {"outcome": ["alive"] * 2_000, "x": rng.integers(0, 9, 2_000), "y": rng.integers(0, 9, 2_000)}
    table = written(tmp_path, columns)
    assert galenic(["table", "synthesize", table, "--unit", "row", "--no-privacy", "--target", "outcome", "--json"]) in (0, 1)
    found = {f["name"]: f for f in json.loads(capsys.readouterr().out)["findings"]}
    assert "no column splits the rows" in found["utility.tstr"]["not_measured"]


def test_a_condition_that_never_holds_is_refused_without_its_value(
    tmp_path: Path, home: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    rng = np.random.default_rng(0)
    table = written(tmp_path, {"sex": rng.choice(["f", "m"], 2_000), "x": rng.integers(0, 9, 2_000)})
    assert galenic(["table", "synthesize", table, "--unit", "row", "--no-privacy", "--given", "sex=zebra"]) == 2
    text = said(capsys)
    assert "not one of the model's" in text
    assert "zebra" not in text
    assert galenic(["table", "synthesize", table, "--unit", "row", "--no-privacy", "--given", "x=999"]) == 2
    assert "lies between" in said(capsys)


DESCRIBED = """version = 1
[[column]]
name = "sex"
kind = "category"
categories = ["f", "m"]
[[column]]
name = "ward"
kind = "category"
categories = ["a"]
[[column]]
name = "x"
kind = "integer"
low = 0
high = 8
edges = [-0.5, 4.5, 8.5]
[[column]]
name = "note"
kind = "text"
"""


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--balance", "x"], "no category column with two values"),
        (["--balance", "ward"], "no category column with two values"),
        (["--balance", "race"], "--balance names ['race']"),
        (["--given", "sex=zebra"], "not one of the model's"),
        (["--given", "x=999"], "lies between"),
        (["--given", "x=high"], "Give a number"),
        (["--given", "note=fine"], "--given names ['note']"),
        (["--given", "sex=f", "--balance", "sex"], "exclude each other"),
        (["--target", "outcome"], "--target names ['outcome']"),
        (["--group", "race"], "--group names ['race']"),
        (["--survival", "x", "died"], "--survival names ['died']"),
    ],
)
def test_wishes_that_no_model_can_grant_are_refused_before_anything_is_spent(
    tmp_path: Path, home: Path, capsys: pytest.CaptureFixture[str], words: list[str], message: str
) -> None:
    rng = np.random.default_rng(0)
    columns = {"sex": rng.choice(["f", "m"], 500), "ward": ["a"] * 500, "x": rng.integers(0, 9, 500), "note": ["seen"] * 500}
    (tmp_path / "columns.toml").write_text(DESCRIBED, encoding="utf-8")
    described = [written(tmp_path, columns), "--unit", "row", "--columns", str(tmp_path / "columns.toml")]
    assert galenic(["budget", "declare", "p", "--epsilon", "2"]) == 0
    assert galenic(["table", "synthesize", *described, "--population", "p", *words]) == 2
    text = said(capsys)
    assert message in text
    assert "zebra" not in text
    assert galenic(["budget", "p", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)[0]["rho_spent"] == 0


def test_a_budget_split_over_five_hundred_releases_adds_up_and_ends(tmp_path: Path) -> None:
    """Zero-concentrated prices add up: 500 releases cost what their sum says, never more than the limit, and the next is refused."""
    ledger = Ledger(store.Database(f"sqlite:///{tmp_path / 'l.db'}"))
    limit = ledger.declare("p", epsilon=1.0, delta=1e-8, actor="t").rho_limit
    sold = 0.0
    for n in range(500):
        try:
            budget = ledger.reserve("p", epsilon=0.02, delta=1e-12, purpose=f"release {n}", actor="t")
        except BudgetError as error:
            assert "is left" in str(error)
            break
        budget.draw(Mechanism("count", float(budget.rho), 1, 1.0, 1.0, 0.0), budget.rho)
        sold += float(budget.rho)
        budget.settle()
    spent = ledger.statement("p")
    assert spent.rho_spent == pytest.approx(sold, rel=1e-6)
    assert spent.rho_spent <= limit
    while limit - ledger.statement("p").rho_spent > 1e-4:
        ledger.reserve("p", epsilon=0.05, delta=1e-12, purpose="the rest", actor="t")
    with pytest.raises(BudgetError, match="is left"):
        ledger.reserve("p", epsilon=0.2, delta=1e-12, purpose="one more", actor="t")


@pytest.mark.parametrize("words", [["--no-privacy"], ["--population", "p"]])
def test_a_table_of_one_column_is_made_and_what_needs_two_is_not_measured(
    tmp_path: Path, home: Path, capsys: pytest.CaptureFixture[str], words: list[str]
) -> None:
    table = written(tmp_path, {"x": np.random.default_rng(0).integers(0, 4, 3_000)})
    assert galenic(["budget", "declare", "p", "--epsilon", "1"]) == 0
    capsys.readouterr()
    assert galenic(["table", "synthesize", table, "--unit", "row", *words, "--json"]) == 1
    found = {f["name"]: f for f in json.loads(capsys.readouterr().out)["findings"]}
    assert found["fidelity.tvd1.excess"]["value"] < 0.05
    assert "1 column" in found["fidelity.tvd2.excess"]["not_measured"]
