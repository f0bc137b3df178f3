"""Links that count once, accounts, and systems that two people decide about, when many try at the same moment: raced 50 times."""

from functools import partial

import argon2
import pytest

from galenic.errors import AccessDeniedError, StateError
from galenic.installation import Installation
from galenic.security import IdTokenClaims, SystemAccess, credentials
from galenic.security.openid import Provider
from people_made import grown
from races import TIMES, race, winners

NEW = "harbour-velvet-seventeen-otters"
ACCESS = SystemAccess("system/Patient.rs", ("treatment",), 600)


@pytest.fixture
def quick_passwords(monkeypatch: pytest.MonkeyPatch) -> None:
    """Passwords are hashed with little work: how long that takes decides no race."""
    monkeypatch.setattr(credentials, "_hasher", lambda: argon2.PasswordHasher(time_cost=1, memory_cost=8, parallelism=1))


@pytest.mark.usefixtures("quick_passwords")
def test_a_recovery_is_decided_once_and_used_once(raced: Installation) -> None:
    sofia, otto = (grown(raced, n, "security-officer") for n in ("sofia", "otto"))
    petra, recovery = grown(raced, "petra", "privacy-officer"), raced.recovery
    for turn in range(TIMES):
        name = f"nina{turn}"
        raced.people.write(name, f"{name}@clinic.example", "Nina", "active")
        code = recovery.propose(sofia, name)
        decided = race(*(partial(recovery.approve, s, name) for s in (otto, petra)), partial(recovery.reject, otto, name))
        assert winners(decided) == 1, decided
        link = next((str(d) for d in decided[:2] if isinstance(d, str)), "")
        if not link:
            code = recovery.propose(sofia, name)
            link = recovery.approve(petra, name)
        used = race(*(partial(recovery.recover, link, code, f"a long password {n} of mine") for n in range(3)))
        assert winners(used) == 1, used


@pytest.mark.usefixtures("quick_passwords")
def test_links_that_count_once_count_once_when_raced(raced: Installation) -> None:
    """Invitation and reset, each used by several at the same moment."""
    session = grown(raced, "sofia", "security-officer")
    raced.people.grant("petra", "petra@clinic.example", "privacy-officer", by="sofia", approved="otto")
    for turn in range(TIMES):
        name = f"guest{turn}"
        secret = raced.invitations.invite(session, name, f"{name}@x.example", "Guest", ("nurse",))
        used = race(*(partial(raced.invitations.accept, secret, f"{NEW} {n}") for n in range(4)))
        assert winners(used) == 1, used
        assert raced.people.credentials.new_recovery_codes(name)
        link = raced.recovery.reset(session, name)
        used = race(*(partial(raced.recovery.set_password_of_passkey, link, f"{NEW} {n}", name) for n in range(3)))
        assert winners(used) == 1, used
        assert [raced.people.credentials.password_is(name, f"{NEW} {n}") for n in range(3)] == [u is None for u in used]


def test_an_invitation_by_the_provider_counts_once_and_for_one_account(raced: Installation) -> None:
    """Two invitations, both accepted by one account of the provider; and one, accepted by two."""
    from galenic.security import link_fact

    session, provider = grown(raced, "sofia", "security-officer"), Provider("clinic", "the clinic", "https://idp", "c", True)

    def accept(secret: str, subject: str) -> "partial[object]":
        claims = IdTokenClaims(provider, subject, several=True, purpose="invitation", next="/")
        return partial(raced.invitations.accept_linked, secret, lambda facts, name: link_fact(facts, name, claims))

    for turn in range(TIMES):
        names = [f"guest{turn}{n}" for n in "ab"]
        one, two = (raced.invitations.invite(session, n, f"{n}@x.example", "Guest", ("nurse",)) for n in names)
        assert winners(race(accept(one, f"s{turn}"), accept(two, f"s{turn}"))) == 1
        left = two if raced.facts.one("person", names[0]).state == "active" else one  # type: ignore[union-attr]
        assert winners(race(accept(left, f"t{turn}"), accept(left, f"u{turn}"))) == 1


def test_one_person_gets_one_account_when_raced(raced: Installation) -> None:
    invite, session = raced.invitations.invite, grown(raced, "sofia", "security-officer")
    for turn in range(TIMES):
        forms = (f"Rene\u0301e{turn}@x.example", f"renée{turn}@X.example ", f"ren\u200bée{turn}@x。example")
        found = race(*(partial(invite, session, f"r{turn}-{i}", f, "Renée", ("nurse",)) for i, f in enumerate(forms)))
        assert winners(found) == 1, found
        assert {type(e) for e in found} <= {str, StateError}


def test_two_accounts_are_not_linked_to_one_provider_account_when_raced(raced: Installation) -> None:
    provider, link = Provider("clinic", "the clinic", "https://idp", "c", True), raced.openid.link
    for turn in range(TIMES):
        claims = IdTokenClaims(provider, f"subject-{turn}", several=True, purpose="link", next="/")
        found = race(*(partial(link, f"{who}{turn}", claims) for who in ("anna", "berta", "clara")))
        assert winners(found) == 1, found
        assert {type(e) for e in found} <= {type(None), AccessDeniedError, StateError}


def test_a_system_is_decided_once_when_raced(raced: Installation) -> None:
    systems, by = raced.systems, grown(raced, "sofia", "security-officer")
    second = grown(raced, "petra", "privacy-officer")
    for turn in range(TIMES):
        key = systems.propose(by, f"lab{turn}", ACCESS)
        found = race(*(partial(systems.approve, s, key) for s in (by, second, second)), partial(systems.reject, second, key))
        assert winners(found) == 1, found
        assert isinstance(found[0], AccessDeniedError | StateError), "never the proposer"
        assert (found[3] is None) == (f"lab{turn}" not in [s.name for s in systems.all()])
