"""The time of access decisions: a clock that is set back revives nothing, and one that was ahead for a moment ends nothing for good."""

from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta, tzinfo

import pytest

from galenic.custody import make_key
from galenic.errors import AccessDeniedError
from galenic.installation import Installation
from galenic.security import Fact, token_name
from galenic.security.clock import LASTS, MOST_AHEAD, DecisionClock

NOON = datetime(2026, 3, 1, 12, tzinfo=UTC).timestamp()


@dataclass
class Machine:
    """A machine whose clock can be set."""

    clock: float = NOON
    uptime: float = 500.0
    newest: str = ""
    time: DecisionClock = field(init=False)

    def __post_init__(self) -> None:
        self.time = DecisionClock(lambda: self.newest, lambda: self.clock, lambda: self.uptime)
        self.time.seconds()

    def passes(self, seconds: float) -> None:
        self.clock += seconds
        self.uptime += seconds


def at(seconds: float) -> str:
    return datetime.fromtimestamp(NOON + seconds, UTC).isoformat(timespec="seconds")


def test_time_passes_with_the_clock() -> None:
    machine = Machine()
    machine.passes(90)
    assert machine.time.now() == at(90)
    assert machine.time.after(60) == at(150)


def test_a_clock_set_back_does_not_turn_back_time() -> None:
    machine = Machine()
    machine.passes(100)
    machine.clock -= 60
    assert machine.time.now() == at(100)
    machine.passes(10)
    assert machine.time.now() == at(110)
    assert machine.time.after(5) == at(115)


def test_a_clock_that_is_ahead_for_a_moment_ends_nothing_for_good_and_leaves_nothing_open_longer() -> None:
    machine = Machine()
    end = machine.time.after(600)
    machine.clock += 3600
    assert machine.time.now() > end
    opened_meanwhile = machine.time.after(600)
    machine.passes(LASTS - 1)
    machine.time.seconds()
    machine.clock -= 3600
    assert machine.time.now() == at(LASTS - 1)
    assert machine.time.now() < end
    assert opened_meanwhile == end


def test_a_clock_that_stays_ahead_is_followed() -> None:
    machine = Machine()
    machine.clock += 3600
    machine.time.seconds()
    machine.passes(LASTS)
    assert machine.time.after(0) == at(3600 + LASTS)
    machine.clock -= 3600
    assert machine.time.now() == at(3600 + LASTS)


@pytest.mark.parametrize(
    ("ahead", "counts"),
    [
        pytest.param(3600, True, id="set back by an hour while nothing ran"),
        pytest.param(MOST_AHEAD, True, id="the most that counts"),
        pytest.param(MOST_AHEAD + 1, False, id="a row of a clock that was far ahead"),
        pytest.param(-3600, False, id="the last row is an hour old"),
    ],
)
def test_the_newest_audit_row_counts_at_the_start_unless_it_is_far_ahead(ahead: float, counts: bool) -> None:
    assert Machine(newest=at(ahead)).time.now() == at(ahead if counts else 0)


def test_a_session_that_has_ended_stays_ended_when_the_clock_is_set_back(
    installation: Installation, monkeypatch: pytest.MonkeyPatch
) -> None:
    machine = Machine()
    monkeypatch.setattr(installation.facts, "clock", machine.time)
    make_key(installation, "ada", "clinician")
    session = installation.gate.begin("ada", how="test", seconds=60, name="s-ada")
    assert installation.gate.session("s-ada") is not None
    machine.passes(61)
    assert installation.gate.session("s-ada") is None
    machine.clock -= 60
    assert installation.gate.session("s-ada") is None
    with pytest.raises(AccessDeniedError, match="session-over"):
        installation.gate.open(session, "read", "dataset/clinic", "treatment")


def test_a_role_that_has_ended_ends_without_any_change_of_facts(
    installation: Installation, monkeypatch: pytest.MonkeyPatch
) -> None:
    machine = Machine()
    monkeypatch.setattr(installation.facts, "clock", machine.time)
    make_key(installation, "ada", "clinician")
    fact = installation.facts.one("grant", "ada/clinician")
    assert fact is not None
    installation.facts.put(Fact("grant", fact.key, "given", "ada", label="clinician", until=at(60), body=fact.body))
    assert installation.gate.cache.roles("ada")[0] == {"clinician"}
    machine.passes(61)
    monkeypatch.setattr(installation.gate.versions, "_at", 0.0)
    monkeypatch.setattr("galenic.security.versions.REREAD", 1e-9)
    assert installation.gate.cache.roles("ada")[0] == set()


class OneHourAhead(datetime):
    """A clock that is an hour ahead."""

    @classmethod
    def now(cls, tz: tzinfo | None = None) -> datetime:
        return datetime.now(tz) + timedelta(hours=1)


def test_one_audit_row_of_a_clock_that_was_ahead_ends_neither_a_sign_in_under_way_nor_a_confirmation(
    installation: Installation, monkeypatch: pytest.MonkeyPatch
) -> None:
    people = installation.people
    people.set_up("sven", "sven@example.org", "Sven", "orbit-walnut-thirteen-lanterns")
    half = people.begin_half("sven")
    opened = installation.gate.session(token_name(people.begin("sven", "test", "agent")))
    assert opened is not None
    confirmed = installation.gate.session(token_name(people.step_up(opened[0], "test")))
    assert confirmed is not None
    with monkeypatch.context() as ahead:
        ahead.setattr("galenic.security.audit.datetime", OneHourAhead)
        installation.audit.append("step", "a row of a clock that is ahead")
    assert people.half(half) == "sven"
    people.require_administrator(confirmed[0])
