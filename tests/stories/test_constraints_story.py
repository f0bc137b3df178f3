"""Constraints, conditions, balance and imputation through the command line."""

import json
from pathlib import Path

import pyarrow as pa
import pyarrow.csv as pacsv
import pytest

from galenic import cli
from made import made_patients

RULES = """
[[constraint]]
kind = "order"
columns = ["admitted", "discharged"]

[[constraint]]
kind = "implies"
name = "smokers are grown up"
when = { smoker = ["yes"] }
then = { adult = ["yes"] }
"""


def run(*words: object) -> int:
    return cli.run([str(w) for w in words])


@pytest.fixture
def described(home: Path, tmp_path: Path) -> tuple[Path, Path]:
    """(table, description with constraints), beside an installation of its own."""
    frame = made_patients(4_000)
    adult = [
        "yes" if s == "yes" or a > 30 else "no"
        for s, a in zip(*(frame[c].to_pylist() for c in ("smoker", "age_years")), strict=True)
    ]
    pacsv.write_csv(frame.append_column("adult", pa.array(adult)), tmp_path / "patients.csv")
    assert run("table", "describe", tmp_path / "patients.csv", "--out", tmp_path / "columns.toml") == 0
    with (tmp_path / "columns.toml").open("a", encoding="utf-8") as file:
        file.write(RULES)
    return tmp_path / "patients.csv", tmp_path / "columns.toml"


def open_run(described: tuple[Path, Path], capsys: pytest.CaptureFixture[str], *words: object) -> dict:
    capsys.readouterr()
    table, columns = described
    code = run("table", "synthesize", table, "--columns", columns, "--no-privacy", "--target", "diabetes", "--json", *words)
    assert code in (0, 1)  # no formal guarantee: the gate may say no
    return json.loads(capsys.readouterr().out)


def test_rules_hold_conditions_hold_and_gaps_are_filled(
    described: tuple[Path, Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    made = open_run(described, capsys, "--given", "sex=female")
    found = {f["name"]: f for f in made["findings"]}
    assert 0 <= found["engine.rejected"]["value"] < 0.5
    assert set(found["engine.rejected"]["detail"]) == {"order of admitted, discharged", "smokers are grown up"}
    assert found["plausibility.smokers are grown up"]["value"] == 0
    assert found["plausibility.order of admitted, discharged"]["value"] == 0
    assert found["fairness.representation"]["value"] > 0.4  # women alone

    holed = pacsv.read_csv(described[0])
    ages = [None if i % 3 == 0 else v for i, v in enumerate(holed["age_years"].to_pylist())]
    pacsv.write_csv(holed.set_column(1, "age_years", pa.array(ages)), tmp_path / "holed.csv")
    assert run("table", "impute", made["run"], tmp_path / "holed.csv", tmp_path / "full.csv", "--seed", 1) == 0
    full = pacsv.read_csv(tmp_path / "full.csv")
    assert full.column_names == holed.column_names
    assert full["age_years"].null_count == 0
    assert [a for a, b in zip(full["age_years"].to_pylist(), ages, strict=True) if b is not None] == [
        a for a in ages if a is not None
    ]
    assert run("table", "impute", made["run"], tmp_path / "holed.csv", tmp_path / "full.csv") == 2
    assert run("table", "impute", "nobody", tmp_path / "holed.csv", tmp_path / "other.csv") == 2


def test_groups_are_balanced_and_the_shift_is_shown(described: tuple[Path, Path], capsys: pytest.CaptureFixture[str]) -> None:
    made = open_run(described, capsys, "--balance", "diabetes", "--rows", 1_000)
    shift = next(f for f in made["findings"] if f["name"] == "fairness.representation")
    assert shift["direction"] == "lower"
    assert run("table", "synthesize", described[0], "--columns", described[1], "--no-privacy", "--balance", "age_years") == 2
    assert run("table", "synthesize", described[0], "--columns", described[1], "--no-privacy", "--given", "sex") == 2


@pytest.mark.parametrize(
    ("rule", "message"),
    [
        pytest.param(
            'kind = "order"\ncolumns = ["discharged", "admitted"]\nstrict = true', "order of discharged", id="contradictory"
        ),
        pytest.param('kind = "order"\ncolumns = ["admitted", "gone"]', "do not exist", id="unknown column"),
        pytest.param('kind = "order"\ncolumns = ["sex", "smoker"]', "orders, bounds or adds", id="words in order"),
    ],
)
def test_a_constraint_that_can_not_be_met_ends_with_2_and_its_name(
    described: tuple[Path, Path], capsys: pytest.CaptureFixture[str], rule: str, message: str
) -> None:
    with described[1].open("a", encoding="utf-8") as file:
        file.write(f"\n[[constraint]]\n{rule}\n")
    assert run("table", "synthesize", described[0], "--columns", described[1], "--no-privacy") == 2
    assert message in capsys.readouterr().err
