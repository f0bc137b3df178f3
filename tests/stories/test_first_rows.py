"""The first synthetic rows of a newcomer's own table: an estimate before anything is spent, advice after a refusal, and a preview."""

import json
import re
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.csv as pacsv
import pytest

from galenic.cli import run as galenic
from galenic.installation import open_installation


@pytest.fixture
def own_table(tmp_path: Path) -> str:
    """1,000 patients with 12 columns: far too few for epsilon 0.5 in which every column is bought."""
    rng = np.random.default_rng(0)
    columns: dict[str, object] = {"patient_id": [f"p{k}" for k in range(1_000)], "sex": rng.choice(["f", "m"], 1_000)}
    columns |= {f"lab_{k}": rng.normal(100, 10, 1_000).round(1) for k in range(5)}
    columns |= {f"code_{k}": rng.choice([f"c{v}" for v in range(12)], 1_000) for k in range(5)}
    pacsv.write_csv(pa.table(columns), tmp_path / "own table.csv")
    return str(tmp_path / "own table.csv")


def output(capsys: pytest.CaptureFixture[str]) -> tuple[str, str]:
    found = capsys.readouterr()
    return found.out, " ".join(found.err.split())


def test_a_refusal_is_expected_before_and_answered_with_a_runnable_command(
    own_table: str, home: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert galenic(["table", "synthesize", own_table, "--epsilon", "0.9"]) == 1
    _, messages = output(capsys)
    assert "Expected for 1,000 patients and 11 columns at ε = 0.9" in messages
    assert "A refusal is likely, and the budget is used up even then." in messages
    command = re.search(r"galenic (table synthesize '[^']*own table.csv' --epsilon [0-9.]+)", messages)
    assert command is not None
    assert float(command[1].split()[-1]) > 0.9
    assert re.search(r"need about [0-9,]+ patients at ε = 0.9, or ε = [0-9.]+ at 1,000 patients", messages)


def test_a_refused_run_shows_its_rows_inside_the_installation(
    own_table: str, home: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert galenic(["table", "synthesize", own_table, "--epsilon", "1.5", "--json"]) == 1
    found = json.loads(output(capsys)[0])
    assert found["decision"]["accepted"] is False
    assert any("galenic table synthesize" in line for line in found["advice"])
    assert galenic(["table", "preview", found["run"], "--rows", "50"]) == 0
    shown, _ = output(capsys)
    assert "NOT RELEASED" in shown
    rows = pacsv.read_csv(Path(found["folder"]) / "model" / "not-released-data.csv")
    assert (rows.num_rows, rows.num_columns) == (50, 11)
    assert str(home) in shown


def test_a_preview_counts_its_rows_and_asks_for_a_run(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert galenic(["table", "preview", "20260101-120000-abcdef"]) == 2
    assert "there is no run" in output(capsys)[1]
    assert galenic(["table", "preview", "20260101-120000-abcdef", "--rows", "0"]) == 2
    assert "Expected 1 to 100,000" in output(capsys)[1]


def test_columns_that_identify_people_are_left_out_and_named(
    tmp_path: Path, home: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    lines = [f"p{k},Ann Smith,Dr {k % 3},19{50 + k % 40}-01-02,{k % 90},{94538 + k % 3}" for k in range(60)]
    (tmp_path / "t.csv").write_text("\n".join(["patient_id,name,physician,dob,age,zip", *lines]) + "\n")
    assert galenic(["table", "describe", str(tmp_path / "t.csv"), "--json"]) == 0
    out, messages = output(capsys)
    assert {c["name"]: c["role"] for c in json.loads(out)} == {
        "patient_id": "patient", "name": "drop", "physician": "drop", "dob": "drop", "age": "value", "zip": "value"
    }  # fmt: skip
    assert next(c["kind"] for c in json.loads(out) if c["name"] == "zip") == "category"
    assert "Left out as identifiers or free text: name, physician, dob" in messages
    assert "Column 'patient_id' tells patients apart, by its name" in messages
    assert galenic(["table", "synthesize", str(tmp_path / "t.csv")]) == 2
    assert "--drop name --drop physician --drop dob" in output(capsys)[1]


@pytest.mark.parametrize(
    ("answers", "questions"),
    [
        pytest.param([False], ["Does 'patient_id' tell patients apart?"], id="another column is the patient"),
        pytest.param([True, False], ["Does 'patient_id' tell patients apart?", "Continue anyway?"], id="a refusal is likely"),
    ],
)
def test_on_a_terminal_nothing_is_spent_before_the_answers(
    own_table: str, home: Path, monkeypatch: pytest.MonkeyPatch, answers: list[bool], questions: list[str]
) -> None:
    asked: list[str] = []

    def answer(question: str, **_options: object) -> bool:
        asked.append(question)
        return answers[len(asked) - 1]

    monkeypatch.setattr("sys.stdin.isatty", lambda: True)
    monkeypatch.setattr("sys.stderr.isatty", lambda: True)
    monkeypatch.setattr("typer.confirm", answer)
    assert galenic(["table", "synthesize", own_table, "--epsilon", "0.9"]) == 2
    assert asked == questions
    installation = open_installation(home)
    assert all(installation.ledger.statement(p).rho_spent == 0 for p in installation.ledger.populations())
