"""Jobs survive kill -9, do nothing twice, stop when told and go on when told; on both databases."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pyarrow.csv as pacsv
import pytest

from galenic import store
from galenic.custody import IMPORTERS, Importer, ImportPlan, ImportRequest, ImportResult, RowRange
from galenic.errors import UnknownNameError
from galenic.installation import Installation
from galenic.jobs import KINDS, import_state, running_jobs
from galenic.security import Session
from galenic.store import jobs
from made import made_patients

SLOW = """
import sys, time
from pathlib import Path
from galenic.store import jobs
def advance(state):
    with open(state["file"], "a") as f:
        f.write(f"{state['n']}\\n")
    time.sleep(0.05)
    n = state["n"] + 1
    return {**state, "n": n, "done": n >= 40, "share": n / 40}
if __name__ == "__main__":
    with jobs.open_runner(sys.argv[1], {"count": advance}) as j:
        print(j.start("count", {"n": 0, "file": sys.argv[2]}), flush=True)
        time.sleep(60)
"""


def advance(state: dict) -> dict:
    with Path(state["file"]).open("a") as f:
        f.write(f"{state['n']}\n")
    time.sleep(0.05)
    n = state["n"] + 1
    return {**state, "n": n, "done": n >= 40, "share": n / 40}


@pytest.fixture(params=["sqlite", "postgresql"])
def url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path / 'jobs.db'}"
    return str(request.getfixturevalue("postgresql"))


@pytest.mark.filterwarnings("ignore")  # DBOS leaves sockets and threads to the collector
def test_a_killed_job_goes_on_after_its_last_step(url: str, tmp_path: Path) -> None:
    (tmp_path / "slow.py").write_text(SLOW)
    process = subprocess.Popen(
        [sys.executable, tmp_path / "slow.py", url, tmp_path / "steps"], stdout=subprocess.PIPE, text=True
    )
    with process:
        assert process.stdout
        job = process.stdout.readline().strip()
        deadline = time.time() + 60
        while time.time() < deadline and not (
            (tmp_path / "steps").exists() and len((tmp_path / "steps").read_text().split()) >= 5
        ):
            time.sleep(0.02)
        os.kill(process.pid, signal.SIGKILL)
    with jobs.open_runner(url, {"count": advance}) as again:
        assert again.wait(job)["n"] == 40
        done = again.get(job)
        assert (done.state, done.share, done.steps) == ("SUCCESS", 1.0, 40)
    counted = [int(n) for n in (tmp_path / "steps").read_text().split()]
    assert sorted(set(counted)) == list(range(40))
    assert len(counted) <= 42  # the step under way when it died, and at most one more, ran again


@pytest.mark.filterwarnings("ignore")
def test_a_job_is_cancelled_and_resumed(tmp_path: Path) -> None:
    with jobs.open_runner(f"sqlite:///{tmp_path / 'jobs.db'}", {"count": advance}) as work:
        job = work.start("count", {"n": 0, "file": str(tmp_path / "steps")})
        while work.get(job).steps < 3:
            time.sleep(0.02)
        work.cancel(job)
        deadline = time.time() + 30
        while work.get(job).state != "CANCELLED" and time.time() < deadline:
            time.sleep(0.02)
        time.sleep(0.3)
        stopped = len((tmp_path / "steps").read_text().split())
        assert stopped < 39
        work.resume(job)
        assert work.wait(job)["n"] == 40
        with pytest.raises(UnknownNameError, match="no job"):
            work.cancel("nobody")
        with pytest.raises(UnknownNameError, match="kind of job"):
            work.start("dance", {})


def import_plan(file: Path, name: str) -> ImportPlan:
    return IMPORTERS["table"].plan([file], ImportRequest(name, patient="patient_id"))


def test_a_step_of_an_import_that_was_cut_short_writes_no_row_twice(custody: Installation, tmp_path: Path) -> None:
    pacsv.write_csv(made_patients(5_000), tmp_path / "patients.csv")
    state = {**import_state(custody, "table", import_plan(tmp_path / "patients.csv", "big"), "inge"), "step": 3_000}
    first = KINDS["import"].advance(state)
    again = KINDS["import"].advance(state)  # as after a kill between the rows and the note that they were written
    assert first["rows_before"] == again["rows_before"] == 3_000
    last = KINDS["import"].advance(again)
    assert last["done"]
    known = store.dataset(custody.db, "big", "home")
    with custody.gate.open(custody.sign_in("paul"), "read", "dataset/big", "quality") as handle:
        found = [v for t in store.read(custody.db, handle, known, ["patient_id"]) for v in t["patient_id"].to_pylist()]
    assert found == [f"P{i:06d}" for i in range(5_000)]


class OtherImporter(Importer):
    """Imports nothing; keeps the ranges that it was asked for."""

    def __init__(self) -> None:
        self.ranges: list[RowRange] = []

    def plan(self, paths: list[Path], request: ImportRequest) -> ImportPlan:
        return ImportPlan(request, tuple(paths), in_steps=True)

    def resume(self, _installation: Installation, _session: Session, plan: ImportPlan, rows: RowRange) -> ImportResult:
        self.ranges.append(rows)
        return ImportResult(plan.request.dataset)


def test_a_step_uses_the_importer_of_the_kind_that_the_job_was_started_with(
    custody: Installation, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pacsv.write_csv(made_patients(3), tmp_path / "patients.csv")
    other = OtherImporter()
    monkeypatch.setitem(IMPORTERS, "other", other)
    plan = other.plan([tmp_path / "patients.csv"], ImportRequest("new", patient="patient_id"))
    state = import_state(custody, "other", plan, "inge")
    assert KINDS["import"].advance(state)["done"]
    assert other.ranges == [RowRange(0, state["step"])]
    KINDS["import"].advance({name: value for name, value in state.items() if name != "kind"})
    assert len(other.ranges) == 1, "a job of an earlier version imports a table"
    assert store.dataset(custody.db, "new", "home")["next_row"] == 3


@pytest.mark.filterwarnings("ignore")
def test_an_import_runs_as_a_job(custody: Installation, tmp_path: Path) -> None:
    pacsv.write_csv(made_patients(300), tmp_path / "patients.csv")
    with running_jobs(custody) as work:
        job = work.start("import", import_state(custody, "table", import_plan(tmp_path / "patients.csv", "small"), "inge"))
        assert work.wait(job)["done"]
        assert [j.state for j in work.all()] == ["SUCCESS"]
    assert store.dataset(custody.db, "small", "home")["next_row"] == 300


PERFORM = """
import sys, time
from pathlib import Path
from galenic.installation import open_installation
from galenic.jobs import KINDS, running_jobs
from galenic.jobs.kinds import JobFunctions
def advance(state):
    with open(state["file"], "a") as f:
        f.write(f"{state['n']}\\n")
    time.sleep(0.1)
    n = state["n"] + 1
    return {**state, "n": n, "done": Path(state["file"] + ".end").exists(), "share": 0.5}
