"""Somebody who may write into the database, but has no key, keeps no right in force and removes no fact unnoticed."""

import sqlite3
import time
from collections.abc import Callable
from contextlib import closing

import pytest

from galenic.custody import make_key, withdraw_role
from galenic.errors import AccessDeniedError, StateError, StoreError
from galenic.installation import Installation, open_installation
from galenic.security import Session, parse_policy, shipped_policy
from galenic.store import Database

FROZEN = """CREATE TRIGGER frozen AFTER UPDATE ON versions WHEN new.name = 'facts'
BEGIN UPDATE versions SET number = old.number WHERE name = old.name; END"""
PUT_BACK = """CREATE TRIGGER put_back AFTER UPDATE ON facts WHEN new.state IN ('ended', 'withdrawn')
BEGIN UPDATE facts SET state = old.state, mac = old.mac, body = old.body WHERE kind = old.kind AND key = old.key; END"""
PASSWORD = "orbit-walnut-thirteen-lanterns"


def sql(installation: Installation, *statements: str) -> None:
    """Statements of a database insider."""
    with closing(sqlite3.connect(installation.home / "galenic.db")) as c, c:
        c.execute("PRAGMA recursive_triggers = OFF")
        for statement in statements:
            c.execute(statement)


@pytest.fixture
def house(installation: Installation) -> Installation:
    """A researcher, and two people who may change the policy."""
    make_key(installation, "rosa", "researcher", person="rosa")
    make_key(installation, "sven", "security-officer", person="sven")
    make_key(installation, "paul", "privacy-officer", person="paul")
    return installation


@pytest.mark.parametrize(
    "trigger", [pytest.param(FROZEN, id="versions stand still"), pytest.param(PUT_BACK, id="facts come back")]
)
@pytest.mark.parametrize(
    "ends",
    [
        pytest.param(lambda house, session: house.gate.end(session), id="a session ends"),
        pytest.param(lambda house, _session: withdraw_role(house, "rosa", "researcher"), id="a role is withdrawn"),
    ],
)
def test_a_trigger_that_undoes_an_end_is_noticed(
    house: Installation, ends: Callable[[Installation, Session], None], trigger: str
) -> None:
    session = house.sign_in("rosa")
    sql(house, trigger)
    with pytest.raises(StoreError, match="trigger"):
        ends(house, session)


def test_a_database_with_a_trigger_is_not_opened(house: Installation) -> None:
    sql(house, FROZEN)
    with pytest.raises(StoreError, match="'frozen'"):
        open_installation(house.home).facts.of("grant")


def test_a_database_with_a_view_in_place_of_a_table_is_not_opened(house: Installation) -> None:
    sql(house, "ALTER TABLE versions RENAME TO old_versions", "CREATE VIEW versions AS SELECT * FROM old_versions")
    with pytest.raises(StoreError, match="'versions'"):
        open_installation(house.home).facts.of("grant")


def test_a_database_with_a_trigger_is_not_opened_on_postgresql(postgresql: str) -> None:
    db = Database(postgresql)
    with db.transaction() as c:
        c.exec_driver_sql("CREATE FUNCTION stay() RETURNS trigger AS 'BEGIN RETURN OLD; END' LANGUAGE plpgsql")
        c.exec_driver_sql("CREATE TRIGGER frozen BEFORE UPDATE ON versions FOR EACH ROW EXECUTE FUNCTION stay()")
    db.close()
    with pytest.raises(StoreError, match="'frozen'"):
        Database(postgresql)


def test_a_right_is_decided_again_within_a_second_even_if_no_version_moves(
    house: Installation, monkeypatch: pytest.MonkeyPatch
) -> None:
    session = house.sign_in("rosa")
    assert house.gate.cache.roles("rosa")[0] == {"researcher"}
    elsewhere = open_installation(house.home)
    withdraw_role(elsewhere, "rosa", "researcher")
    elsewhere.close()
    sql(house, "UPDATE versions SET number = number - 1 WHERE name = 'facts'")
    assert waits_for(lambda: house.gate.decide(session, "read", "dataset/clinic", "research").reason == "no-role")


