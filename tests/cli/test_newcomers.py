"""Typical mistakes of a newcomer: each answer says what is wrong, what was expected and what to do, without a traceback or a cell's value."""

import os
import socket
import subprocess
import sys
import zipfile
from collections.abc import Iterator
from pathlib import Path

import pyarrow.csv as pacsv
import pytest

from disks import frozen
from galenic import cli
from made import made_patients

VALUE = "P000001"  # of a cell: no message may hold it


@pytest.fixture
def folder(home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A working folder with a good table and files that are none."""
    monkeypatch.chdir(tmp_path)
    frame = made_patients(60)
    pacsv.write_csv(frame, tmp_path / "patients.csv")
    text = (tmp_path / "patients.csv").read_text()
    pacsv.write_csv(frame.drop_columns(["patient_id"]), tmp_path / "anonymous.csv")
    (tmp_path / "carets.csv").write_text(text.replace(",", "^"))
    (tmp_path / "empty.csv").write_text("")
    (tmp_path / "header.csv").write_text(text.splitlines()[0] + "\n")
    (tmp_path / "report.pdf").write_bytes(b"%PDF-1.7\n1 0 obj\n<< /Type /Catalog >>\nendobj\n%%EOF\n")
    (tmp_path / "disguised.csv").write_bytes(b"%PDF-1.7\n1 0 obj\n<< /Type /Catalog >>\nendobj\n%%EOF\n")
    with zipfile.ZipFile(tmp_path / "letter.docx", "w") as word:
        word.writestr("word/document.xml", "<w:document/>")
    (tmp_path / "nothing").mkdir()
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "file.txt").write_text("x")
    (tmp_path / "note.txt").write_text("Seen for cough.")
    (tmp_path / "file").write_text("x")
    yield tmp_path
    for place in tmp_path.iterdir():
        place.chmod(0o700)


SYNTHESIZE = ["table", "synthesize"]

MISTAKES = [
    pytest.param([*SYNTHESIZE, "carets.csv"], ["--patient"], id="wrong separator"),
    pytest.param([*SYNTHESIZE, "patients.csv", "--target", "readmitted"], ["readmitted"], id="missing column"),
    pytest.param([*SYNTHESIZE, "patients.csv", "--group", "ward"], ["'ward'"], id="missing column of groups"),
    pytest.param([*SYNTHESIZE, "patients.csv", "--balance", "ward"], ["'ward'"], id="missing column to balance"),
    pytest.param([*SYNTHESIZE, "patients.csv", "--target", "patient_id"], ["patient_id"], id="identifier as target"),
    pytest.param(["table", "evaluate", "patients.csv", "patients.csv", "--target", "ward"], ["--target", "age_years"], id="missing target"),
    pytest.param(["table", "evaluate", "patients.csv", "patients.csv", "--group", "ward"], ["--group", "age_years"], id="missing group"),
    pytest.param(["table", "evaluate", "patients.csv", "patients.csv", "--survival", "a", "b"], ["--survival"], id="missing times"),
    pytest.param(["table", "describe", "patients.csv", "--patient", "mrn"], ["--patient", "age_years"], id="patient column to describe"),
    pytest.param(["records", "quality", "patients.csv", "--patient", "mrn"], ["--patient", "age_years"], id="patient column of quality"),
    pytest.param([*SYNTHESIZE, "patients.csv", "--drop", "weight"], ["weight", "not exist"], id="dropping a missing column"),
    pytest.param([*SYNTHESIZE, "patients.csv", "--patient", "mrn"], ["mrn", "not exist"], id="missing patient column"),
    pytest.param([*SYNTHESIZE, "anonymous.csv"], ["--patient", "--unit row"], id="no patient column"),
    pytest.param(["synthesise", "patients.csv"], ["galenic table synthesize"], id="misspelt command"),
    pytest.param(["table", "sinthesize", "patients.csv"], ["synthesize"], id="misspelt command of a group"),
    pytest.param([*SYNTHESIZE, "patients.csv", "--epsilno", "1"], ["--epsilon"], id="misspelt option"),
    pytest.param([*SYNTHESIZE, "patients.csv", "--epsilon", "1,5"], ["1.5"], id="epsilon with a comma"),
    pytest.param([*SYNTHESIZE, "patients.csv", "--epsilon", "0"], ["above 0"], id="epsilon of 0"),
    pytest.param([*SYNTHESIZE, "patients.csv", "--min-patients", "0"], ["greater than or equal to 1"], id="no patient behind a value"),
    pytest.param([*SYNTHESIZE, "patients.csv", "--shadows", "-1"], ["greater than or equal to 0"], id="negative number of models"),
    pytest.param([*SYNTHESIZE, "patients.csv", "--release-policy", "strict"], ["internal", "partner", "public"], id="unknown policy"),
    pytest.param([*SYNTHESIZE, "patient.csv"], ["patient.csv"], id="misspelt file"),
    pytest.param([*SYNTHESIZE, "empty.csv"], ["empty"], id="empty file"),
    pytest.param([*SYNTHESIZE, "header.csv"], ["row"], id="header without rows"),
    pytest.param([*SYNTHESIZE, "nothing"], ["CSV"], id="folder given as table"),
    pytest.param([*SYNTHESIZE, "report.pdf"], [], id="PDF given as table"),
    pytest.param([*SYNTHESIZE, "disguised.csv"], [], id="PDF named as CSV"),
    pytest.param([*SYNTHESIZE, "letter.docx"], [], id="Word file given as table"),
    pytest.param(["deidentify", "nothing", "--out", "clean"], ["file"], id="empty folder"),
    pytest.param(["deidentify", "note.txt", "--out", "full"], ["exists"], id="output folder that exists"),
    pytest.param(["deidentify", "note.txt", "--out", "file"], ["exists"], id="output that is a file"),
    pytest.param(["deidentify", "note.txt", "--out", "clean", "--model", "nofile"], [".npz"], id="model that is absent"),
    pytest.param(["table", "describe", "patients.csv", "--out", "nothing"], ["folder"], id="output file that is a folder"),
    pytest.param(["records", "simulate", "3", "--out", "new", "--until", "0001-01-01"], ["1900"], id="day before all calendars"),
    pytest.param(["records", "simulate", "3", "--out", "new", "--until", "tomorrow"], ["YYYY-MM-DD"], id="day as a word"),
    pytest.param(["records", "simulate", "3", "--out", "new", "--format", "xml"], ["meds"], id="unknown format"),
    pytest.param(["records", "import", "patients.csv", "--dataset", "", "--patient", "patient_id", "--key", "ada"], ["name"], id="no name"),
    pytest.param(["records", "import", "patients.csv", "--dataset", "c", "--patient", "patient_id", "--key", "ada"],
                 ["galenic keys create ada"], id="key that does not exist"),
    pytest.param(["records", "search", "clinic", "--purpose", "research", "--key", "ada"], ["galenic keys create ada"], id="new home"),
    pytest.param(["release", "sign", "20260101-120000-abcdef", "--key", "ada"], ["20260101-120000-abcdef"], id="run that does not exist"),
    pytest.param(["release", "sign"], ["RUN"], id="missing argument"),
    pytest.param(["keys", "create", "ada", "--role", "doctor"], ["clinician"], id="unknown role"),
    pytest.param(["verify", "nowhere"], ["nowhere"], id="release that does not exist"),
    pytest.param(["budget", "declare", "clinic"], ["--epsilon"], id="missing option"),
    pytest.param(["jobs", "cancel", "j1"], ["job"], id="job that does not exist"),
    pytest.param(["backup", "create", "file", "--key", "sven", "--second", "sven2"], ["sven"], id="backup without a key"),
    pytest.param(["audit", "proof", "99"], ["99"], id="audit entry that does not exist"),
    pytest.param(["audit", "verify", "--first-key", "note.txt"], ["first key"], id="file that is no key"),
    pytest.param(["terminology", "convert", "98,6", "[degF]", "Cel"], ["98.6"], id="number with a comma"),
    pytest.param(["fhir", "validate", "nothing"], ["FHIR"], id="folder without FHIR files"),
]  # fmt: skip


@pytest.mark.parametrize(("words", "expected"), MISTAKES)
def test_a_mistake_is_answered_with_what_to_do(
    words: list[str], expected: list[str], folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    before = {place.name for place in folder.iterdir()}
    code = cli.run(words)
    printed = capsys.readouterr()
    said = " ".join((printed.err + printed.out).split())
    assert code in (1, 2), said
    assert not [part for part in expected if part not in said], said
    assert "Traceback" not in said
    assert VALUE not in said
    assert len(said.split()) >= 8, "too short to say what to do"
    assert {place.name for place in folder.iterdir()} - before <= {"home"}, "something was left behind"


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
def test_a_file_that_may_not_be_read_is_named(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (folder / "patients.csv").chmod(0)
    assert cli.run([*SYNTHESIZE, "patients.csv"]) == 2
    assert "patients.csv" in capsys.readouterr().err


def test_a_port_in_use_is_named_with_what_to_do(home: Path) -> None:
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        port = other.getsockname()[1]
        words = [sys.executable, "-m", "galenic", "serve", "--port", str(port), "--simulated", "0"]
        environment = {**os.environ, "GALENIC_HOME": str(home)}
        done = subprocess.run(words, env=environment, capture_output=True, text=True, timeout=120, check=False)
    said = " ".join(done.stderr.split())
    assert (done.returncode, str(port) in said, "--port" in said) == (2, True, True), said


@pytest.mark.parametrize("more", [["--target", "readmitted"], ["--drop", "weight"], ["--patient", "mrn"]])
def test_no_estimate_is_printed_before_the_input_is_checked(
    more: list[str], folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert cli.run([*SYNTHESIZE, "patients.csv", *more]) == 2
    assert "MB" not in capsys.readouterr().err


def test_a_missing_extra_is_named_with_its_install_command(
    home: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setitem(sys.modules, "dbos", None)  # what Python does with a package that is not installed
    assert cli.run(["jobs", "list"]) == 2
    assert "pip install '.[jobs]'" in " ".join(capsys.readouterr().err.split())


def test_a_folder_on_a_read_only_disk_is_named(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with frozen(folder / "full"):
        assert cli.run(["table", "describe", "patients.csv", "--out", "full/columns.toml"]) == 2
    said = " ".join(capsys.readouterr().err.split())
    assert "full/columns.toml cannot be written (Read-only file system)" in said
    assert "Give a path in a folder that you may write" in said