KINDS["count"] = JobFunctions(None, advance)
with running_jobs(open_installation()) as j:
    print("at work", flush=True)
    if len(sys.argv) > 1:
        j.wait(j.start("count", {"n": 0, "file": sys.argv[1]}))
    else:
        time.sleep(2)
"""


@pytest.mark.parametrize("database", ["sqlite", "postgresql"])
def test_a_job_that_is_under_way_is_not_performed_by_a_second_process(
    request: pytest.FixtureRequest, home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, database: str
) -> None:
    """Each process goes on with what an earlier one left, and cannot tell that from what another one does now."""
    if database == "postgresql":
        monkeypatch.setenv("GALENIC_DATABASE", request.getfixturevalue("postgresql"))
    (tmp_path / "perform.py").write_text(PERFORM)
    command = [sys.executable, str(tmp_path / "perform.py")]
    with subprocess.Popen([*command, tmp_path / "steps"], stdout=subprocess.PIPE, text=True) as first:
        assert first.stdout is not None
        assert "at work" in first.stdout.readline()
        second = subprocess.run(command, capture_output=True, text=True, check=False)
        assert "StateError" in second.stderr
        assert "are already being performed" in second.stderr
        (tmp_path / "steps.end").touch()
        assert first.wait(60) == 0
    steps = (tmp_path / "steps").read_text().split()
    assert steps == [str(n) for n in range(len(steps))]
