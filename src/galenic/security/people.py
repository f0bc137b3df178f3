"""Accounts of users: names and roles, passwords and sessions, and deactivation."""

import secrets
from dataclasses import dataclass, replace
from typing import Any

from galenic.errors import AccessDeniedError, OptionError, StateError, UnknownNameError
from galenic.security.account_history import SECOND_FACTORS, SET_UP, AccountHistory
from galenic.security.audit import AuditLog
from galenic.security.credentials import Credentials, dropped, new_password
from galenic.security.facts import Fact, FactReader, FactStore
from galenic.security.gate import Gate
from galenic.security.grants import Session, token_name
from galenic.security.keys import NAME
from galenic.security.person_id import comparable, display_name, person_id
from galenic.security.policy import AccessPolicy
from galenic.security.sign_in_limits import WRONG, SignInAttempt, SignInLimits, digest_of
from galenic.security.standing import has_stepped_up, roles_of

SESSION_SECONDS = 12 * 3600
HALF_SECONDS = 10 * 60
STEP_UP_SECONDS = 5 * 60
LIVE = frozenset({"open", "half", "refresh", "code"})  # states of sessions that can be used
ADMINISTERS = "security-officer"
APPROVERS = frozenset({"security-officer", "privacy-officer"})  # roles that decide on proposals of others about accounts
LEAVES = "deactivate"  # verb of a proposal
ENROLLS = "enrolls"  # detail of an account that still has to register its second factor
PURPOSES = {  # purposes of the sessions of each role, the default first
    "clinician": ("treatment", "emergency"), "nurse": ("treatment",), "pharmacist": ("treatment",),
    "researcher": ("research", "synthetic-data"), "data-scientist": ("research", "synthetic-data"),
    "privacy-officer": ("quality", "synthetic-data", "de-identification", "subject-access", "erasure-request", "consent"),
    "security-officer": ("administration",), "ethics-board": ("research",), "integration-engineer": ("records",),
    "auditor": ("audit",), "patient": ("subject-access",),
}  # fmt: skip

RESERVED_NAMES = frozenset(
    {"root", "system", "server", "worker", "gate", "audit", "nobody", "anonymous"}
)  # actors of audit rows


def account(name: str, human: str, shown: str, state: str, more: dict[str, Any]) -> Fact:
    """Fact of an account. human: the person's ID in any form; more: further details."""
    return Fact("person", name, state, name, label=person_id(human), body=tuple(sorted({"shown": shown, **more}.items())))


def require_free_name(facts: FactReader, name: str) -> None:
    """Raise OptionError for an invalid account name, and StateError if a person, system or key has the name (ignoring case)."""
    if not NAME.match(name) or name.casefold().startswith("galenic"):
        raise OptionError("an account name has only letters, digits, '.', '_' or '-', and begins with a letter or digit.")
    if name.casefold() in RESERVED_NAMES:
        raise OptionError("this name is reserved for a component of the system. Choose another name for the account.")
    taken = {f.who.casefold() for kind in ("person", "grant") for f in facts.of(kind)}
    if name.casefold() in taken:
        raise StateError("an account, system or key with this name already exists. Choose another name.")


def known_purposes(policy: AccessPolicy) -> frozenset[str]:
    """Purposes that roles and the rules of a policy name."""
    of_roles = (p for purposes in PURPOSES.values() for p in purposes)
    return frozenset(of_roles).union(*(rule.purposes for rule in policy.rules))


@dataclass(frozen=True)
class User:
    """Account of a person. human: identifies the person across accounts (a staff number or address); shown: display name."""

    name: str
    human: str
    shown: str
    state: str
    roles: tuple[str, ...] = ()


