"""Where a receipt or a patient's record is written: checked before anything is done, and never lost silently."""

import json
from pathlib import Path

import pytest

from galenic import cli, store
from galenic.cli import files
from galenic.custody import find_patient
from galenic.errors import StoreError
from galenic.installation import Installation
from galenic.security import require_subject, verify_receipt

ERASE = ["patient", "erase", "P000001", "--key", "paul", "--second", "paul2", "--receipt"]


@pytest.fixture
def occupied(tmp_path: Path) -> Path:
    (tmp_path / "folder").mkdir()
    (tmp_path / "r.json").write_text("another receipt")
    return tmp_path


def _copies_outside(installation: Installation) -> list[str]:
    subject = find_patient(installation, installation.sign_in("paul"), "P000001")
    return [str(a["id"]) for a in store.artefacts_of(installation.db, subject) if a["place"] == "outside"]


@pytest.mark.parametrize("place", ["folder", "r.json", "r.json/below", "n" * 300])
def test_nothing_is_erased_if_the_receipt_has_no_place(
    custody: Installation, occupied: Path, place: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert cli.run([*ERASE, str(occupied / place)]) == 2
    assert "nothing was done" in " ".join(capsys.readouterr().err.split())
    assert find_patient(custody, custody.sign_in("paul"), "P000001")
    assert (occupied / "r.json").read_text() == "another receipt"


def test_a_refused_erasure_leaves_no_empty_receipt(custody: Installation, occupied: Path) -> None:
    assert custody.home.exists()
    assert cli.run(["patient", "erase", "nobody", *ERASE[3:], str(occupied / "new.json")]) == 2
    assert not (occupied / "new.json").exists()


@pytest.mark.parametrize("as_json", [False, True])
def test_a_receipt_that_could_not_be_written_is_printed_with_its_salt(
    custody: Installation, occupied: Path, as_json: bool, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def full(_path: Path, _text: str) -> None:
        raise StoreError("no space left")

    monkeypatch.setattr("galenic.cli.subjects.write_text", full)  # a disk that fills up meanwhile
    assert cli.run([*ERASE, str(occupied / "new.json"), *(["--json"] if as_json else [])]) == 3
    printed = capsys.readouterr()
    if as_json:
        envelope, salt = (json.loads(printed.out)[k] for k in ("envelope", "salt"))
    else:
        envelope = printed.out.strip().splitlines()[-1]
        salt = printed.out.split("salt ")[1].split(":")[0]
    facts = verify_receipt(envelope, custody.keys.gate().public)
    require_subject(facts, "P000001", salt)
    assert facts["receipt"] in " ".join(printed.err.split())


@pytest.mark.parametrize("place", ["folder", "r.json/below"])
def test_a_record_that_has_no_place_is_no_copy_outside(custody: Installation, occupied: Path, place: str) -> None:
    assert cli.run(["patient", "access", "P000001", "--key", "paul", "--out", str(occupied / place)]) == 2
    assert _copies_outside(custody) == []


def test_a_record_that_could_not_be_written_is_no_copy_outside(
    custody: Installation, occupied: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("galenic.cli.subjects.require_writable", lambda _path: None)  # the place goes after the check
    assert cli.run(["patient", "access", "P000001", "--key", "paul", "--out", str(occupied / "folder")]) == 3
    assert _copies_outside(custody) == []


def test_a_record_that_was_written_is_a_copy_outside(custody: Installation, occupied: Path) -> None:
    files.require_writable(occupied / "r.json")
    assert cli.run(["patient", "access", "P000001", "--key", "paul", "--out", str(occupied / "r.json")]) == 0
    assert json.loads((occupied / "r.json").read_text())["rows"]["clinic"]
    assert len(_copies_outside(custody)) == 1


@pytest.mark.parametrize("text", ["", "no key", "AAAA", "Ä" * 44, "-----BEGIN PUBLIC KEY-----\nAAAA\n-----END PUBLIC KEY-----"])
def test_a_file_without_a_key_is_not_blamed_on_the_receipt(
    occupied: Path, text: str, capsys: pytest.CaptureFixture[str]
) -> None:
    (occupied / "gate.pub").write_text(text, encoding="utf-8")
    assert cli.run(["patient", "verify-receipt", str(occupied / "r.json"), "--public", str(occupied / "gate.pub")]) == 2
    said = " ".join(capsys.readouterr().err.split())
    assert "contains no valid key" in said
    assert "differs" not in said
