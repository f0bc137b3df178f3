"""Decisions that two people, one use or a limit make hold when many try at the same moment: raced 50 times."""

import contextlib
from collections.abc import Iterator
from dataclasses import replace
from functools import partial
from urllib.parse import parse_qs, urlsplit

import pytest
from authlib.oauth2.rfc7636 import create_s256_code_challenge
from pyotp import TOTP

from galenic.custody import make_key, withdraw_role
from galenic.errors import AccessDeniedError, StateError
from galenic.installation import Installation, open_installation
from galenic.security import AccessPolicy, Fact, SystemAccess, changed_facts, parse_policy, shipped_policy, token_name
from galenic.security.credentials import CODES
from galenic.security.sign_in_limits import PLACE, SignInAttempt
from galenic.store import use_once
from people_made import grown
from races import TIMES, race, slowed, winners

OFFICERS = {"sofia": "security-officer", "otto": "security-officer", "petra": "privacy-officer"}


def test_of_two_changes_of_a_fact_one_stands(raced: Installation) -> None:
    for turn in range(TIMES):
        before = Fact("vendor", f"vendor-{turn}", "proposed")
        raced.facts.put(before, quiet=True)
        swaps = [partial(raced.facts.swap, before, replace(before, state=s), quiet=True) for s in ("cleared", "refused")]
        found = race(*swaps)
        assert winners(found) == 1, found
        assert {type(e) for e in found} == {type(None), StateError}


def test_of_two_new_facts_of_one_key_one_stands(raced: Installation) -> None:
    for turn in range(TIMES):
        facts = [Fact("vendor", f"vendor-{turn}", "cleared", who) for who in ("a", "b")]
        assert winners(race(*(partial(raced.facts.swap, None, f, quiet=True) for f in facts))) == 1


@pytest.fixture
def again(raced: Installation) -> Iterator[Installation]:
    """The installation opened a second time, as by another process."""
    other = slowed(open_installation(raced.home))
    yield other
    other.close()


@pytest.mark.parametrize("way", ["put", "put many", "change"])
def test_the_last_audit_row_says_what_a_fact_is_after_two_unconditional_changes(
    raced: Installation, again: Installation, way: str
) -> None:
    """Consent given and withdrawn at the same moment, by two processes."""
    fact = Fact("consent", "", "given", "clinic", 7, "treatment", "clinical")

    def write(installation: Installation, key: str, state: str) -> object:
        mine = replace(fact, key=key, state=state)
        if way == "change":
            return installation.facts.change(lambda _facts: [mine])
        return installation.facts.put(mine) if way == "put" else installation.facts.put_many([mine])

    keys = [f"7/{turn}" for turn in range(TIMES)]
    for key in keys:
        race(*(partial(write, i, key, s) for i, s in ((raced, "given"), (again, "withdrawn"))))
    last = {e.resource: e.outcome for e in raced.audit.entries() if e.action == "fact.consent"}
    assert {k: last[k] for k in keys} == {f.key: f.state for f in raced.facts.of("consent")}
    assert changed_facts(raced.facts) == []


NARROW, WIDE = (SystemAccess(f"system/{types}.rs", ("treatment",), 3600) for types in ("Patient", "*"))


def test_no_token_goes_beyond_what_two_people_narrowed_at_the_same_moment(raced: Installation, again: Installation) -> None:
    sofia, petra = (grown(raced, n, OFFICERS[n]) for n in ("sofia", "petra"))
    for turn in range(TIMES):
        name = f"lab{turn}"
        raced.systems.register(name, WIDE, proposed_by="sofia", approved_by="otto")
        key = raced.systems.propose(sofia, name, NARROW)
        issue = partial(again.systems.issue_token, name, by="sofia", how="test", seconds=3600)
        found = race(partial(raced.systems.approve, petra, key), issue, issue)
        assert found[0] is None, found
        alive = [f for f in raced.facts.of("session", who=name) if f.state == "open"]
        assert {f.get("scope") for f in alive} <= {NARROW.scope}
    assert changed_facts(raced.facts) == []


