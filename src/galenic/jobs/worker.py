"""Jobs that people ask for and a worker does: a process of its own, without network, under the right of whoever asked."""

import contextlib
import json
import os
import secrets
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any
from urllib.parse import urlsplit

from galenic import settings, store
from galenic.errors import AccessDeniedError, DescriptionError
from galenic.installation import Installation
from galenic.jobs.table_import import jobs_url
from galenic.schema import Progress
from galenic.security import Fact, Session, network_sandbox
from galenic.store import jobs

SECONDS = 12 * 3600  # that a job may take
READY = "at work"
AGAIN, ENDING = 1.0, 20  # s until a worker that died is started again; that one may take to end


@dataclass(frozen=True)
class JobStatus:
    """How a job stands. state: waiting, running, done, failed, stopped; what: what is being done; by: who asked."""

    id: str
    kind: str
    state: str
    what: str
    share: float
    by: str
    about: dict[str, Any]

    @property
    def ended(self) -> bool:
        """Whether nothing more comes of it."""
        return self.state in ("done", "failed", "stopped")


STATES = {"ENQUEUED": "waiting", "DELAYED": "waiting", "PENDING": "running", "SUCCESS": "done", "CANCELLED": "stopped"}


def submit_job(installation: Installation, session: Session, kind: str, about: dict[str, Any]) -> str:
    """Asks for a job in somebody's name; returns its id. It runs under a session of its own, which ends with their rights."""
    fact = installation.facts.one("session", session.id)
    secret = "job-" + secrets.token_hex(20)
    body = tuple((n, fact.get(n)) for n in ("purposes", "scope") if fact is not None and fact.get(n) is not None)
    installation.gate.begin(session.who, how=f"job {kind}", seconds=SECONDS, name=secret, about=body)
    state = {**about, "home": str(installation.home), "session": secret, "by": session.who, "ticket": secrets.token_hex(12)}
    asked = jobs.JobQueue(jobs_url(installation))
    try:
        job = asked.ask(kind, state)
    finally:
        asked.close()
    installation.facts.put(Fact("job", f"work/{job}", "asked", session.who, label=kind), actor=session.who)
    return job


def job_status(installation: Installation, job: str) -> JobStatus:
    """How a job stands that was asked for by `ask`. DescriptionError if there is none."""
    fact = installation.facts.one("job", f"work/{job}")
    if fact is None:
        raise DescriptionError("there is no such job.")
    asked = jobs.JobQueue(jobs_url(installation))
    try:
        return _doing(installation, fact, asked.get(job))
    finally:
        asked.close()


def all_job_statuses(installation: Installation, who: str = "", limit: int = 200) -> list[JobStatus]:
    """Jobs that were asked for, newest first. who: by whom alone."""
    facts = {
        f.key.partition("/")[2]: f for f in installation.facts.of("job") if f.key.startswith("work/") and who in ("", f.who)
    }
    asked = jobs.JobQueue(jobs_url(installation))
    try:
        return [_doing(installation, facts[j.id], j) for j in asked.all(limit) if j.id in facts]
    finally:
        asked.close()


def stop_job(installation: Installation, session: Session, job: str) -> None:
    """Stops a job: at once where it waits; else its right ends, and with that what it is doing."""
    fact = installation.facts.one("job", f"work/{job}")
    if fact is None or fact.who != session.who:
        raise DescriptionError("there is no such job of yours.")
    asked = jobs.JobQueue(jobs_url(installation))
    try:
        own = asked.get(job).kept.get("session", "")
        asked.cancel(job)
    finally:
        asked.close()
    found = installation.gate.session(str(own))
    if found is not None:
        installation.gate.end(found[0])
    installation.audit.append("job.stopped", job, actor=session.who)


def _doing(installation: Installation, fact: Fact, job: jobs.Job) -> JobStatus:
    kept = job.kept
    state = STATES.get(job.state, "failed")
    if state == "done" and kept.get("error"):
        state = "failed"
    what, share = str(kept.get("error") or kept.get("what") or ""), job.share
    if state == "running":
        with contextlib.suppress(OSError, ValueError):
            told = json.loads(_told(installation, str(kept.get("ticket"))).read_text(encoding="utf-8"))
            what, share = told["what"], max(share, told["share"])
    return JobStatus(job.id, job.kind, state, what, 1.0 if state == "done" else share, fact.who, kept)


