"""Decisions that two people, one use or a limit make hold when several processes try at the same moment. Each is raced 50 times by
threads elsewhere, and here with GALENIC_RACES=50."""

from collections.abc import Iterator

import pytest

from galenic.custody import initialize
from galenic.installation import Installation
from galenic.release import ARTIFACTS
from galenic.security import Fact, SystemAccess, parse_policy, shipped_policy
from people_made import grown
from race_processes import Rivals, rivals, with_keys
from races import FEW, winners
from toy_made import ToyArtifact, toy_run

OFFICERS = {"sofia": "security-officer", "otto": "security-officer", "petra": "privacy-officer"}


@pytest.fixture
def processes(raced: Installation, monkeypatch: pytest.MonkeyPatch) -> Iterator[Rivals]:
    """Three processes with the installation open."""
    monkeypatch.setitem(ARTIFACTS, "toy", ToyArtifact())
    initialize(raced)
    with rivals(raced.home, 3) as made:
        yield made


def test_decisions_hold_when_processes_race(raced: Installation, processes: Rivals) -> None:
    """All in one test: processes take long to start."""
    what_two_people_decide_is_decided_once(raced, processes)
    one_person_signs_once(raced, processes)
    what_counts_once_counts_once_and_guesses_are_limited(raced, processes)
    jobs_are_performed_by_one_process(processes)


def what_two_people_decide_is_decided_once(raced: Installation, processes: Rivals) -> None:
    """Roles, systems, policies, and reviews of emergency access."""
    sofia, otto, petra = (grown(raced, n, r) for n, r in OFFICERS.items())
    with_keys(raced, sven="security-officer", paul="privacy-officer", olga="security-officer")
    for turn in range(FEW):
        raced.people.write(f"nina{turn}", f"nina{turn}@clinic.example", "Nina", "active")
        key = raced.role_changes.propose(sofia, f"nina{turn}", "nurse")
        found = processes.race(*(("role approve", (s, key)) for s in (otto, petra)), ("role reject", (otto, key)))
        assert winners(found) == 1, found
        assert (found[2] is None) == (raced.people.roles(f"nina{turn}") == ())
        key = raced.systems.propose(sofia, f"lab{turn}", SystemAccess("system/Patient.rs", ("treatment",), 600))
        found = processes.race(
            ("system approve", (otto, key)), ("system approve", (petra, key)), ("system reject", (otto, key))
        )
        assert winners(found) == 1, found
        policy = parse_policy(shipped_policy().text.replace("version = 1", f"version = {turn + 2}", 1))
        name, _replay = raced.policies.propose(policy, raced.keys.get("sven"))
        found = processes.race(*(("approve policy", (name, k)) for k in ("paul", "olga", "sven")))
        assert winners(found) == 1, found
        raced.facts.put(Fact("review", f"glass-{turn}", "due", "otto", purpose="emergency", until="2099"), quiet=True)
        found = processes.race(*(("gate review", (petra, turn, f)) for f in ("justified", "misuse", "justified")))
        assert winners(found) == 1, found


def one_person_signs_once(raced: Installation, processes: Rivals) -> None:
    paul = [grown(raced, "paul", "privacy-officer", "clinician") for _ in range(3)]
    grown(raced, "rita", "researcher")
    for _ in range(FEW):
        run = toy_run(raced, 0.9, "rita")[0]
        roles = ("privacy-officer", "clinician", "clinician")
        found = processes.race(*(("sign", (s, run.id, r, run.digest)) for s, r in zip(paul, roles, strict=True)))
        assert len({r for r, e in zip(roles, found, strict=True) if e is None}) == 1, found  # twice in one role is once
        assert [s.person for s in run.signatures] == [run.pseudonym_of("paul")]


def what_counts_once_counts_once_and_guesses_are_limited(raced: Installation, processes: Rivals) -> None:
    grown(raced, "sofia", "security-officer")
    codes = raced.people.credentials.new_recovery_codes("sofia")
    for turn in range(FEW):
        code = codes.pop()
        assert sorted(map(str, processes.race(*[("credential recovery is", ("sofia", code))] * 3))) == [
            "False",
            "False",
            "True",
        ]
        codes = codes or raced.people.credentials.new_recovery_codes("sofia")
        assert sorted(map(str, processes.race(*[("use once", (f"totp/{turn}", 120))] * 3))) == ["False", "False", "True"]
        guess = ("guess", (f"sofia{turn}", f"10.0.0.{turn}", ""))
        assert [winners(processes.race(*[guess] * 3)) for _ in range(3)] == [3, 2, 0]


def jobs_are_performed_by_one_process(processes: Rivals) -> None:
    for _ in range(FEW):
        found = processes.race(*[("claim jobs", ())] * 3)
        assert winners(found) == 1, found
        assert all("are already being performed" in str(e) for e in found if e != "claimed")
