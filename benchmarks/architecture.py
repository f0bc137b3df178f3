"""Figures of the architecture: sizes, interfaces, cycles, types, and how many source files take part in one command or request.

The same figures of the commit before the architecture was enforced stand beside them, measured in the same run; that of a search
needs the names of this tree and is measured on it alone.
"""

import contextlib
import json
import os
import subprocess
import sys
import tempfile
import threading
import time
import tomllib
from collections.abc import Callable, Iterator
from inspect import CO_OPTIMIZED
from pathlib import Path
from types import FrameType
from typing import Any, Self

from architecture_structure import figures
from architecture_synthesize import synthesize_files
from rows import HERE, row, write

ROOT = Path(__file__).parents[1]
SOURCES = ROOT / "src" / "galenic"
BEFORE = "15b757e"


class CallRecorder:
    """Records which files of src/galenic have a function that is called, in this thread and in those that start after it was
    entered. Module and class bodies do not count."""

    def __init__(self) -> None:
        self._recording = False
        self._files: set[str] = set()

    def __enter__(self) -> Self:
        sys.setprofile(self._called)
        threading.setprofile(self._called)
        return self

    def __exit__(self, *_error: object) -> None:
        sys.setprofile(None)
        threading.setprofile(None)

    def _called(self, frame: FrameType, event: str, _argument: object) -> None:
        if self._recording and event == "call" and frame.f_code.co_flags & CO_OPTIMIZED:
            self._files.add(frame.f_code.co_filename)

    def files_of(self, work: Callable[[], Any]) -> list[str]:
        """Files in which a function was called while `work` ran."""
        self._files.clear()
        self._recording = True
        try:
            work()
        finally:
            self._recording = False
        return sorted(str(Path(f).relative_to(SOURCES)) for f in self._files if Path(f).is_relative_to(SOURCES))


def files_touched_by(work: Callable[[], Any]) -> list[str]:
    """Files of src/galenic in which a function is called while `work` runs, in its thread and in those that it starts."""
    with CallRecorder() as recorder:
        return recorder.files_of(work)


def search_files(count: int = 50) -> list[str]:
    """Files that take part in `GET /Patient?name=` on a served installation with simulated patients, after earlier requests."""
    sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))
    from galenic.custody import server_session  # noqa: PLC0415
    from galenic.server import setup  # noqa: PLC0415
    from server_made import a_server  # noqa: PLC0415

    with CallRecorder() as recorder, tempfile.TemporaryDirectory() as folder, a_server(Path(folder) / "home") as client:
        ehr = client("ehr")
        setup.import_simulated_records(ehr.installation, server_session(ehr.installation), Path(folder), count=count)
        ehr.repository.catch_up()
        ehr.make({"resourceType": "Patient", "name": [{"family": "Architect"}]})

        def search() -> None:
            assert ehr.found("Patient?name=architect")

        for _ in range(20):  # every thread of the server has served
            search()
        time.sleep(1)  # longer than the interval at which the index is refreshed
        return recorder.files_of(search)


def strict_errors(sources: Path) -> int:
    """Errors that `mypy --strict` reports for the package below `sources`."""
    command = [sys.executable, "-m", "mypy", "--strict", "--config-file", ROOT / "pyproject.toml", sources / "galenic"]
    environment = {**os.environ, "MYPYPATH": str(sources)}
    with tempfile.TemporaryDirectory() as cache:
        done = subprocess.run(
            [*map(str, command), "--cache-dir", cache],
            capture_output=True,
            text=True,
            check=False,
            env=environment,
            cwd=sources,
        )
    if done.returncode not in (0, 1):
        raise SystemExit(f"mypy ended with {done.returncode}: {done.stderr[-500:]}")
    return done.stdout.count(": error:")


@contextlib.contextmanager
def sources_of(commit: str) -> Iterator[Path]:
    """The folder src of an earlier commit, in a temporary folder."""
    with tempfile.TemporaryDirectory() as folder:
        packed = subprocess.run(["git", "archive", commit, "src"], cwd=ROOT, capture_output=True, check=True).stdout
        subprocess.run(["tar", "-x", "-C", folder], input=packed, check=True)
        yield Path(folder) / "src"


def structure_rows(now: dict[str, float], before: dict[str, float]) -> list[dict]:
    """Rows of what the syntax of the source tree shows."""
    targets = {
        "flows_lines": ("lines of flows", 2_200),
        "flows_longest_file": ("lines of the longest file of flows", 60),
        "imports_past_public_interfaces": ("imports of a module past the __init__ of its package", 0),
        "module_cycles": ("sets of modules that import each other", 0),
        "files_over_400_lines": ("files over 400 lines", 0),
        "functions_over_40_lines": ("functions over 40 lines", 0),
        "functions_over_6_parameters": ("functions over 6 parameters, self and cls not counted", 0),
        "strict_errors": ("errors of mypy --strict", 0),
        "synthesize_files": ("source files called by `galenic table synthesize FILE` before the table is read", 10),
    }
    return [
        row(
            f"architecture.{name}",
            what,
            "count",
            now[name],
            f"<= {most}" if most else "0",
            now[name] <= most,
            peers={f"before (commit {BEFORE})": before[name]},
        )
        for name, (what, most) in targets.items()
    ]


def questions_row() -> dict:
    """Right answers of a reader who saw the names of files and not the code (results/architecture_answers.json)."""
    questions = tomllib.loads((HERE / "architecture_questions.toml").read_text(encoding="utf-8"))["question"]
    answers = json.loads((HERE / "results" / "architecture_answers.json").read_text(encoding="utf-8"))
    right = sum(answer in q["accepted"] for q, answer in zip(questions, answers, strict=True))
    what = f'"where is X?": right answers to {len(questions)} questions by one reader of the names of files, who had not read the code'
    return row(
        "architecture.where_is",
        what,
        "answers",
        right,
        ">= 18",
        right >= 18,
        peers={"before, by another reader, not measured in this run": 15},
    )


def main() -> None:
    """Measures this tree and the one before the architecture, and writes the rows."""
    with sources_of(BEFORE) as earlier:
        before = {
            **figures(earlier),
            "strict_errors": strict_errors(earlier),
            "synthesize_files": len(synthesize_files(earlier)),
        }
    sources = ROOT / "src"
    now = {**figures(sources), "strict_errors": strict_errors(sources), "synthesize_files": len(synthesize_files(sources))}
    found = structure_rows(now, before)
    searched = len(search_files())
    what = "source files called by GET /Patient?name=, after earlier requests"
    found.append(row("architecture.search_files", what, "count", searched, "<= 16", searched <= 16))
    found.append(questions_row())
    write("architecture", found)


if __name__ == "__main__":
    main()
