"""Changes of accounts that are cut short leave the old state or the new one; accounts of earlier versions go on."""

import sqlite3
from collections.abc import Callable
from contextlib import closing

import pytest

from galenic.custody import give_role_to_account
from galenic.errors import OptionError, StateError
from galenic.installation import Installation, open_installation
from galenic.security import Fact, FactStore, Session, token_name

PASSWORD, NEW = "orbit-walnut-thirteen-lanterns", "harbour-velvet-seventeen-otters"


class KilledError(Exception):
    """Ends a change where a process would be killed."""


def officer(installation: Installation, name: str, role: str = "security-officer") -> Session:
    installation.people.write(name, f"{name}@x.example", name, "active")
    installation.people.grant(name, f"{name}@x.example", role, by="a", approved="b")
    found = installation.gate.session(token_name(installation.people.begin(name, "passkey", "x")))
    assert found
    again = installation.gate.session(token_name(installation.people.step_up(found[0], "passkey")))
    assert again
    return again[0]


def killed_at(monkeypatch: pytest.MonkeyPatch, step: int, change: Callable[[], object]) -> bool:
    """Runs a change that is killed before the given write of facts; whether it came to its end."""
    count = [0]

    def dies(kept: Callable[..., object]) -> Callable[..., object]:
        def write(*arguments: object, **named: object) -> object:
            count[0] += 1
            if count[0] == step:
                raise KilledError
            return kept(*arguments, **named)

        return write

    with monkeypatch.context() as patch:
        patch.setattr(FactStore, "_write", dies(FactStore._write))
        patch.setattr(FactStore, "put", dies(FactStore.put))
        try:
            change()
        except KilledError:
            return False
    return True


def test_a_set_up_that_is_killed_before_the_account_is_stored_can_be_done_again(
    installation: Installation, monkeypatch: pytest.MonkeyPatch
) -> None:
    def lost(*_arguments: object, **_named: object) -> None:
        raise KilledError

    with monkeypatch.context() as patch:
        patch.setattr(FactStore, "_write", lost)
        append = installation.audit.append
        patch.setattr(installation.audit, "append", lambda a, r, o="done", **d: 0 if o == "lost" else append(a, r, o, **d))
        with pytest.raises(KilledError):
            installation.people.set_up("sofia", "sofia@x.example", "Sofia", PASSWORD)
    again = open_installation(installation.home)
    assert not again.people.any()
    again.people.set_up("sonja", "sonja@x.example", "Sonja", PASSWORD)
    assert again.people.credentials.password_is("sonja", PASSWORD)
    with pytest.raises(StateError, match="is already set up"):
        again.people.set_up("mallory", "m@x.example", "Mallory", PASSWORD)
    again.close()


def test_a_killed_set_up_leaves_nothing_or_an_account_with_its_password(
    installation: Installation, monkeypatch: pytest.MonkeyPatch
) -> None:
    people = installation.people
    for step in (1, 2, 3):
        done = killed_at(monkeypatch, step, lambda: people.set_up("sofia", "s@x.example", "Sofia", PASSWORD))
        assert (people.get("sofia") is not None) == people.credentials.password_is("sofia", PASSWORD), step
        if done:
            break


def test_a_killed_acceptance_leaves_the_invitation_or_an_account_with_its_password(
    installation: Installation, monkeypatch: pytest.MonkeyPatch
) -> None:
    sofia = officer(installation, "sofia")
    for step in (1, 2, 3):
        name = f"nina{step}"
        secret = installation.invitations.invite(sofia, name, f"{name}@x.example", "Nina", ("nurse",))
        killed_at(monkeypatch, step, lambda secret=secret: installation.invitations.accept(secret, PASSWORD))  # type: ignore[misc]
        account = installation.people.get(name)
        assert account
        assert (account.state == "active") == installation.people.credentials.password_is(name, PASSWORD), step


def test_a_killed_reset_or_recovery_leaves_the_old_state_or_the_new_one(
    installation: Installation, monkeypatch: pytest.MonkeyPatch
) -> None:
    sofia, petra = officer(installation, "sofia"), officer(installation, "petra", "privacy-officer")
    people, recovery = installation.people, installation.recovery
    for step in (1, 2, 3, 4):
        name = f"paul{step}"
        people.write(name, f"{name}@x.example", "Paul", "active")
        people.credentials.set_password(name, PASSWORD)
        people.credentials.new_recovery_codes(name)
        link = recovery.reset(sofia, name)
        killed_at(monkeypatch, step, lambda n=name, s=link: recovery.set_password_of_passkey(s, NEW, n))  # type: ignore[misc]
        fact = installation.facts.one("recovery", f"{name}/password")
        assert fact
        assert (fact.state == "used") == people.credentials.password_is(name, NEW), step
        code = recovery.propose(sofia, name)
        link = recovery.approve(petra, name)
        before = people.credentials.kinds(name)
        killed_at(monkeypatch, step, lambda s=link, c=code: recovery.recover(s, c, PASSWORD))  # type: ignore[misc]
        fact = installation.facts.one("recovery", f"{name}/factors")
        assert fact
        used = fact.state == "used"
        assert used == people.credentials.password_is(name, PASSWORD), step
        assert people.credentials.kinds(name) == (frozenset({"password"}) if used else before), step
        assert used == people.may_enroll(name), step


def earlier(installation: Installation, name: str) -> None:
    """An account as version 0.1.0 wrote it, with a password and no second factor yet."""
    installation.facts.put(Fact("person", name, "active", name, label=f"{name}@x.example", body=(("shown", name),)))
    installation.people.credentials.set_password(name, PASSWORD)


def test_an_account_of_an_earlier_version_that_was_never_used_registers_a_factor(installation: Installation) -> None:
    people = installation.people
    earlier(installation, "paul")
    assert people.may_enroll("paul")
    people.begin("paul", "password and time code", "x")
    assert not people.may_enroll("paul"), "who came in by another factor registers none by a password"


@pytest.mark.parametrize("action", ["person.reset", "person.recovery"])
def test_an_account_of_an_earlier_version_that_an_officer_reset_registers_none(installation: Installation, action: str) -> None:
    earlier(installation, "paul")
    installation.audit.append(action, "paul", actor="sofia")
    assert not installation.people.may_enroll("paul")


def test_an_account_of_an_earlier_version_that_had_a_factor_registers_none(installation: Installation) -> None:
    people = installation.people
    earlier(installation, "paul")
    people.credentials.new_recovery_codes("paul")
    assert not people.may_enroll("paul")
    people.credentials.drop("paul", "recovery")
    assert not people.may_enroll("paul")
    with closing(sqlite3.connect(installation.home / "galenic.db")) as database, database:
        database.execute("DELETE FROM facts WHERE key = 'paul/recovery'")
    assert not people.may_enroll("paul"), "the audit log knows"


def test_the_holder_of_the_home_folder_gives_a_role_where_nobody_is_left_to_approve(installation: Installation) -> None:
    sofia = officer(installation, "sofia")
    officer(installation, "otto")
    installation.people.write("olga", "olga@x.example", "Olga", "active")
    with pytest.raises(StateError, match="two active accounts"):
        give_role_to_account(installation, "olga", "security-officer")
    assert installation.people.leave(sofia, "otto") == "suspended"
    with pytest.raises(OptionError, match="Propose other roles"):
        give_role_to_account(installation, "olga", "clinician")
    give_role_to_account(installation, "olga", "security-officer")
    assert installation.people.roles("olga") == ("security-officer",)