def _told(installation: Installation, ticket: str) -> Path:
    return installation.home / "jobs" / f"{ticket}.json"


def progress_writer(installation: Installation, state: dict[str, Any]) -> Progress:
    """Progress of a step, told to whoever looks. Holds no data."""
    place = _told(installation, state["ticket"])
    place.parent.mkdir(exist_ok=True, mode=0o700)

    def tell(what: str, share: float) -> None:
        with store.file_aside(place) as aside:
            aside.write_text(json.dumps({"what": what, "share": share}), encoding="utf-8")

    return tell


def already_started(installation: Installation, state: dict[str, Any]) -> bool:
    """Whether an earlier worker began this step, and died in it."""
    place = _told(installation, state["ticket"])
    if place.exists():
        return True
    progress_writer(installation, state)("begun", 0.0)
    return False


def job_session(installation: Installation, state: dict[str, Any]) -> Session:
    """The session that a job runs under. AccessDenied where it ended."""
    found = installation.gate.session(str(state["session"]))
    if found is None or found[0].who != state["by"]:
        raise AccessDeniedError("whoever asked for this job has left, lost a role, or stopped it.")
    return found[0]


def outside_hosts() -> frozenset[str]:
    """Hosts at which the house keeps its root key or its witness: the only ones that a worker calls."""
    places = settings.load()
    found = [p.partition(":")[2] for p in (places.root, *places.witness) if p.startswith(("vault:", "syslog:"))]
    return frozenset(str(urlsplit(p if "//" in p else f"//{p}").hostname) for p in found)


def run_worker(installation: Installation, until: IO[str]) -> None:
    """Does what is asked for, without network, until there is nothing more to read from `until`."""
    from galenic.jobs.kinds import KINDS  # noqa: PLC0415  # which takes this file

    network_sandbox.block_network(outside_hosts())
    how = os.environ.get("GALENIC_NAMESPACE", "shared")
    store.telemetry.log("info", "a worker is at work without network", step=f"network namespace: {how}")
    with jobs.opened(jobs_url(installation), KINDS):
        print(READY, flush=True)  # noqa: T201  # to whoever started it
        until.read()


@contextlib.contextmanager
def worker_process(installation: Installation) -> Iterator[Callable[[], int]]:
    """A worker for as long as the block lasts: a process of its own, started again where it dies. Yields what tells its number."""
    ending, workers = threading.Event(), [_started(installation)]

    def watch() -> None:
        while not ending.is_set():
            workers[0].wait()
            if ending.wait(AGAIN):
                return
            store.telemetry.log("warning", "a worker ended, and is started again")
            _closed(workers[0])
            with contextlib.suppress(DescriptionError):  # tried again
                workers[0] = _started(installation)

    watching = threading.Thread(target=watch, daemon=True)
    watching.start()
    try:
        yield lambda: workers[0].pid
    finally:
        ending.set()
        _closed(workers[0])
        watching.join(AGAIN)


def _started(installation: Installation) -> subprocess.Popen[str]:
    given = {**os.environ, "GALENIC_HOME": str(installation.home), "LOGNAME": installation.actor}
    command = [sys.executable, "-m", "galenic", "work"]
    if installation.db.is_sqlite and not outside_hosts():
        command = [sys.executable, "-S", network_sandbox.__file__, *command]  # without network by the kernel's word, too
    worker = subprocess.Popen(  # noqa: S603  # nosec B603  # ourselves
        command, env=given, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    if worker.stdout is None or not worker.stdout.readline().startswith(READY):
        _closed(worker)
        raise DescriptionError("the worker did not start. See the log of the installation.")
    return worker


def _closed(worker: subprocess.Popen[str]) -> None:
    """Ends a worker: what it reads ends, and with that its work; if that takes long, at once."""
    with contextlib.suppress(OSError):
        if worker.stdin is not None:
            worker.stdin.close()
    try:
        worker.wait(ENDING)
    except subprocess.TimeoutExpired:
        worker.kill()
        worker.wait()
    if worker.stdout is not None:
        worker.stdout.close()
