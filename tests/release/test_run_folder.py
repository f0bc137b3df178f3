"""Only `release.Run` writes and deletes run folders; others ask it."""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

from galenic.errors import UnknownNameError
from galenic.installation import Installation
from galenic.release import Run
from galenic.release.run import ARTIFACT, ATTESTATION, INTERNAL, REJECTION, SHEET, SIGNATURES

SOURCE = Path(__file__).parents[2] / "src" / "galenic"
NAMES = {ARTIFACT, ATTESTATION, INTERNAL, REJECTION, SHEET, SIGNATURES}  # of files and folders in the folder of a run
CONSTANTS = {"ARTIFACT", "ATTESTATION", "INTERNAL", "REJECTION", "SHEET", "SIGNATURES"}
RELEASE_FOLDER = {  # the copy that is outside has some of the names
    "release/register.py": "writes it",
    "release/verification.py": "reads it",
    "release/verify_release.py": "reads it, and is run by recipients alone",
}

DELETES_FOLDERS = {  # none of them a run
    "store/files.py": "files aside that were not moved into place",
    "custody/bulk_files.py": "builds of bulk exports",
    "privacy/deidentification/files.py": "a partial copy",
    "privacy/deidentification/partitions.py": "parts of a copy",
    "privacy/deidentification/planting/measurement.py": "planted copies and their outputs",
    "release/run.py": "runs",
}
KNOWS_RUN_FOLDERS = {"installation.py", "release/run.py"}


def nodes() -> Iterator[tuple[str, ast.AST]]:
    """(file, node) of the whole source."""
    for path in sorted(SOURCE.rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            yield str(path.relative_to(SOURCE)), node


def test_only_these_files_delete_folders() -> None:
    calling = {file for file, node in nodes() if isinstance(node, ast.Attribute | ast.Name) and "rmtree" in ast.unparse(node)}
    assert calling == set(DELETES_FOLDERS)


def test_only_a_run_turns_its_id_into_a_folder() -> None:
    def makes_folder(node: ast.AST) -> bool:
        call = isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr == "run"
        joined = isinstance(node, ast.BinOp) and isinstance(node.op, ast.Div) and ast.unparse(node.left).endswith(".runs")
        return joined or (call and ast.unparse(node).split("(")[0].endswith("installation.run"))

    assert {file for file, node in nodes() if makes_folder(node)} <= KNOWS_RUN_FOLDERS


def test_only_a_run_names_the_files_in_its_folder() -> None:
    def names_file(node: ast.AST) -> bool:
        if not isinstance(node, ast.BinOp) or not isinstance(node.op, ast.Div):
            return False
        right = node.right
        return (isinstance(right, ast.Constant) and right.value in NAMES) or (
            isinstance(right, ast.Name) and right.id in CONSTANTS
        )

    assert {file for file, node in nodes() if names_file(node)} == {"release/run.py", *RELEASE_FOLDER}


def test_a_discarded_run_is_gone_others_stay_and_nothing_is_audited(installation: Installation) -> None:
    for name in ("20260101-000000-aaaaaa", "20260101-000000-bbbbbb"):
        sheet = installation.runs / name / INTERNAL / SHEET
        sheet.parent.mkdir(parents=True)
        sheet.write_text("{}", encoding="utf-8")
    run, other = Run.all(installation)
    before = installation.audit.head()
    run.discard()
    run.discard()  # an interrupted erasure is repeated
    with pytest.raises(UnknownNameError, match="there is no run"):
        Run.open(installation, run.id)
    assert [r.id for r in Run.all(installation)] == [other.id]
    assert installation.audit.head() == before
