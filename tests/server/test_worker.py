"""The worker: it dies and is there again; what it was doing is not done twice; what is stopped ends."""

import os
import signal
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from galenic import jobs
from galenic.custody import server_session
from galenic.errors import OptionError, UnknownNameError
from galenic.installation import Installation, open_installation
from galenic.jobs import SynthesisParameters
from galenic.jobs.synthesis import DIED
from galenic.security import Session
from galenic.server import setup


@pytest.fixture
def lab(tmp_path: Path) -> Iterator[tuple[Installation, Session]]:
    """An installation with a cohort, and a data scientist's session."""
    installation = open_installation(tmp_path / "home")
    server = server_session(installation)
    setup.import_simulated_cohort(installation, server, count=5_000)
    installation.ledger.declare(setup.COHORT, epsilon=4.0, delta=1e-8, actor="petra")
    installation.people.write("dana", "dana@clinic.example", "Dana", "active")
    installation.people.grant("dana", "dana@clinic.example", "data-scientist", by="sofia", approved="otto")
    session = installation.gate.begin(
        "dana", how="test", seconds=3_600, about=(("purposes", "research synthetic-data"), ("scope", "user/*.rs"))
    )
    yield installation, session
    installation.close()


def ended(installation: Installation, job: str, seconds: float = 90) -> jobs.JobStatus:
    deadline = time.monotonic() + seconds
    while not jobs.job_status(installation, job).ended and time.monotonic() < deadline:
        time.sleep(0.2)
    return jobs.job_status(installation, job)


@pytest.mark.filterwarnings("ignore")  # DBOS leaves sockets and threads to the collector
def test_a_worker_that_dies_is_there_again_and_spends_nothing_twice(lab: tuple[Installation, Session]) -> None:
    installation, session = lab
    with jobs.worker_process(installation) as number:
        first = number()
        job = jobs.submit_synthesis(installation, session, SynthesisParameters(setup.COHORT, epsilon=1.0))
        while not jobs.job_status(installation, job).message:  # the worker reports a step once it has marked it as started
            time.sleep(0.05)
        os.kill(first, signal.SIGKILL)
        found = ended(installation, job)
        assert (found.state, found.message) == ("failed", DIED)
        assert number() != first
        again = ended(
            installation, jobs.submit_synthesis(installation, session, SynthesisParameters(setup.COHORT, epsilon=1.0))
        )
        assert again.state == "done", again.message
    spent = installation.ledger.statement(setup.COHORT).epsilon_spent
    assert spent <= 2.0 * 1.01, "what the dead worker had reserved counts once"


@pytest.mark.filterwarnings("ignore")
def test_a_job_ends_with_the_right_of_whoever_asked_or_when_stopped(lab: tuple[Installation, Session]) -> None:
    installation, session = lab
    waiting = synthesis_before_a_worker(installation, session)
    with jobs.worker_process(installation):
        pass  # its tables are there from now on
    first, second = (jobs.submit_quality(installation, session, setup.COHORT) for _ in range(2))
    jobs.stop_job(installation, session, second)
    assert jobs.job_status(installation, second).state == "stopped"
    installation.people.end_sessions("dana")
    with jobs.worker_process(installation):
        found = ended(installation, first)
    assert found.state == "failed"
    assert "no longer active or has lost a role" in found.message
    with pytest.raises(UnknownNameError, match="this job does not exist, or is not yours"):
        jobs.stop_job(installation, Session("other", "other", "home", ""), first)
    assert waiting


def synthesis_before_a_worker(installation: Installation, session: Session) -> bool:
    """Without a worker there is nobody to take a job, and that is said."""
    from galenic.errors import StoreError

    with pytest.raises(StoreError, match="no worker has run here yet"):
        jobs.submit_synthesis(installation, session, SynthesisParameters(setup.COHORT, epsilon=1.0))
    return jobs.all_job_statuses(installation) == []


def test_what_may_not_be_asked_is_refused_before_a_job_is_made(lab: tuple[Installation, Session]) -> None:
    installation, session = lab
    with pytest.raises(UnknownNameError, match="target column does not exist"):
        jobs.submit_synthesis(installation, session, SynthesisParameters(setup.COHORT, epsilon=1.0, target="nothing"))
    with pytest.raises(OptionError, match="epsilon must be from"):
        jobs.submit_synthesis(installation, session, SynthesisParameters(setup.COHORT, epsilon=50.0))
    stranger = installation.gate.begin("galenic-server", how="test", seconds=60)
    with pytest.raises(OptionError, match="may not train") as refused:  # as before: exit code 2, HTTP status 400
        jobs.submit_synthesis(installation, stranger, SynthesisParameters(setup.COHORT, epsilon=1.0))
    assert refused.value.exit_code == 2
    cost = jobs.estimate_job(installation, session, "synthesis", {"dataset": setup.COHORT, "epsilon": 9.0})
    assert cost.budget is not None
    assert not cost.budget.sufficient
