"""Invitations of people: a link of one use by which an invited person gets an account."""

import secrets
from collections.abc import Callable
from datetime import UTC, datetime, timedelta

from galenic.errors import AccessDeniedError, OptionError
from galenic.security.facts import Fact, FactStore
from galenic.security.grants import Session
from galenic.security.people import ADMINISTERS, User, UserDirectory
from galenic.security.policy import ROLES
from galenic.security.role_changes import RoleChanges
from galenic.security.sign_in_limits import digest_of

INVITED_HOURS = 72


class Invitations:
    """The invitations of one installation."""

    def __init__(self, people: UserDirectory, role_changes: RoleChanges) -> None:
        self.people, self.role_changes = people, role_changes
        self.facts: FactStore = people.facts

    def invite(self, by: Session, name: str, human: str, shown: str, roles: tuple[str, ...]) -> str:
        """Invites a person; returns the secret of the invitation. The roles take effect once a second person has approved them.

        While the installation has only one administrator, a second one needs no approval: there is nobody else to give it.
        """
        self.people.require_administrator(by)
        self.people.require_new(name, human)
        strange = sorted(set(roles) - set(ROLES) | ({"service"} & set(roles)))
        if strange or not roles:
            raise OptionError(
                f"roles {strange or 'none'} cannot be given to a person. Expected some of {', '.join(ROLES[:-1])}."
            )
        secret = secrets.token_urlsafe(24)
        until = (datetime.now(UTC) + timedelta(hours=INVITED_HOURS)).isoformat(timespec="seconds")
        self.people.write(
            name, human, shown, "invited", {"invitation": digest_of(secret), "until": until, "invited_by": by.who}
        )
        alone = [p for p in self.people.all() if p.state == "active" and ADMINISTERS in p.roles] == [self.people.get(by.who)]
        for role in roles:
            if alone and role == ADMINISTERS:
                self.people.grant(name, human, role, by=by.who, approved="second person of the installation")
            else:
                self.role_changes.propose(by, name, role)
        return secret

    def accept(self, secret: str, password: str) -> User:
        """Sets the invited person's password; the invitation is used up."""
        fact = self._invited(secret)
        self.people.credentials.set_password(fact.key, password, (fact.label, str(fact.get("shown"))))
        return self._accepted(fact)

    def accept_linked(self, secret: str, link: Callable[[str], None]) -> User:
        """Accepts an invitation by the site's identity provider, without a password. link: links the account to the provider."""
        fact = self._invited(secret)
        link(fact.key)
        return self._accepted(fact)

    def _accepted(self, fact: Fact) -> User:
        self.people.write(fact.key, fact.label, str(fact.get("shown")), "active")
        return User(fact.key, fact.label, str(fact.get("shown")), "active", self.people.roles(fact.key))

    def _invited(self, secret: str) -> Fact:
        now = datetime.now(UTC).isoformat(timespec="seconds")
        for fact in self.facts.of("person"):
            waits = fact.state in ("invited", "active") and fact.get("invitation")
            if waits and fact.get("invitation") == digest_of(secret) and str(fact.get("until")) > now:
                return fact
        raise AccessDeniedError("this invitation is not valid: it was used, has expired, or never existed. Ask for another.")
