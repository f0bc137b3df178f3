"""Role changes: one person proposes, a second one approves."""

from dataclasses import replace

from galenic.errors import AccessDeniedError, StateError, UnknownNameError
from galenic.security.facts import Fact, FactReader, FactStore
from galenic.security.grants import Session
from galenic.security.people import (
    ADMINISTERS,
    APPROVERS,
    LEAVES,
    UserDirectory,
    departure,
    grant_fact,
    require_administrator,
    require_another_administrator,
)
from galenic.security.policy import ROLES
from galenic.security.standing import OUT_OF_USE, are_different_people, has_stepped_up, is_active, roles_of


class RoleChanges:
    """Proposed and decided changes of roles."""

    def __init__(self, people: UserDirectory) -> None:
        self.people = people
        self.facts: FactStore = people.facts

    def propose(self, by: Session, name: str, role: str, *, give: bool = True) -> str:
        """Proposes to give or withdraw a role; returns the proposal's key."""
        verb = "give" if give else "take"
        key = f"{name}/{role}/{verb}"

        def plan(facts: FactReader) -> list[Fact]:
            require_administrator(facts, by)
            person = facts.one("person", name)
            if person is None or person.state in OUT_OF_USE or role not in ROLES or role == "service":
                raise UnknownNameError("this person does not exist, or does not have this role.")
            before = facts.one("proposal", key)
            if before is not None and before.state == "proposed" and before.who != by.who and _may_propose(facts, before.who):
                raise StateError("this change is already proposed. Approve or reject it.")
            return [proposal_fact(person, role, by=by.who, verb=verb)]

        self.facts.change(plan, actor=by.who)
        return key

    def proposals(self) -> list[Fact]:
        """Changes of roles that wait for a second person."""
        return [f for f in self.facts.of("proposal") if f.state == "proposed"]

    def approve(self, by: Session, key: str) -> None:
        """Approves a proposed change of roles as the second person, and ends the sessions of the account concerned.

        The writing transaction checks that all three accounts are active and have the required roles, and that a security
        officer remains.
        """

        def plan(facts: FactReader) -> list[Fact]:
            fact = self._proposed(facts, by, key)
            _require_two_people(facts, by, fact)
            person = facts.one("person", fact.purpose)
            if fact.get("verb") == LEAVES and person is not None and person.state == "suspended":
                return [*departure(facts, person), replace(fact, state="approved")]
            if person is None or person.state in OUT_OF_USE or fact.get("verb") == LEAVES:
                raise StateError("the account of this person is deactivated or suspended. Reject the change.")
            given = fact.get("verb") == "give"
            if not given and fact.label == ADMINISTERS:
                require_another_administrator(facts, fact.purpose)
            state = "given" if given else "withdrawn"
            grant = grant_fact(fact.purpose, person.label, fact.label, by=fact.who, approved=by.who, state=state)
            return [grant, replace(fact, state="approved")]

        done = self.facts.change(plan, actor=by.who)
        self.people.gate.versions.refresh()
        self.people.end_sessions(done[-1].purpose)
        if done[-1].get("verb") == LEAVES:
            self.people.audit.append("person.left", done[-1].purpose, actor=by.who)

    def reject(self, by: Session, key: str) -> None:
        """Rejects a proposed change. A suspended account becomes active again."""

        def plan(facts: FactReader) -> list[Fact]:
            fact = self._proposed(facts, by, key)
            person = facts.one("person", fact.purpose)
            again = fact.get("verb") == LEAVES and person is not None and person.state == "suspended"
            return [replace(fact, state="rejected"), *([replace(person, state="active")] if person and again else [])]

        self.facts.change(plan, actor=by.who)

    def _proposed(self, facts: FactReader, by: Session, key: str) -> Fact:
        """Proposed change, for somebody who may decide it."""
        fact = facts.one("proposal", key)
        if fact is None or fact.state != "proposed":
            raise StateError("this change is not proposed, or was already decided.")
        if not APPROVERS & roles_of(facts, by.who) or not is_active(facts, by.who) or not has_stepped_up(facts, by.id, by.who):
            raise AccessDeniedError(
                "a change of roles is decided by a security or privacy officer who has just signed in again."
            )
        return fact


def proposal_fact(person: Fact, role: str, *, by: str, verb: str) -> Fact:
    """A proposed change of a person's role. verb: give or take."""
    body = (("human", person.label), ("verb", verb))
    return Fact("proposal", f"{person.key}/{role}/{verb}", "proposed", by, label=role, purpose=person.key, body=body)


def _may_propose(facts: FactReader, account: str) -> bool:
    return is_active(facts, account) and ADMINISTERS in roles_of(facts, account)


def _require_two_people(facts: FactReader, by: Session, fact: Fact) -> None:
    if not _may_propose(facts, fact.who):
        raise StateError(
            "the person who proposed this change is no longer a security officer. Reject it, and propose it again."
        )
    if not (are_different_people(facts, fact.who, by.who) and are_different_people(facts, fact.purpose, by.who)):
        raise AccessDeniedError(
            "a change of roles needs two people: neither the person who proposed it nor the person concerned can approve it."
        )
