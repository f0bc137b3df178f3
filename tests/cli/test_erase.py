"""An erasure on a terminal is previewed and confirmed."""

import json
import sys
from pathlib import Path

import pytest

from galenic import cli, store
from galenic.custody import preview_erasure
from galenic.installation import Installation

ERASE = ["patient", "erase", "P000001", "--key", "paul", "--second", "paul2"]


def rows_of(installation: Installation, patient: str) -> int:
    preview = preview_erasure(installation, installation.sign_in("paul", "paul2"), patient)
    return preview.rows["originals"]


def test_a_preview_counts_and_changes_nothing(custody: Installation, tmp_path: Path) -> None:
    assert cli.run(["backup", "create", str(tmp_path / "backup"), "--key", "sven", "--second", "sven2"]) == 0
    preview = preview_erasure(custody, custody.sign_in("paul", "paul2"), "P000001")
    assert preview.rows["originals"] >= 1
    assert preview.backups == ((str(tmp_path / "backup"), True),)
    assert preview == preview_erasure(custody, custody.sign_in("paul", "paul2"), "P000001")


@pytest.mark.parametrize(("answer", "code"), [("n\n", 2), ("y\n", 0)])
def test_a_person_is_asked(
    answer: str, code: int, custody: Installation, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    before = store.count_rows(custody.db, "home")["clinic"]
    monkeypatch.setattr(sys.stdin, "isatty", lambda: True, raising=False)
    monkeypatch.setattr("builtins.input", lambda *_: answer.strip())
    monkeypatch.setattr("typer.confirm", lambda *_, **__: answer.startswith("y"))
    assert cli.run(ERASE) == code
    said = " ".join(capsys.readouterr().err.split())
    assert "This erases: 1 rows of tables and events; and the patient's key." in said
    assert (store.count_rows(custody.db, "home")["clinic"] == before) == (code == 2)


@pytest.mark.parametrize("more", [["--yes"], ["--json"]])
def test_a_machine_is_not_asked(more: list[str], custody: Installation, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.run([*ERASE, *more]) == 0
    printed = capsys.readouterr()
    assert "This erases" not in printed.err
    assert more == ["--yes"] or json.loads(printed.out)["rows"] >= 1


@pytest.mark.parametrize(
    "words",
    [
        ["patient", "erase", "P000001", "--key", "paul", "--second", "sven2"],
        ["keys", "rotate", "--key", "sven", "--second", "paul2"],
        ["people", "approve-export", "clinic", "--who", "rosa", "--purpose", "research", "--key", "paul", "--second", "rosa2"],
        ["backup", "create", "folder", "--key", "sven", "--second", "ada2"],
    ],
    ids=lambda words: " ".join(words[:2]),
)
def test_a_key_of_another_person_is_no_second_key(
    words: list[str], custody: Installation, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    assert cli.run(words) == 1
    assert "is not a second key of the" in " ".join(capsys.readouterr().err.split())
    assert not (tmp_path / "folder").exists()
