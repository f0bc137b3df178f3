"""Client of the job queue: submit a job, read its status, cancel it."""

import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from galenic import store
from galenic.errors import AccessDeniedError, UnknownNameError
from galenic.installation import Installation
from galenic.jobs.progress import JobStatus, status_of
from galenic.security import Fact, Session
from galenic.store import jobs

SESSION_SECONDS = 12 * 3600  # time limit of a job


def jobs_url(installation: Installation) -> str:
    """URL of the database of jobs: a file beside the SQLite database, or the same PostgreSQL database."""
    if installation.db.is_sqlite:
        store.make_private(installation.home / "jobs.db")
        return f"sqlite:///{installation.home / 'jobs.db'}"
    return installation.db.url.render_as_string(hide_password=False)


@contextmanager
def job_queue(installation: Installation) -> Iterator[jobs.JobQueue]:
    """Job queue of an installation. This process performs none of the jobs."""
    queue = jobs.JobQueue(jobs_url(installation))
    try:
        yield queue
    finally:
        queue.close()


def submit_job(installation: Installation, session: Session, kind: str, parameters: dict[str, Any]) -> str:
    """Submits a job in the user's name and returns its id. It runs in a separate session, which ends with the user's rights."""
    fact = installation.facts.one("session", session.id)
    secret = "job-" + secrets.token_hex(20)
    inherited = tuple((n, fact.get(n)) for n in ("purposes", "scope") if fact is not None and fact.get(n) is not None)
    installation.gate.begin(session.who, how=f"job {kind}", seconds=SESSION_SECONDS, name=secret, about=inherited)
    state = {
        **parameters,
        "home": str(installation.home),
        "session": secret,
        "by": session.who,
        "ticket": secrets.token_hex(12),
    }
    with job_queue(installation) as queue:
        job = queue.submit(kind, state)
    installation.facts.put(Fact("job", f"work/{job}", "asked", session.who, label=kind), actor=session.who)
    return job


def _submitted(installation: Installation, job: str) -> Fact:
    fact = installation.facts.one("job", f"work/{job}")
    if fact is None:
        raise UnknownNameError("this job does not exist.")
    return fact


def job_status(installation: Installation, job: str) -> JobStatus:
    """Status of a submitted job. Raise UnknownNameError if it does not exist."""
    fact = _submitted(installation, job)
    with job_queue(installation) as queue:
        return status_of(installation, queue.get(job), fact.who)


def all_job_statuses(installation: Installation, user: str = "", limit: int = 200) -> list[JobStatus]:
    """The statuses of submitted jobs, newest first. user: only the jobs of this user."""
    users = {
        f.key.partition("/")[2]: f.who
        for f in installation.facts.of("job")
        if f.key.startswith("work/") and user in ("", f.who)
    }
    with job_queue(installation) as queue:
        return [status_of(installation, job, users[job.id]) for job in queue.all(limit) if job.id in users]


def stop_job(installation: Installation, session: Session, job: str) -> None:
    """Cancels a job of the user: at once if it is waiting. Otherwise its session ends, and with it the running step."""
    fact = installation.facts.one("job", f"work/{job}")
    if fact is None or fact.who != session.who:
        raise UnknownNameError("this job does not exist, or is not yours.")
    with job_queue(installation) as queue:
        job_session_id = str(queue.get(job).data.get("session", ""))
        queue.cancel(job)
    running = installation.gate.session(job_session_id)
    if running is not None:
        installation.gate.end(running[0])
    installation.audit.append("job.stopped", job, actor=session.who)


def job_session(installation: Installation, state: dict[str, Any]) -> Session:
    """Session of a job. Raise AccessDeniedError if it has ended."""
    session_and_fact = installation.gate.session(str(state["session"]))
    if session_and_fact is None or session_and_fact[0].who != state["by"]:
        raise AccessDeniedError(
            "the account of the user who requested this job is no longer active or has lost a role, or the user has "
            "canceled the job."
        )
    return session_and_fact[0]
