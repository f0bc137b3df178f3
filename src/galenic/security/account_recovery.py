"""Account recovery: a lost password with the account's own second factor, lost factors with two other people."""

import hmac
import secrets
from dataclasses import replace

from galenic.errors import AccessDeniedError, StateError, UnknownNameError
from galenic.security.account_history import SECOND_FACTORS
from galenic.security.credentials import check_password, dropped, new_password
from galenic.security.facts import Fact, FactReader, FactStore
from galenic.security.grants import Session
from galenic.security.notices import notice, tell
from galenic.security.people import ADMINISTERS, APPROVERS, ENROLLS, UserDirectory, account, ended_sessions
from galenic.security.sign_in_limits import SignInAttempt, digest_of
from galenic.security.standing import are_different_people, has_stepped_up, is_active, roles_of

RESET_HOURS, RECOVERY_HOURS = 1, 24
NOT_VALID = "this link is not valid: it was already used, has expired, or never existed. Ask a security officer for another."


class AccountRecovery:
    """Account recovery of one installation. Nobody who takes part in it can sign in to the account."""

    def __init__(self, people: UserDirectory) -> None:
        self.people = people
        self.facts: FactStore = people.facts

    # a lost password

    def reset(self, by: Session, name: str) -> str:
        """Secret of a link with which the owner sets a new password, together with an existing second factor. The old password
        and the sessions end. Raise StateError for an account without a second factor; see `propose`."""
        self.people.require_administrator(by)
        self._owner(self.facts, by, name)
        if not SECOND_FACTORS & self.people.credentials.kinds(name):
            raise StateError("this account has no second factor. Propose to recover the account; a second person must approve.")
        secret = secrets.token_urlsafe(24)
        body, until = (("link", digest_of(secret)),), self._after(RESET_HOURS)
        told = notice(name, f"{by.who} reset your password. If you did not ask for this, inform another security officer.")

        def plan(facts: FactReader) -> list[Fact]:
            self._owner(facts, by, name)
            link = Fact("recovery", f"{name}/password", "open", name, until=until, body=body)
            return [link, told, *dropped(facts, name, "password"), *ended_sessions(facts, name)]

        self.people.record_ended(name, self.facts.change(plan, actor=by.who))
        self.people.audit.append("person.reset", name, actor=by.who)
        return secret

    def account_of(self, secret: str) -> str:
        """Account of an open password reset. Raise AccessDeniedError if there is none."""
        return self._open(self.facts, "password", "open", secret).who

    def set_password(self, secret: str, password: str, code: str, place: str, device: str) -> str:
        """Sets the new password with a time code or recovery code of the account. Returns the account's name."""
        name = self.account_of(secret)
        check_password(password, (name, "galenic"))
        attempt = SignInAttempt(name, place, device)
        self.people.limits.require_allowed(attempt)
        if not (self.people.credentials.totp_is(name, code) or self.people.credentials.recovery_is(name, code)):
            self.people.limits.fail(attempt)
        self.people.limits.succeed(attempt)
        self.set_password_of_passkey(secret, password, name)
        return name

    def set_password_of_passkey(self, secret: str, password: str, owner: str) -> None:
        """Sets the new password of an account that has just authenticated with its passkey. owner: account of the passkey."""
        if self.account_of(secret) != owner:
            raise AccessDeniedError("this passkey belongs to another account.")
        person = self.facts.one("person", owner)
        shown = str(person.get("shown")) if person else ""
        fact = new_password(owner, password, (shown,))
        self.facts.change(
            lambda facts: [replace(self._open(facts, "password", "open", secret), state="used"), fact], actor=owner
        )
        self.people.audit.append("person.password", owner, actor=owner)

    # lost second factors

    def propose(self, by: Session, name: str) -> str:
        """Proposes to let the owner of an account register new factors. Returns the first of two secrets: a code that the
        proposer gives to the owner. The second is the link that the approver gives to the owner."""
        self.people.require_administrator(by)
        code = "-".join(secrets.token_hex(3) for _ in range(4))
        body, until = (("code", digest_of(code)),), self._after(RECOVERY_HOURS)

        def plan(facts: FactReader) -> list[Fact]:
            self._owner(facts, by, name)
            key = f"{name}/factors"
            return [Fact("recovery", key, "proposed", by.who, purpose=name, until=until, body=body)]

        self.facts.change(plan, actor=by.who)
        tell(self.facts, name, f"{by.who} proposed to recover your account. If you can still sign in, this has no effect.")
        return code

    def proposals(self) -> list[Fact]:
        """Recoveries that wait for a second person."""
        now = self.facts.now()
        return [f for f in self.facts.of("recovery") if f.stands("proposed", now)]

    def approve(self, by: Session, name: str) -> str:
        """Approves a recovery as the second person. Returns the secret of the link for the owner."""
        secret = secrets.token_urlsafe(24)
        until = self._after(RECOVERY_HOURS)

        def plan(facts: FactReader) -> list[Fact]:
            fact = self._decided(facts, by, name)
            if not is_active(facts, fact.who) or ADMINISTERS not in roles_of(facts, fact.who):
                raise StateError(
                    "the person who proposed this is no longer a security officer. Reject it, and propose it again."
                )
            if by.who == name or not are_different_people(facts, fact.who, by.who):
                raise AccessDeniedError(
                    "an account recovery needs two people. Neither the person who proposed it nor the account's "
                    "owner can approve it, from any account."
                )
            body = (*fact.body, ("approved_by", by.who), ("link", digest_of(secret)))
            return [replace(fact, state="approved", until=until, body=tuple(sorted(body)))]

        done = self.facts.change(plan, actor=by.who)
        self.people.audit.append("person.recovery", name, actor=by.who, proposed_by=done[0].who)
        return secret

    def reject(self, by: Session, name: str) -> None:
        """Rejects a proposed recovery."""
        self.facts.change(lambda facts: [replace(self._decided(facts, by, name), state="rejected")], actor=by.who)

    def recover(self, secret: str, code: str, password: str) -> str:
        """Sets a new password with both secrets, and ends all earlier factors and sessions. The owner registers a new
        authenticator app at sign-in. Returns the account's name."""
        recovery = self._open(self.facts, "factors", "approved", secret)
        person = self._owner_of(recovery)
        check_password(password, (person.key, "galenic", str(person.get("shown"))))
        if not hmac.compare_digest(str(recovery.get("code")), digest_of(code.strip())):
            raise AccessDeniedError("this code does not match the link. Ask the person who proposed the recovery.")
        new = new_password(person.key, password, (str(person.get("shown")),))
        by = f"{recovery.who} and {recovery.get('approved_by')}"
        told = notice(
            person.key,
            f"Your account was recovered with the approval of {by}. Earlier second factors and sessions no longer work.",
        )

        def plan(facts: FactReader) -> list[Fact]:
            fact = self._open(facts, "factors", "approved", secret)
            owner = self._owner_of(fact, facts)
            now = account(owner.key, owner.label, str(owner.get("shown")), "active", {ENROLLS: "yes"})
            earlier = [f for f in dropped(facts, owner.key) if f.key != new.key]
            return [replace(fact, state="used"), now, new, told, *earlier, *ended_sessions(facts, owner.key)]

        self.people.record_ended(person.key, self.facts.change(plan, actor=person.key))
        self.people.audit.append("person.recovered", person.key, actor=person.key)
        return person.key

    def _owner(self, facts: FactReader, by: Session, name: str) -> Fact:
        fact = facts.one("person", name)
        if fact is None or fact.state != "active" or name == by.who:
            raise UnknownNameError(
                "no such account is active, or it is your own. Ask another security officer to recover your account."
            )
        return fact

    def _owner_of(self, fact: Fact, facts: FactReader | None = None) -> Fact:
        found = (facts or self.facts).one("person", fact.purpose)
        if found is None or found.state != "active":
            raise AccessDeniedError(NOT_VALID)
        return found

    def _decided(self, facts: FactReader, by: Session, name: str) -> Fact:
        fact = facts.one("recovery", f"{name}/factors")
        if fact is None or not fact.stands("proposed", facts.now()):
            raise StateError("this recovery does not exist, has expired, or was already decided.")
        if not APPROVERS & roles_of(facts, by.who) or not has_stepped_up(facts, by.id, by.who):
            raise AccessDeniedError(
                "an account recovery is decided by a security or privacy officer who has just signed in again."
            )
        return fact

    def _open(self, facts: FactReader, kind: str, state: str, secret: str) -> Fact:
        """Recovery that a link is for. kind: password or factors. Raise AccessDeniedError if there is none."""
        for fact in facts.of("recovery", state=state):
            if fact.key.endswith(f"/{kind}") and fact.stands(state, facts.now()) and fact.get("link") == digest_of(secret):
                return fact
        raise AccessDeniedError(NOT_VALID)

    def _after(self, hours: float) -> str:
        return self.facts.clock.after(hours * 3600)
