"""The worker: it dies and is there again; what it was doing is not done twice; what is stopped ends."""

import os
import signal
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from galenic import flows
from galenic.errors import AccessDenied, DescriptionError
from galenic.flows import quality_job, serving, synthesis_job, work
from galenic.security import Session


@pytest.fixture
def lab(tmp_path: Path) -> Iterator[tuple[flows.House, Session]]:
    """A house with a cohort, and a data scientist's session."""
    house = flows.open_house(tmp_path / "home")
    server = serving.server_session(house)
    serving.with_simulated_cohort(house, server, count=5_000)
    house.ledger.declare(serving.COHORT, epsilon=4.0, delta=1e-8, actor="petra")
    house.people._write("dana", "dana@clinic.example", "Dana", "active")
    house.people._grant("dana", "dana@clinic.example", "data-scientist", by="sofia", approved="otto")
    session = house.gate.begin(
        "dana", how="test", seconds=3_600, about=(("purposes", "research synthetic-data"), ("scope", "user/*.rs"))
    )
    yield house, session
    house.close()


def ended(house: flows.House, job: str, seconds: float = 90) -> work.Doing:
    deadline = time.monotonic() + seconds
    while not work.doing(house, job).ended and time.monotonic() < deadline:
        time.sleep(0.2)
    return work.doing(house, job)


@pytest.mark.filterwarnings("ignore")  # DBOS leaves sockets and threads to the collector
def test_a_worker_that_dies_is_there_again_and_spends_nothing_twice(lab: tuple[flows.House, Session]) -> None:
    house, session = lab
    with work.a_worker(house) as number:
        first = number()
        job = synthesis_job.ask_synthesis(house, session, serving.COHORT, epsilon=1.0)
        while work.doing(house, job).state == "waiting":
            time.sleep(0.05)
        os.kill(first, signal.SIGKILL)
        found = ended(house, job)
        assert (found.state, found.what) == ("failed", synthesis_job.DIED)
        assert number() != first
        again = ended(house, synthesis_job.ask_synthesis(house, session, serving.COHORT, epsilon=1.0))
        assert again.state == "done", again.what
    spent = house.ledger.statement(serving.COHORT).epsilon_spent
    assert spent <= 2.0 * 1.01, "what the dead worker had reserved counts once"


@pytest.mark.filterwarnings("ignore")
def test_a_job_ends_with_the_right_of_whoever_asked_or_when_stopped(lab: tuple[flows.House, Session]) -> None:
    house, session = lab
    waiting = synthesis_before_a_worker(house, session)
    with work.a_worker(house):
        pass  # its tables are there from now on
    first, second = (quality_job.ask_quality(house, session, serving.COHORT) for _ in range(2))
    work.stop(house, session, second)
    assert work.doing(house, second).state == "stopped"
    house.people.end_sessions("dana")
    with work.a_worker(house):
        found = ended(house, first)
    assert found.state == "failed"
    assert "has left, lost a role, or stopped it" in found.what
    with pytest.raises(DescriptionError, match="no such job of yours"):
        work.stop(house, Session("other", "other", "home", ""), first)
    assert waiting


def synthesis_before_a_worker(house: flows.House, session: Session) -> bool:
    """Without a worker there is nobody to take a job, and that is said."""
    from galenic.errors import StoreError

    with pytest.raises(StoreError, match="no worker has run here yet"):
        synthesis_job.ask_synthesis(house, session, serving.COHORT, epsilon=1.0)
    return work.all_doing(house) == []


def test_what_may_not_be_asked_is_refused_before_a_job_is_made(lab: tuple[flows.House, Session]) -> None:
    house, session = lab
    with pytest.raises(DescriptionError, match="no such column"):
        synthesis_job.ask_synthesis(house, session, serving.COHORT, epsilon=1.0, target="nothing")
    with pytest.raises(DescriptionError, match="epsilon is from"):
        synthesis_job.ask_synthesis(house, session, serving.COHORT, epsilon=50.0)
    stranger = house.gate.begin("galenic-server", how="test", seconds=60)
    with pytest.raises((DescriptionError, AccessDenied)):
        synthesis_job.ask_synthesis(house, stranger, serving.COHORT, epsilon=1.0)
    told = synthesis_job.tell_cost(house, session, serving.COHORT, 9.0)
    assert not told.enough
