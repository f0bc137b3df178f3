"""Names of the files that de-identification writes: no part of them may name a person."""

from pathlib import Path

from typer.testing import CliRunner

from galenic.cli import app
from galenic.privacy.deidentification import DeidentificationOptions, deidentify

NOTE = "The patient was seen for chest pain. Blood pressure 120/80 mmHg.\n"
NAMING = [
    "GretaZwingli.txt",
    "x.zwingli.txt",
    "zwingli.ndjson.txt",
    "notes of zwingli.txt",
    "visit-80331.txt",
    "Zwingli, G.txt",
    "Łukasz.txt",
]
PLAIN = ["notes.txt", "discharge summary 12.txt", "lab_results.txt", "a.txt"]


def test_names_of_files_are_kept_only_if_all_their_words_are_known(tmp_path: Path) -> None:
    source = tmp_path / "in"
    source.mkdir()
    for name in (*NAMING, *PLAIN):
        (source / name).write_text(NOTE, encoding="utf-8")
    deidentify([source], tmp_path / "out", DeidentificationOptions(measured=False))
    names = {f.name for f in (tmp_path / "out").iterdir()}
    assert len(names) == len(NAMING) + len(PLAIN)
    assert set(PLAIN) <= names
    assert all(n[:6].isdecimal() and n[6:] in (".txt", ".ndjson.txt") for n in names - set(PLAIN))


def test_a_refusal_keeps_the_suffix_of_a_picture_or_a_spreadsheet_and_no_name_of_a_person(tmp_path: Path) -> None:
    source = tmp_path / "in"
    source.mkdir()
    for name in ("picture.png", "sheet.xlsx", "GretaZwingli.pdf"):
        (source / name).write_bytes(b"\x89\x00")
    done = deidentify([source], tmp_path / "out", DeidentificationOptions(measured=False))
    assert set(dict(done.refusals)) == {"picture.png", "sheet.xlsx", "000000.pdf"}


def test_the_terminal_names_the_input_file_and_the_report_its_number(tmp_path: Path) -> None:
    (tmp_path / "vendrulo.txt").write_text('{"n": "maksil"}', encoding="utf-8")
    report = tmp_path / "report.json"
    options = ["--out", str(tmp_path / "out"), "--report", str(report)]
    shown = CliRunner().invoke(app, ["deidentify", str(tmp_path / "vendrulo.txt"), *options])
    assert "refused: vendrulo.txt" in shown.output
    assert "vendrulo" not in report.read_text(encoding="utf-8")
