"""Identifier systems of staff: FHIR identifiers of these systems name accounts by staff ID. Adding one takes two people."""

from dataclasses import replace

from galenic.errors import AccessDeniedError, OptionError, StateError
from galenic.security.facts import Fact, FactReader, FactStore
from galenic.security.grants import Session
from galenic.security.people import APPROVERS
from galenic.security.standing import are_different_people, has_stepped_up, is_active, roles_of

LONGEST = 200  # characters


class StaffSystems:
    """The identifier systems of staff."""

    def __init__(self, facts: FactStore) -> None:
        self.facts = facts

    def all(self) -> list[Fact]:
        """Systems that are proposed or active; the key is the URI."""
        return [f for f in self.facts.of("staff-system") if f.state in ("proposed", "active")]

    def propose(self, by: Session, uri: str) -> None:
        """Proposes a system."""
        if (
            not uri.startswith(("https://", "http://", "urn:"))
            or len(uri) > LONGEST
            or any(c.isspace() or c in "|,$\\" for c in uri)
        ):
            raise OptionError("an identifier system is a URI such as https://hospital.example/staff. Copy it from the records.")

        def plan(facts: FactReader) -> list[Fact]:
            _require(facts, by)
            before = facts.one("staff-system", uri)
            if before is not None and before.state in ("proposed", "active"):
                raise StateError("this identifier system is proposed or in use already.")
            return [Fact("staff-system", uri, "proposed", by.who)]

        self.facts.change(plan, actor=by.who)

    def approve(self, by: Session, uri: str) -> None:
        """Approves a proposed system as the second person."""

        def plan(facts: FactReader) -> list[Fact]:
            _require(facts, by)
            fact = facts.one("staff-system", uri)
            if fact is None or fact.state != "proposed":
                raise StateError("this identifier system is not proposed, or was decided already.")
            if not APPROVERS & roles_of(facts, fact.who) or not is_active(facts, fact.who):
                raise StateError(
                    "the person who proposed this system is no longer an active officer. Remove it, and propose it again."
                )
            if not are_different_people(facts, fact.who, by.who):
                raise AccessDeniedError("an identifier system takes two people. Its proposer cannot approve it.")
            return [replace(fact, state="active", body=(("approved_by", by.who),))]

        self.facts.change(plan, actor=by.who)

    def remove(self, by: Session, uri: str) -> None:
        """Removes a system. This takes one person: it opens nothing."""

        def plan(facts: FactReader) -> list[Fact]:
            _require(facts, by)
            fact = facts.one("staff-system", uri)
            if fact is None or fact.state not in ("proposed", "active"):
                raise StateError("this identifier system is not in use.")
            return [replace(fact, state="removed")]

        self.facts.change(plan, actor=by.who)


def _require(facts: FactReader, by: Session) -> None:
    if not APPROVERS & roles_of(facts, by.who) or not is_active(facts, by.who) or not has_stepped_up(facts, by.id, by.who):
        raise AccessDeniedError("this takes a privacy officer or security officer who has just confirmed their identity.")
