"""The registry of the kinds of jobs is complete."""

import ast
import inspect
from pathlib import Path

import pytest

from galenic import jobs
from galenic.errors import UnknownNameError
from galenic.installation import open_installation
from galenic.jobs import KINDS, CostEstimate, JobKind, estimate_job
from galenic.security import Session

FOLDER = Path(inspect.getfile(jobs)).parent


def functions(prefix: str) -> set[str]:
    """Functions of the package whose names begin so."""
    return {
        node.name
        for file in FOLDER.glob("*.py")
        for node in ast.parse(file.read_text(encoding="utf-8")).body
        if isinstance(node, ast.FunctionDef) and node.name.startswith(prefix)
    }


def test_every_step_function_of_the_package_belongs_to_a_kind() -> None:
    assert {kind.advance.__name__ for kind in KINDS.values()} == functions("advance_")


@pytest.mark.parametrize("name", KINDS)
def test_a_kind_can_estimate_its_cost_and_advance(name: str) -> None:
    kind: JobKind = KINDS[name]
    assert len(inspect.signature(kind.estimate).parameters) == 3
    assert len(inspect.signature(kind.advance).parameters) == 1


def test_the_names_that_stored_jobs_carry_are_kept() -> None:
    assert set(KINDS) >= {"import", "synthesis", "quality", "bulk", "copy"}


def test_the_cost_of_an_import_is_the_rows_of_its_file_and_an_unknown_kind_is_refused(tmp_path: Path) -> None:
    installation = open_installation(tmp_path)
    nobody = Session("1", "nobody", "home", "")
    assert estimate_job(installation, nobody, "import", {"total": 7}) == CostEstimate(rows=7)
    with pytest.raises(UnknownNameError, match="kind of job"):
        estimate_job(installation, nobody, "dance", {})
