"""Invitations of users: a single-use link with which an invited person creates an account."""

import secrets
from collections.abc import Callable

from galenic.errors import AccessDeniedError, OptionError
from galenic.security.account_history import former_approvers
from galenic.security.credentials import new_password
from galenic.security.facts import Fact, FactReader, FactStore
from galenic.security.grants import Session
from galenic.security.people import (
    ADMINISTERS,
    APPROVERS,
    ENROLLS,
    User,
    UserDirectory,
    account,
    grant_fact,
    require_administrator,
)
from galenic.security.policy import ROLES
from galenic.security.role_changes import proposal_fact
from galenic.security.sign_in_limits import digest_of
from galenic.security.standing import roles_of

INVITED_HOURS = 72


class Invitations:
    """The invitations of one installation."""

    def __init__(self, people: UserDirectory) -> None:
        self.people = people
        self.facts: FactStore = people.facts

    def invite(self, by: Session, name: str, human: str, shown: str, roles: tuple[str, ...]) -> str:
        """Invites a person; returns the secret of the invitation. The roles take effect once a second person has approved them.

        The second administrator needs no approval, as long as no other account has ever held a role that approves and none is
        invited, because nobody else could approve. This exception does not return when others have left.
        """
        self.people.require_administrator(by)
        strange = sorted(set(roles) - set(ROLES) | ({"service"} & set(roles)))
        if strange or not roles:
            raise OptionError(
                f"the roles {strange or 'none'} cannot be given to a person. Expected some of {', '.join(ROLES[:-1])}."
            )
        secret = secrets.token_urlsafe(24)
        until = self.people.facts.clock.after(INVITED_HOURS * 3600)
        details = {"invitation": digest_of(secret), "until": until, "invited_by": by.who}
        second = ADMINISTERS in roles and self._may_be_second(by)

        def plan(facts: FactReader) -> list[Fact]:
            require_administrator(facts, by)
            person = self.people.new(facts, name, human, shown, "invited", details)
            return [person, *(_first_role(facts, by, person, role, second=second) for role in dict.fromkeys(roles))]

        self.facts.change(plan, actor=by.who)
        self.people.gate.versions.refresh()
        return secret

    def _may_be_second(self, by: Session) -> bool:
        """True if only the inviting account has ever held a role that approves, by the facts and, if they were deleted, by the
        audit log."""
        if former_approvers(self.facts, APPROVERS) - {by.who}:
            return False
        return not self.people.history.approvers(APPROVERS) - {by.who}

    def accept(self, secret: str, password: str) -> User:
        """Sets the invited person's password. The invitation can then not be used again."""
        fact = self._invited(self.facts, secret)
        about = (fact.label, str(fact.get("shown")))
        new = new_password(fact.key, password, about)
        return self._accept(secret, lambda _facts, _name: [new])

    def accept_linked(self, secret: str, link: Callable[[FactReader, str], Fact]) -> User:
        """Accepts an invitation with the organization's identity provider, without a password. link: the fact that links the
        account to the provider.

        A password reset link is not an invitation: the owner links an active account after signing in.
        """
        return self._accept(secret, lambda facts, name: [link(facts, name)])

    def _accept(self, secret: str, more: Callable[[FactReader, str], list[Fact]] = lambda _facts, _name: []) -> User:
        """Completes the invitation: the account becomes active, and registers its second factor at the first sign-in."""

        def plan(facts: FactReader) -> list[Fact]:
            fact = self._invited(facts, secret)
            accepted = account(fact.key, fact.label, str(fact.get("shown")), "active", {ENROLLS: "yes"})
            return [accepted, *more(facts, fact.key)]

        fact = self.facts.change(plan)[0]
        self.people.gate.versions.refresh()
        return User(fact.key, fact.label, str(fact.get("shown")), "active", self.people.roles(fact.key))

    @staticmethod
    def _invited(facts: FactReader, secret: str) -> Fact:
        for fact in facts.of("person"):
            waits = fact.state == "invited" and str(fact.get("until")) > facts.now()
            if waits and fact.get("invitation") == digest_of(secret):
                return fact
        raise AccessDeniedError(
            "this invitation is not valid: it was already used, has expired, or never existed. Ask for another."
        )


def _first_role(facts: FactReader, by: Session, person: Fact, role: str, *, second: bool) -> Fact:
    """Role of an invited person: proposed, or given at once to the second administrator. second: True if nobody else has ever
    approved."""
    second = second and not former_approvers(facts, APPROVERS) - {by.who}
    others = (f.key for f in facts.of("person") if f.state != "left" and f.key != by.who)
    if second and role == ADMINISTERS and not any(ADMINISTERS in roles_of(facts, name) for name in others):
        return grant_fact(person.key, person.label, role, by=by.who, approved="second person of the installation")
    return proposal_fact(person, role, by=by.who, verb="give")
