"""Changes of people's roles: one person proposes, a second one approves."""

from galenic.errors import AccessDeniedError, StateError, UnknownNameError
from galenic.security.facts import Fact, FactStore
from galenic.security.grants import Session
from galenic.security.people import APPROVERS, UserDirectory
from galenic.security.policy import ROLES


class RoleChanges:
    """Proposed and decided changes of roles."""

    def __init__(self, people: UserDirectory) -> None:
        self.people = people
        self.facts: FactStore = people.facts

    def propose(self, by: Session, name: str, role: str, *, give: bool = True) -> str:
        """Proposes to give or withdraw a role; returns the proposal's key."""
        self.people.require_administrator(by)
        person = self.facts.one("person", name)
        if person is None or role not in ROLES or role == "service":
            raise UnknownNameError("there is no such person, or no such role of a person.")
        key = f"{name}/{role}/{'give' if give else 'take'}"
        body = (("human", person.label), ("verb", "give" if give else "take"))
        self.facts.put(Fact("proposal", key, "proposed", by.who, label=role, purpose=name, body=body), actor=by.who)
        return key

    def proposals(self) -> list[Fact]:
        """Changes of roles that wait for a second person."""
        return [f for f in self.facts.of("proposal") if f.state == "proposed"]

    def approve(self, by: Session, key: str) -> None:
        """Approves a proposed change of roles as the second person, and ends the sessions of the account concerned."""
        fact = self.facts.one("proposal", key)
        if fact is None or fact.state != "proposed":
            raise StateError("this change is not proposed, or was decided.")
        if not APPROVERS & set(self.people.roles(by.who)) or not self.people.has_stepped_up(by):
            raise AccessDeniedError("a change of roles is approved by a security or privacy officer, after signing in again.")
        if fact.purpose == by.who or not self.people.gate.policies.different_people(fact.who, by.who):
            raise AccessDeniedError(
                "a change of roles takes two people: neither its proposer nor the person concerned may approve it."
            )
        human = str(fact.get("human"))
        if fact.get("verb") == "give":
            self.people.grant(fact.purpose, human, fact.label, by=fact.who, approved=by.who)
        else:
            self.people.grant(fact.purpose, human, fact.label, by=fact.who, approved=by.who, state="withdrawn")
        self.facts.put(
            Fact("proposal", key, "approved", fact.who, label=fact.label, purpose=fact.purpose, body=fact.body), actor=by.who
        )
        self.people.end_sessions(fact.purpose)

    def reject(self, by: Session, key: str) -> None:
        """Rejects a proposed change of roles."""
        fact = self.facts.one("proposal", key)
        if fact is None or fact.state != "proposed" or not APPROVERS & set(self.people.roles(by.who)):
            raise StateError("this change is not proposed, or is not yours to decide.")
        self.facts.put(
            Fact("proposal", key, "rejected", fact.who, label=fact.label, purpose=fact.purpose, body=fact.body), actor=by.who
        )
