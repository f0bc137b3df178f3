"""A session that nobody uses for half an hour ends: also across a restart, also if it is used for the first time after that."""

from datetime import UTC, datetime
from pathlib import Path

import pytest

from galenic.installation import Installation, open_installation
from galenic.security import Fact, SessionActivity, token_name
from galenic.security.clock import DecisionClock
from galenic.security.session_activity import IDLE_SECONDS, STORED_SECONDS
from site_made import Site, a_site


class Later:
    """A clock that is some seconds later than the machine's."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.seconds = 0.0
        real = DecisionClock.passed
        monkeypatch.setattr(DecisionClock, "passed", lambda clock: real(clock) + self.seconds)


@pytest.fixture
def later(monkeypatch: pytest.MonkeyPatch) -> Later:
    """Seconds that have passed since."""
    return Later(monkeypatch)


def test_an_idle_session_is_over_after_a_restart(tmp_path: Path, later: Later) -> None:
    with a_site(tmp_path / "home") as site:
        browser = site.grown("sven")
        assert browser.web.get("/account").status_code == 200
        cookies = dict(browser.web.cookies)
    later.seconds = IDLE_SECONDS + 1
    with a_site(tmp_path / "home") as site:
        again = site.browser()
        again.web.cookies.update(cookies)
        assert again.web.get("/account").status_code == 303


def test_a_session_in_use_goes_on_after_a_restart(tmp_path: Path, later: Later) -> None:
    with a_site(tmp_path / "home") as site:
        browser = site.grown("sven")
        later.seconds = IDLE_SECONDS - STORED_SECONDS
        assert browser.web.get("/account").status_code == 200
        cookies = dict(browser.web.cookies)
    later.seconds += IDLE_SECONDS - STORED_SECONDS
    with a_site(tmp_path / "home") as site:
        again = site.browser()
        again.web.cookies.update(cookies)
        assert again.web.get("/account").status_code == 200


def test_a_session_that_is_first_used_late_is_over(site: Site, later: Later) -> None:
    site.grown("sven")
    secret = site.installation.people.begin("sven", "test", "Mozilla/5.0 test")
    late = site.browser()
    late.web.cookies["galenic"] = secret
    later.seconds = IDLE_SECONDS + 1
    assert late.web.get("/account").status_code == 303
    assert site.installation.gate.session(token_name(secret)) is None


def test_a_confirmed_session_counts_from_its_confirmation(installation: Installation, later: Later) -> None:
    people = installation.people
    people.set_up("sven", "sven@example.org", "Sven", "orbit-walnut-thirteen-lanterns")
    opened = installation.gate.session(token_name(people.begin("sven", "test", "agent")))
    assert opened is not None
    later.seconds = 3 * 3600
    confirmed = installation.gate.session(token_name(people.step_up(opened[0], "test")))
    assert confirmed is not None
    assert SessionActivity(installation.facts).use(confirmed[1])


def session_of(name: str) -> Fact:
    began = datetime.now(UTC).isoformat(timespec="seconds")
    return Fact("session", name, "open", "ada", body=(("began", began),))


def test_memory_is_bounded_and_sessions_that_fell_out_of_it_stay_idle(installation: Installation, later: Later) -> None:
    activity = SessionActivity(installation.facts, most=3)
    first = session_of("s-0")
    for number in range(10):
        assert activity.use(session_of(f"s-{number}"))
    assert len(activity._used) == 3
    later.seconds = IDLE_SECONDS + 1
    assert not activity.use(first)


def test_uses_are_stored_once_a_minute(installation: Installation, later: Later) -> None:
    activity, session = SessionActivity(installation.facts), session_of("s-1")

    def stored() -> float:
        fact = installation.facts.one("activity", "s-1")
        assert fact is not None
        return float(fact.get("at"))

    activity.use(session)
    first = stored()
    later.seconds = STORED_SECONDS - 5
    activity.use(session)
    assert stored() == first
    later.seconds = STORED_SECONDS + 5
    activity.use(session)
    assert stored() > first


def test_a_stored_use_that_is_deleted_ends_the_session_earlier_and_one_that_is_forged_is_refused(
    installation: Installation, later: Later
) -> None:
    session = session_of("s-1")
    later.seconds = 1_000
    assert SessionActivity(installation.facts).use(session)
    with installation.db.transaction() as c:
        c.exec_driver_sql("DELETE FROM facts WHERE kind = 'activity'")
    later.seconds = IDLE_SECONDS + 1
    assert not SessionActivity(open_installation(installation.home).facts).use(session)