class UserDirectory:
    """The accounts of one installation."""

    def __init__(self, gate: Gate, credentials: Credentials) -> None:
        self.gate, self.credentials = gate, credentials
        self.facts: FactStore = gate.facts
        self.history = AccountHistory(gate.audit)
        self.audit: AuditLog = gate.audit
        self.limits = SignInLimits(gate.db, gate.audit)

    # accounts

    def any(self) -> bool:
        """True if there is or, according to the audit log, ever was an account."""
        return bool(self.facts.of("person")) or self.history.any_account()

    def get(self, name: str) -> User | None:
        """Account with that name, or None."""
        fact = self.facts.one("person", name)
        return self._person(fact) if fact else None

    def all(self) -> list[User]:
        """All accounts, by name."""
        return [self._person(f) for f in self.facts.of("person")]

    def roles(self, name: str) -> tuple[str, ...]:
        """Current roles of an account."""
        now = self.facts.now()
        return tuple(sorted(f.label for f in self.facts.of("grant", who=name) if f.stands("given", now)))

    def _person(self, fact: Fact) -> User:
        return User(fact.key, fact.label, str(fact.get("shown")), fact.state, self.roles(fact.key))

    # new accounts

    def set_up(self, name: str, human: str, shown: str, password: str) -> None:
        """Creates the first account, which administers the installation. Raise StateError if there already is an account."""
        done = StateError("this installation is already set up. Ask its security officer for an invitation.")
        if self.any():
            raise done
        self.audit.require_intact()  # deleted rows could have named accounts
        new = new_password(name, password, (human, shown))

        def plan(facts: FactReader) -> list[Fact]:
            if facts.of("person"):
                raise done
            person = self.new(facts, name, human, shown, "active", {ENROLLS: "yes"})
            return [person, grant_fact(name, human, ADMINISTERS, by=name, approved="first person of the installation"), new]

        self.facts.change(plan, actor=name)
        self.audit.append(SET_UP, name, actor=name)
        self.gate.versions.refresh()

    @staticmethod
    def new(facts: FactReader, name: str, human: str, shown: str, state: str, more: dict[str, Any]) -> Fact:
        """New account. Refuses a name or person's ID that is invalid or taken. facts: as seen by the change that writes it."""
        require_free_name(facts, name)
        fact = account(name, human, display_name(shown), state, more)
        if any(comparable(f.label) == fact.label and f.state != "left" for f in facts.of("person")):
            raise StateError("this person already has an account. Each person may have only one: nobody may sign twice.")
        return fact

    def write(self, name: str, human: str, shown: str, state: str, more: dict[str, Any] | None = None) -> None:
        """Writes an account. more: further details, which replace the previous ones."""
        self.facts.put(account(name, human, shown, state, more or {}))
        self.gate.versions.refresh()

    # changes of passwords

    def change_password(self, by: Session, old: str, new: str, place: str, device: str) -> None:
        """Changes the password and ends the account's other sessions. Raise AccessDeniedError if the old password is wrong."""
        attempt = SignInAttempt(by.who, place, device)
        self.limits.require_allowed(attempt)
        checked = self.credentials.password_fact(by.who)
        if not self.credentials.password_is(by.who, old):
            self.limits.fail(attempt)
        self.limits.succeed(attempt)
        person = self.facts.one("person", by.who)
        if person is not None:
            self.credentials.set_password(by.who, new, (person.label, str(person.get("shown"))), instead_of=checked)
            self.audit.append("person.password", by.who, actor=by.who)
            self.end_sessions(by.who, but=by.id)

    def end_all(self, by: Session, name: str) -> int:
        """Ends the sessions of an account, on request of an administrator. Returns their number."""
        self.require_administrator(by)
        return self.end_sessions(name)

    def grant(self, name: str, human: str, role: str, *, by: str, approved: str, state: str = "given") -> None:
        """Gives an account a role, or withdraws it, on behalf of the people who proposed and approved it."""
        self.facts.put(grant_fact(name, human, role, by=by, approved=approved, state=state), actor=by)
        self.gate.versions.refresh()

    def require_administrator(self, by: Session) -> None:
        """Raise AccessDeniedError unless the session belongs to a security officer who has re-authenticated."""
        require_administrator(self.facts, by)

    # deactivation

    def leave(self, by: Session, name: str) -> str:
        """Deactivates an account in one step: sign-in, sessions, roles and credentials end. An active account with a role that
        approves is suspended at once, and a second person approves or rejects its deactivation. Returns its state."""

        def plan(facts: FactReader) -> list[Fact]:
            require_administrator(facts, by)
            fact = facts.one("person", name)
            if fact is None or name == by.who:
                raise UnknownNameError(
                    "this person does not exist, or is you. Ask another security officer to deactivate your account."
                )
            if fact.state == "suspended":
                raise StateError("this account is suspended. A second person must approve or reject its deactivation.")
            if fact.state == "active" and any(g.label in APPROVERS and g.state == "given" for g in facts.of("grant", who=name)):
                return suspension(facts, fact, by)
            return departure(facts, fact)

        written = self.facts.change(plan, actor=by.who)
        self.record_ended(name, written)
        self.audit.append(f"person.{written[0].state}", name, actor=by.who)
        return written[0].state

    def end_sessions(self, name: str, but: str = "") -> int:
        """Ends all sessions of an account and its open grants. Returns their number."""

        def plan(facts: FactReader) -> list[Fact]:
            return ended_sessions(facts, name, but)

        return self.record_ended(name, self.facts.change(plan, quiet=True) if plan(self.facts) else [])

    def record_ended(self, name: str, written: list[Fact]) -> int:
        """Records in the audit log the number of sessions that a change ended, and returns it."""
        ended = sum(f.kind == "session" for f in written)
        if ended:
            self.audit.append("session.ended", name, actor=name, count=ended)
        self.gate.versions.refresh()
        return ended

    # signing in

    def may_enroll(self, name: str) -> bool:
        """True if the account may register its first second factor with only one factor, after an invitation or a recovery by
        two people, until the first sign-in. Accounts of earlier versions have no such mark; their history decides."""
        person = self.facts.one("person", name)
        if person is None or person.state != "active" or SECOND_FACTORS & self.credentials.kinds(name):
            return False
        return person.get(ENROLLS) == "yes" or self._was_never_used(name)

    def _was_never_used(self, name: str) -> bool:
        """True if nobody ever signed in to the account, changed a factor of it, or began to reset or recover it."""
        factors = [f for f in self.facts.of("credential", who=name) if f.label in SECOND_FACTORS and f.state != "begun"]
        recoveries = [f for f in self.facts.of("recovery") if name in (f.who, f.purpose) and f.key.startswith(f"{name}/")]
        return not factors and not recoveries and self.history.is_unused(name)

    def _end_enrollment(self, person: Fact) -> None:
        """Ends entitlements of an account that was never used: registration of a first factor, and a pending recovery."""

        def plan(facts: FactReader) -> list[Fact]:
            now, recovery = facts.one("person", person.key), facts.one("recovery", f"{person.key}/factors")
            ended = []
            if now is not None and now.state == "active" and now.get(ENROLLS):
                ended.append(replace(now, body=tuple(b for b in now.body if b[0] != ENROLLS)))
            if recovery is not None and recovery.state in ("proposed", "approved"):
                ended.append(replace(recovery, state="void"))
            return ended

        if plan(self.facts):
            self.facts.change(plan, actor=person.key)

    def try_password(self, name: str, password: str, place: str, device: str) -> str:
        """Secret of a partial session if the password is correct; the second factor completes it. Otherwise raise
        AccessDeniedError, always with the same message. place: network address; device: cookie of a known device, "" for an
        unknown one."""
        attempt = SignInAttempt(name, place, device)
        self.limits.require_allowed(attempt)
        person = self.facts.one("person", name)
        right = self.credentials.password_is(name, password)
        if not right or person is None or person.state != "active":
            self.limits.fail(attempt)
        self.limits.succeed(attempt)
        return self.begin_half(name)

    def begin_half(self, name: str) -> str:
        """Secret of a partial session, for a person who has authenticated with one factor."""
        secret = secrets.token_urlsafe(32)
        until = self.facts.clock.after(HALF_SECONDS)

        def plan(facts: FactReader) -> list[Fact]:
            person = facts.one("person", name)
            if person is None or person.state != "active":
                raise AccessDeniedError(WRONG)
            return [Fact("session", token_name(secret), "half", name, until=until)]

        self.facts.change(plan, quiet=True)
        return secret

    def half(self, secret: str) -> str | None:
        """The account of a partial session, or None."""
        fact = self.facts.one("session", token_name(secret))
        return fact.who if fact is not None and fact.stands("half", self.facts.now()) else None

    def try_code(self, secret: str, code: str, place: str, device: str, agent: str) -> str:
        """Secret of a full session, if the time code or recovery code is correct."""
        name = self.half(secret)
        if name is None:
            raise AccessDeniedError("the sign-in took too long. Start again.")
        attempt = SignInAttempt(name, place, device)
        self.limits.require_allowed(attempt)
        if self.credentials.totp_is(name, code):
            how = "password and time code"
        elif self.credentials.recovery_is(name, code):
            how = "password and recovery code"
        else:
            self.limits.fail(attempt)
        self.limits.forgive(attempt)
        return self.finish_half(secret, how, agent)

    def finish_half(self, secret: str, how: str, agent: str) -> str:
        """Secret of a full session in place of a partial one, after the second factor was verified."""
        name = self.half(secret)
        if name is None:
            raise AccessDeniedError("the sign-in took too long. Start again.")

        def plan(facts: FactReader) -> list[Fact]:
            half = facts.one("session", token_name(secret))
            if half is None or not half.stands("half", facts.now()):
                raise AccessDeniedError("this sign-in was already completed. Start again.")
            return [Fact("session", half.key, "ended", name)]

        self.facts.change(plan, quiet=True)
        return self.begin(name, how, agent)

    def confirm(self, session: Session, code: str, place: str, device: str) -> str:
        """Secret of a session re-authenticated by a time code. AccessDeniedError if it is wrong, or after too many attempts."""
        attempt = SignInAttempt(session.who, place, device)
        self.limits.require_allowed(attempt)
        if not self.credentials.totp_is(session.who, code):
            self.limits.fail(attempt)
        self.limits.succeed(attempt)
        return self.step_up(session, "time code")

    def begin(self, name: str, how: str, agent: str) -> str:
        """Secret of a new session of an authenticated person. agent: the browser that the session is bound to."""
        person = self.facts.one("person", name)
        if person is None or person.state != "active":
            raise AccessDeniedError(WRONG)
        self._end_enrollment(person)
        secret = secrets.token_urlsafe(32)
        purposes = dict.fromkeys(p for r in self.roles(name) for p in PURPOSES.get(r, ()))
        about = (
            ("agent", digest_of(agent)),
            ("purposes", " ".join(purposes) or "none"),
            ("scope", "user/*.cruds"),
            ("browser", "yes"),
            ("began", self.facts.clock.after(0)),
        )
        self.gate.begin(name, how=how, seconds=SESSION_SECONDS, name=token_name(secret), about=about)
        return secret

    def step_up(self, session: Session, how: str) -> str:
        """Secret of a re-authenticated session that replaces the previous one; required for irreversible actions."""
        secret = secrets.token_urlsafe(32)
        until, now = self.facts.clock.after(STEP_UP_SECONDS), self.facts.clock.after(0)

        def plan(facts: FactReader) -> list[Fact]:
            before = facts.one("session", session.id)
            if before is None or before.state != "open":
                raise AccessDeniedError("the session has ended. Sign in again.")
            body = {**dict(before.body), "stepped_up_until": until, "stepped_up_by": how, "resumed": now}
            fresh = replace(before, key=token_name(secret), body=tuple(sorted(body.items())))
            return [Fact("session", session.id, "ended", session.who), fresh]

        self.facts.change(plan, quiet=True)
        self.audit.append("session.stepped-up", session.who, actor=session.who, how=how)
        self.gate.versions.refresh()
        return secret

    def has_stepped_up(self, session: Session) -> bool:
        """True if the person of a session re-authenticated within the last minutes."""
        return has_stepped_up(self.facts, session.id, session.who)