def waits_for(what: Callable[[], bool], seconds: float = 1.1) -> bool:
    """Whether it comes true in time."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if what():
            return True
        time.sleep(0.01)
    return False


# policies


def stricter(installation: Installation) -> str:
    """A policy that two people put in force: the shipped one without research. Returns its name."""
    text = shipped_policy().text.replace("version = 1", "version = 2", 1)
    policy = parse_policy(text)
    assert policy.digest != shipped_policy().digest
    name, _replay = installation.policies.propose(policy, installation.keys.get("sven"))
    installation.policies.approve(name, installation.keys.get("paul"))
    return name


def test_without_the_policy_that_two_people_activated_nothing_is_decided(house: Installation) -> None:
    stricter(house)
    assert house.policies.active().version == 2
    sql(house, "DELETE FROM facts WHERE kind = 'policy'")
    assert waits_for(lambda: refuses(house))
    again = open_installation(house.home)
    with pytest.raises(StoreError, match="the active access policy"):
        again.policies.active()
    again.close()


def refuses(installation: Installation) -> bool:
    try:
        installation.policies.active()
    except StoreError:
        return True
    return False


def test_after_its_removal_two_people_activate_a_policy_anew(house: Installation) -> None:
    name = stricter(house)
    sql(house, "DELETE FROM facts WHERE kind = 'policy'")
    again = open_installation(house.home)
    policy = parse_policy(shipped_policy().text.replace("version = 1", "version = 2", 1))
    assert again.policies.propose(policy, again.keys.get("sven"))[0] == name
    again.policies.approve(name, again.keys.get("paul"))
    assert again.policies.active().version == 2
    again.close()


def test_one_person_does_not_take_the_policy_out_of_force_by_proposing_it_again(house: Installation) -> None:
    stricter(house)
    with pytest.raises(StateError, match="already in force"):
        house.policies.propose(house.policies.active(), house.keys.get("sven"))
    assert house.policies.active().version == 2


def test_an_approved_policy_is_in_force_in_another_process_that_runs(house: Installation) -> None:
    elsewhere = open_installation(house.home)
    assert elsewhere.policies.active().version == 1
    stricter(house)
    assert waits_for(lambda: elsewhere.policies.active().version == 2, 0.5)
    elsewhere.close()


# reviews of emergency accesses


def test_a_deleted_review_is_due_again(custody: Installation) -> None:
    ada = custody.sign_in("ada")
    with custody.gate.open(ada, "read", "dataset/clinic", "emergency", why="unconscious in the ambulance") as grant:
        pass
    key = f"glass-{grant.decision}"
    sql(custody, "DELETE FROM facts WHERE kind = 'review'")
    assert not custody.facts.of("review")
    again = open_installation(custody.home)
    again.recover()
    assert [(f.key, f.state, f.who) for f in again.facts.of("review")] == [(key, "due", "ada")]
    again.close()


def test_a_deleted_review_blocks_the_next_emergency_access_once_it_is_overdue(
    custody: Installation, monkeypatch: pytest.MonkeyPatch
) -> None:
    ada = custody.sign_in("ada")
    monkeypatch.setattr("galenic.security.emergency_reviews.REVIEW_HOURS", 0)
    with custody.gate.open(ada, "read", "dataset/clinic", "emergency", why="unconscious in the ambulance"):
        pass
    sql(custody, "DELETE FROM facts WHERE kind = 'review'")
    time.sleep(1.1)  # the review was due within this second
    with pytest.raises(AccessDeniedError, match="glass-not-reviewed"):
        custody.gate.open(ada, "read", "dataset/clinic", "emergency", why="unconscious in the ambulance")


# accounts


def test_deleted_accounts_do_not_open_the_set_up_again(installation: Installation) -> None:
    installation.people.set_up("sven", "sven@example.org", "Sven", PASSWORD)
    sql(installation, "DELETE FROM facts WHERE kind IN ('person', 'grant', 'credential')")
    again = open_installation(installation.home)
    assert again.people.any()
    with pytest.raises(StateError, match="is already set up"):
        again.people.set_up("mallory", "m@example.org", "Mallory", PASSWORD)
    again.close()


def test_the_set_up_stays_closed_where_audit_rows_are_gone(installation: Installation) -> None:
    installation.people.set_up("sven", "sven@example.org", "Sven", PASSWORD)
    installation.audit.append("step", "later")
    sql(
        installation,
        "DELETE FROM facts WHERE kind IN ('person', 'grant', 'credential')",
        """DELETE FROM audit WHERE instr(entry, '"action":"fact.person"') > 0""",
    )
    again = open_installation(installation.home)
    with pytest.raises(StoreError, match="damaged"):
        again.people.set_up("mallory", "m@example.org", "Mallory", PASSWORD)
    again.close()