def test_a_token_of_a_system_that_is_removed_at_the_same_moment_is_not_alive(raced: Installation, again: Installation) -> None:
    sofia = grown(raced, "sofia", "security-officer")
    for turn in range(TIMES):
        name = f"lab{turn}"
        raced.systems.register(name, WIDE, proposed_by="sofia", approved_by="otto")
        issue = partial(again.systems.issue_token, name, by="sofia", how="test", seconds=3600)
        assert race(partial(raced.systems.remove, sofia, name), issue)[0] is None
        assert [f for f in raced.facts.of("session", who=name) if f.state == "open"] == []


def test_tokens_end_in_the_transaction_that_approves_a_narrower_access(
    installation: Installation, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whatever stops the process afterwards, no wide token is left."""
    sofia, petra = (grown(installation, n, OFFICERS[n]) for n in ("sofia", "petra"))
    installation.systems.register("lab", WIDE, proposed_by="sofia", approved_by="otto")
    name = token_name(installation.systems.issue_token("lab", by="sofia", how="test", seconds=3600))
    key = installation.systems.propose(sofia, "lab", NARROW)

    def stop() -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(installation.facts.versions, "refresh", stop)  # the first step after the transaction
    with pytest.raises(KeyboardInterrupt):
        installation.systems.approve(petra, key)
    monkeypatch.undo()
    later = open_installation(installation.home)
    assert later.systems.get("lab").access == NARROW
    assert later.gate.session(name) is None
    later.close()


@pytest.mark.parametrize("narrow", [NARROW, replace(WIDE, purposes=("operations",)), replace(WIDE, longest=600)])
def test_a_token_is_refused_once_the_transaction_sees_less_access(installation: Installation, narrow: SystemAccess) -> None:
    """What `issue_token` checked before is checked again where the token is written."""
    installation.systems.register("lab", WIDE, proposed_by="sofia", approved_by="otto")
    append, rows = installation.audit.append, []

    def narrowed(action: str, resource: str, outcome: str = "done", *, actor: str | None = None, **detail: object) -> int:
        rows.append((action, outcome))
        if (action, outcome) == ("token.issued", "done"):
            installation.systems.register("lab", narrow, proposed_by="sofia", approved_by="otto")
        return append(action, resource, outcome, actor=actor, **detail)

    installation.audit.append = narrowed  # type: ignore[method-assign]
    with pytest.raises(AccessDeniedError, match="no longer approved for all of this"):
        installation.systems.issue_token("lab", by="sofia", how="test", seconds=3600)
    assert ("token.issued", "lost") in rows
    assert [f for f in installation.facts.of("session", who="lab") if f.state == "open"] == []


# roles


def test_a_change_of_roles_is_decided_once(raced: Installation) -> None:
    sofia, otto, petra = (grown(raced, n, r) for n, r in OFFICERS.items())
    changes = raced.role_changes
    for turn in range(TIMES):
        raced.people.write(f"nina{turn}", f"nina{turn}@clinic.example", "Nina", "active")
        key = changes.propose(sofia, f"nina{turn}", "nurse")
        rivals = [partial(changes.approve, otto, key), partial(changes.approve, petra, key), partial(changes.reject, otto, key)]
        assert winners(race(*rivals)) == 1
        fact = raced.facts.one("proposal", key)
        assert fact is not None
        assert (fact.state == "approved") == (raced.people.roles(f"nina{turn}") == ("nurse",))


def test_the_transaction_alone_decides_a_change_of_roles_once(raced: Installation, again: Installation) -> None:
    """The two have no lock in common, as on two machines."""
    again.facts._lock = again.facts._lock.with_name("facts of another machine")
    sofia, otto, petra = (grown(raced, n, r) for n, r in OFFICERS.items())
    for turn in range(TIMES):
        raced.people.write(f"nina{turn}", f"nina{turn}@clinic.example", "Nina", "active")
        key = raced.role_changes.propose(sofia, f"nina{turn}", "nurse")
        assert (
            winners(race(partial(raced.role_changes.approve, petra, key), partial(again.role_changes.reject, otto, key))) == 1
        )


@pytest.mark.parametrize("leaver", ["otto", "petra", "nina"])
def test_a_role_is_not_given_by_or_to_somebody_who_leaves_at_the_same_moment(raced: Installation, leaver: str) -> None:
    """otto proposes, petra approves, nina is concerned; who leaves first decides nothing any more."""
    sofia = grown(raced, "sofia", "security-officer")
    for turn in range(TIMES):
        names = {n: f"{n}{turn}" for n in ("otto", "petra", "nina")}
        otto, petra = grown(raced, names["otto"], "security-officer"), grown(raced, names["petra"], "privacy-officer")
        raced.people.write(names["nina"], f"{names['nina']}@clinic.example", "Nina", "active")
        key = raced.role_changes.propose(otto, names["nina"], "nurse")
        found = race(partial(raced.role_changes.approve, petra, key), partial(raced.people.leave, sofia, names[leaver]))
        assert found[1] == ("left" if leaver == "nina" else "suspended")
        fact = raced.facts.one("proposal", key)
        assert fact is not None
        assert (found[0] is None) == (fact.state == "approved")
        assert leaver != "nina" or raced.people.roles(names["nina"]) == ()


@pytest.mark.parametrize("leaver", ["otto", "petra", "nina"])
def test_a_role_is_not_given_by_or_to_somebody_who_has_left(installation: Installation, leaver: str) -> None:
    sofia, otto, petra = (grown(installation, n, r) for n, r in OFFICERS.items())
    grown(installation, "nina", "nurse")
    key = installation.role_changes.propose(otto, "nina", "auditor")
    installation.people.leave(sofia, leaver)
    with pytest.raises((StateError, AccessDeniedError)):
        installation.role_changes.approve(petra, key)
    assert "auditor" not in installation.people.roles("nina")


def test_the_last_security_officer_stays(raced: Installation) -> None:
    petra = grown(raced, "petra", "privacy-officer")
    for _ in range(TIMES):
        sofia, otto = (grown(raced, name, "security-officer") for name in ("sofia", "otto"))
        for name in ("sofia", "otto"):
            raced.role_changes.propose(sofia if name == "otto" else otto, name, "security-officer", give=False)
        takes = [partial(raced.role_changes.approve, petra, f"{name}/security-officer/take") for name in ("sofia", "otto")]
        assert winners(race(*takes)) == 1
        assert sum("security-officer" in raced.people.roles(n) for n in ("sofia", "otto")) == 1
        for name in ("sofia", "otto"):
            with contextlib.suppress(StateError, AccessDeniedError):
                raced.role_changes.reject(petra, f"{name}/security-officer/take")


def test_two_officers_do_not_make_each_other_leave(raced: Installation) -> None:
    for turn in range(TIMES):
        one, two = (grown(raced, f"{n}{turn}", "security-officer") for n in ("sofia", "otto"))
        leaves = [partial(raced.people.leave, one, two.who), partial(raced.people.leave, two, one.who)]
        assert winners(race(*leaves)) == 1


def test_the_last_security_officers_role_is_not_withdrawn_on_the_command_line(installation: Installation) -> None:
    grown(installation, "sofia", "security-officer")
    with pytest.raises(StateError, match="last security officer"):
        withdraw_role(installation, "sofia", "security-officer")


# emergency access


def test_an_emergency_access_is_reviewed_once_and_not_by_whoever_used_it(raced: Installation) -> None:
    paul, petra, clara = (grown(raced, n, "privacy-officer") for n in ("paul", "petra", "clara"))
    for turn in range(TIMES):
        raced.facts.put(Fact("review", f"glass-{turn}", "due", "clara", purpose="emergency", until="2099"), quiet=True)
        rivals = [
            partial(raced.gate.review, s, turn, f) for s, f in ((paul, "justified"), (petra, "misuse"), (clara, "justified"))
        ]
        found = race(*rivals)
        assert winners(found) == 1, found
        assert isinstance(found[2], (AccessDeniedError, StateError))


# secrets that are used once


def test_a_recovery_code_opens_one_session(raced: Installation) -> None:
    grown(raced, "sofia", "security-officer")
    credentials = raced.people.credentials
    for _ in range(TIMES // CODES):
        codes = credentials.new_recovery_codes("sofia")
        assert len(codes) == CODES
        for code in codes:
            assert sorted(race(*[partial(credentials.recovery_is, "sofia", code)] * 4)) == [False, False, False, True]
    several = credentials.new_recovery_codes("sofia")[:4]
    assert sorted(race(*(partial(credentials.recovery_is, "sofia", code) for code in several))) != [False] * 4


def test_a_partial_session_is_completed_once(raced: Installation) -> None:
    grown(raced, "sofia", "security-officer")
    for _ in range(TIMES):
        half = raced.people.begin_half("sofia")
        assert winners(race(*[partial(raced.people.finish_half, half, "passkey", "x")] * 3)) == 1


def test_a_session_is_stepped_up_once_and_not_after_it_ended(raced: Installation) -> None:
    for turn in range(TIMES):
        session = grown(raced, f"anna{turn}", "nurse")
        found = race(*[partial(raced.people.step_up, session, "passkey")] * 2, partial(raced.people.end_sessions, session.who))
        assert winners(found[:2]) <= 1
        assert not [f for f in raced.facts.of("session", who=session.who) if f.state == "open"]


def test_a_time_code_a_challenge_and_a_number_of_an_assertion_count_once(raced: Installation) -> None:
    for turn in range(TIMES):
        assert sorted(race(*[partial(use_once, raced.db, f"totp/sofia/{turn}", 120)] * 4)) == [False, False, False, True]
        challenge = raced.people.credentials._challenge("sign-in")
        assert winners(race(*[partial(raced.people.credentials._use_up, challenge)] * 4)) == 1


def test_of_two_authenticators_one_is_registered(raced: Installation) -> None:
    credentials = raced.people.credentials
    for turn in range(TIMES):
        grown(raced, f"anna{turn}", "nurse")
        code = TOTP(parse_qs(urlsplit(credentials.begin_totp(f"anna{turn}")).query)["secret"][0]).now()
        race(partial(credentials.confirm_totp, f"anna{turn}", code), partial(credentials.begin_totp, f"anna{turn}"))
        if "totp" in credentials.kinds(f"anna{turn}"):
            with pytest.raises(StateError, match="has an authenticator"):
                credentials.begin_totp(f"anna{turn}")


# limits of guesses


@pytest.mark.parametrize(("device", "most"), [("", 5), ("a-known-one", 10)])
def test_a_burst_of_guesses_checks_no_more_than_the_limit(raced: Installation, device: str, most: int) -> None:
    limits = raced.people.limits
    for turn in range(TIMES):
        attempt = SignInAttempt(f"sofia{turn}", f"10.0.0.{turn}", device)
        checked = winners(race(*[partial(limits.require_allowed, attempt)] * (3 * most)))
        assert checked == most


def test_an_address_is_limited_over_all_names_and_an_own_sign_in_forgives_it_nothing(raced: Installation) -> None:
    limits = raced.people.limits
    for n in range(PLACE - 1):
        limits.require_allowed(SignInAttempt(f"name{n}", "10.0.0.1", ""))
    own = SignInAttempt("insider", "10.0.0.1", "")
    for _ in range(3):
        limits.require_allowed(own)
        limits.forgive(own)
    assert winners(race(*(partial(limits.require_allowed, SignInAttempt(f"more{n}", "10.0.0.1", "")) for n in range(20)))) == 1


def test_a_known_device_that_signs_in_forgets_its_own_failures(installation: Installation) -> None:
    limits, attempt = installation.people.limits, SignInAttempt("sofia", "10.0.0.1", "a-known-one")
    for _ in range(9):
        limits.require_allowed(attempt)
    limits.require_allowed(attempt)
    limits.forgive(attempt)
    for _ in range(10):
        limits.require_allowed(attempt)
    with pytest.raises(AccessDeniedError):
        limits.require_allowed(attempt)


# keys of the command line


def test_a_session_is_stepped_up_by_a_second_key_of_the_same_person(installation: Installation) -> None:
    for key, person in (("eli", "eli"), ("eli2", "eli"), ("rosa", "rosa"), ("eli3", "eli")):
        make_key(installation, key, "ethics-board", person=person)
    assert installation.sign_in("eli", "eli2")
    with pytest.raises(AccessDeniedError, match="not a second key of the owner"):
        installation.sign_in("eli", "rosa")
    withdraw_role(installation, "eli3", "ethics-board")
    with pytest.raises(AccessDeniedError, match="has no role now"):
        installation.sign_in("eli", "eli3")


# policies


def policy_of(turn: str) -> AccessPolicy:
    return parse_policy(shipped_policy().text.replace("version = 1", f"version = {turn}", 1))


def test_a_policy_is_put_in_force_once_and_by_two_people(raced: Installation) -> None:
    for key, role, person in (
        ("sven", "security-officer", "sven"),
        ("paul", "privacy-officer", "paul"),
        ("otto", "security-officer", "otto"),
    ):
        make_key(raced, key, role, person=person)
    sven, paul, otto = (raced.keys.get(k) for k in ("sven", "paul", "otto"))
    for turn in range(TIMES):
        name, _replay = raced.policies.propose(policy_of(str(turn + 2)), sven)
        found = race(*(partial(raced.policies.approve, name, key) for key in (paul, otto, sven)))
        assert winners(found) == 1
        assert isinstance(found[2], Exception)
        assert raced.policies.active().version == turn + 2


def test_of_two_policies_that_are_approved_at_once_the_log_says_which_is_in_force(raced: Installation) -> None:
    for key, role in (("sven", "security-officer"), ("paul", "privacy-officer"), ("otto", "security-officer")):
        make_key(raced, key, role, person=key)
    sven, paul, otto = (raced.keys.get(k) for k in ("sven", "paul", "otto"))
    for turn in range(TIMES):
        names = [raced.policies.propose(policy_of(str(2 * turn + n + 2)), sven)[0] for n in range(2)]
        assert winners(race(*(partial(raced.policies.approve, n, k) for n, k in zip(names, (paul, otto), strict=True)))) == 2
        rows = [e for e in raced.audit.entries() if e.action == "policy.activated" and e.resource in names]
        first, last = sorted(rows, key=lambda e: str(e.detail["at"]))
        assert first.detail["at"] != last.detail["at"]
        assert raced.policies.active().digest == last.detail["digest"]


def test_a_policy_is_not_put_in_force_for_somebody_who_lost_the_role(raced: Installation) -> None:
    for key, role in (("sven", "security-officer"), ("paul", "privacy-officer")):
        make_key(raced, key, role, person=key)
    name, _replay = raced.policies.propose(policy_of("2"), raced.keys.get("sven"))
    withdraw_role(raced, "sven", "security-officer")
    with pytest.raises(StateError, match="may no longer change the policy"):
        raced.policies.approve(name, raced.keys.get("paul"))


# applications


@pytest.mark.parametrize("kind", ["code", "refresh"])
def test_a_code_or_refresh_token_that_is_used_twice_at_once_leaves_no_token_alive(raced: Installation, kind: str) -> None:
    """Somebody else has it too: whichever comes first, what it gave is ended."""
    grown(raced, "clara", "clinician")
    apps, verifier, back = raced.apps, "v" * 43, "https://app.example/back"
    apps.add("app", (back,), "patient/*.rs offline_access")
    app = apps.get("app")
    for _ in range(TIMES):
        code = apps.allow("clara", app, back, "patient/*.rs offline_access", create_s256_code_challenge(verifier))
        use = partial(apps.redeem, app, code, back, verifier)
        if kind == "refresh":
            use = partial(apps.refresh, app, use().refresh)
        assert winners(race(use, use)) == 1
        alive = [f for f in raced.facts.of("session", who="clara") if f.state in ("open", "refresh", "code") and f.get("app")]
        assert alive == []


def test_an_application_that_is_revoked_at_the_same_moment_gets_nothing(raced: Installation) -> None:
    grown(raced, "clara", "clinician")
    apps, verifier, back = raced.apps, "v" * 43, "https://app.example/back"
    apps.add("app", (back,), "patient/*.rs offline_access")
    app = apps.get("app")
    for _ in range(TIMES):
        code = apps.allow("clara", app, back, "patient/*.rs offline_access", create_s256_code_challenge(verifier))
        token = apps.redeem(app, code, back, verifier).refresh
        race(partial(apps.refresh, app, token), partial(apps.revoke, "clara", "app"))
        assert apps.allowed_by("clara") == []


# privacy budgets


def test_a_population_is_declared_once_and_never_overdrawn(raced: Installation) -> None:
    for turn in range(TIMES):
        name = f"clinic-{turn}"
        declares = [partial(raced.ledger.declare, name, epsilon=e, delta=1e-8, actor="paul") for e in (1.0, 2.0)]
        limits = {statement.epsilon_limit for statement in race(*declares)}  # type: ignore[attr-defined]
        assert len(limits) == 1
        reserve = partial(raced.ledger.reserve, name, epsilon=limits.pop(), delta=1e-8, purpose="t", actor="paul")
        assert winners(race(reserve, reserve, reserve)) == 1