def grant_fact(name: str, human: str, role: str, *, by: str, approved: str, state: str = "given") -> Fact:
    """A role of an account, given or withdrawn on behalf of the people who proposed and approved it."""
    body = (
        ("approved_by", approved),
        ("person", comparable(human)),
        ("proposed_by", by),
        ("region", ""),
        ("tenant", "home"),
    )
    return Fact("grant", f"{name}/{role}", state, name, label=role, body=body)


def ended_sessions(facts: FactReader, name: str, but: str = "") -> list[Fact]:
    """Usable sessions of an account, marked as ended. but: name of a session that continues."""
    found = [f for f in facts.of("session", who=name) if f.state in LIVE and f.key != but]
    return [Fact("session", f.key, "ended", name) for f in found]


def departure(facts: FactReader, person: Fact) -> list[Fact]:
    """Facts of a deactivated account: no role, credential or session."""
    joined = "no" if person.state == "invited" else "yes"
    body = (("joined", joined), ("shown", str(person.get("shown"))))
    left = Fact("person", person.key, "left", person.key, label=person.label, body=body)
    given = [replace(g, state="withdrawn", until="") for g in facts.of("grant", who=person.key) if g.state == "given"]
    return [left, *given, *dropped(facts, person.key), *ended_sessions(facts, person.key)]


def suspension(facts: FactReader, person: Fact, by: Session) -> list[Fact]:
    """Facts of a suspended account, until a second person has decided on its deactivation."""
    body = (("human", person.label), ("verb", LEAVES))
    proposal = Fact("proposal", f"{person.key}/account/{LEAVES}", "proposed", by.who, purpose=person.key, body=body)
    return [replace(person, state="suspended"), proposal, *ended_sessions(facts, person.key)]


def require_administrator(facts: FactReader, by: Session) -> None:
    """Raise AccessDeniedError unless the session belongs to a security officer who has re-authenticated."""
    if ADMINISTERS not in roles_of(facts, by.who) or not has_stepped_up(facts, by.id, by.who):
        raise AccessDeniedError("accounts are managed by a security officer who has just signed in again.")


def require_another_administrator(facts: FactReader, but: str) -> None:
    """Raise StateError if only this account administers the installation."""
    people = (f.key for f in facts.of("person") if f.key != but and f.state == "active")
    if not any(ADMINISTERS in roles_of(facts, name) for name in people):
        raise StateError("this is the last security officer. Give the role to another person first.")
