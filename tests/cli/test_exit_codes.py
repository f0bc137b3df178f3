"""Wrong input of a command ends with exit code 2 and a sentence about what was expected."""

import fcntl
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from galenic.cli import main


def ended(words: list[str], capsys: pytest.CaptureFixture[str]) -> tuple[int, str]:
    """The exit code of a command, and what it wrote to standard error."""
    capsys.readouterr()
    try:
        main(words)
    except SystemExit as end:
        return int(end.code or 0), " ".join(capsys.readouterr().err.split())
    return 0, " ".join(capsys.readouterr().err.split())


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        pytest.param(["records", "simulate", "3", "--out", "new", "--until", "0001-01-01"], "1900-01-01 or later", id="the first day"),
        pytest.param(["deidentify", "note.txt", "--out", "new", "--model", "absent"], "Expected an .npz file", id="model that is absent"),
        pytest.param(["deidentify", "note.txt", "--out", "new", "--model", "note.txt"], "Expected an .npz file", id="text as model"),
        pytest.param(["deidentify", "note.txt", "--out", "taken"], "already exists", id="folder that exists"),
        pytest.param(["records", "simulate", "3", "--out", "taken"], "already exists", id="folder of a simulation that exists"),
        pytest.param(["table", "audit-engine", "--runs", "0"], "greater than or equal to 1", id="audit without a run"),
    ],
)  # fmt: skip
def test_wrong_input_ends_with_2(
    words: list[str],
    expected: str,
    home: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "note.txt").write_text("Seen for cough.")
    (tmp_path / "taken").mkdir()
    code, said = ended(words, capsys)
    assert (code, expected in said) == (2, True), said
    assert not (tmp_path / "new").exists()


def test_a_home_that_is_a_file_ends_with_2(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("GALENIC_HOME", str(tmp_path / "file"))
    code, said = ended(["records", "list"], capsys)
    assert (code, "Expected a folder" in said) == (2, True), said


def test_an_unknown_database_scheme_ends_with_2(
    home: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("GALENIC_DATABASE", "oracle://db")
    code, said = ended(["records", "list"], capsys)
    assert (code, "must be a URL that begins with one of sqlite:" in said) == (2, True), said


def test_ctrl_c_while_the_command_line_loads_is_no_traceback() -> None:
    """The interpreter says when it imports the command line; the signal comes at once. A small pipe keeps the command from running ahead."""
    words = [sys.executable, "-v", "-m", "galenic", "version"]
    before = signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell may have told the tests to ignore it
    try:
        with subprocess.Popen(words, stderr=subprocess.PIPE, stdout=subprocess.DEVNULL, text=True) as process:
            assert process.stderr is not None
            fcntl.fcntl(process.stderr, fcntl.F_SETPIPE_SZ, 4096)
            said = ""
            while "galenic/cli/" not in said:
                said = process.stderr.readline()
            process.send_signal(signal.SIGINT)
            rest = process.stderr.read()
    finally:
        signal.signal(signal.SIGINT, before)
    assert process.returncode in (130, -signal.SIGINT)
    assert "Traceback" not in rest


def test_the_owner_of_a_key_is_shown_on_one_line(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    code, said = ended(["keys", "create", "ada", "--role", "clinician", "--person", "a\nb"], capsys)
    assert (code, "characters that are not allowed" in said) == (2, True), said
    assert not list((home / "keys").glob("ada*"))
