"""Requests to erase a patient: one privacy officer requests, a second person approves, a privacy officer carries it out.

Request and approval are two facts that hold the person's id under one unique name of the database: no person can hold both.
"""

import secrets
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from galenic.errors import AccessDeniedError, StateError
from galenic.security.facts import Fact, FactReader, FactStore
from galenic.security.grants import Grant, Session
from galenic.security.people import APPROVERS
from galenic.security.standing import are_different_people, has_stepped_up, is_active, person_of, roles_of

OFFICER = "privacy-officer"
RETRY_MINUTES = 15  # after which an erasure that was interrupted may be repeated


@dataclass(frozen=True)
class ErasureRequest:
    """A request with its approval. state: requested, approved, running, erased or rejected."""

    id: str
    state: str
    request: Fact
    approval: Fact | None

    @property
    def receipt(self) -> str:
        """Name of the receipt; empty until the patient is erased."""
        return str(self.request.get("receipt", ""))


class ErasureRequests:
    """The erasure requests of one installation."""

    def __init__(self, facts: FactStore) -> None:
        self.facts = facts

    def all(self) -> list[ErasureRequest]:
        """Every request, newest first."""
        found: dict[str, dict[str, Fact]] = {}
        for fact in self.facts.of("erasure"):
            name, _, part = fact.key.partition("/")
            found.setdefault(name, {})[part] = fact
        made = [_joined(name, parts) for name, parts in found.items() if "request" in parts]
        return sorted(made, key=lambda r: str(r.request.get("at", "")), reverse=True)

    def get(self, name: str) -> ErasureRequest:
        """The request of that name. StateError if there is none."""
        found = next((r for r in self.all() if r.id == name), None)
        if found is None:
            raise StateError("there is no such erasure request.")
        return found

    def request(self, grant: Grant, subject: int, patient: str, reason: str) -> str:
        """Requests the erasure of a patient; returns the name of the request. Identifier and reason are kept under the patient's key."""
        by, name, at = grant.session, secrets.token_hex(6), self.facts.now()
        key = f"{name}/request"
        notes = {
            "patient": grant.seal(subject, f"{key}/patient", patient),
            "reason": grant.seal(subject, f"{key}/reason", reason),
        }

        def plan(facts: FactReader) -> list[Fact]:
            _require(facts, by, frozenset({OFFICER}))
            others = [f for f in facts.of("erasure", subject=subject) if f.state in ("requested", "running")]
            if others:
                raise StateError("the erasure of this patient is requested already. Approve or reject it.")
            body = tuple(sorted({"at": at, **notes}.items()))
            return [Fact("erasure", key, "requested", by.who, subject, label=person_of(facts, by.who), body=body)]

        self.facts.change(plan, actor=by.who)
        return name

    def approve(self, by: Session, name: str) -> None:
        """Approves a request as the second person: a privacy or security officer who is not the requester."""
        at = self.facts.now()

        def plan(facts: FactReader) -> list[Fact]:
            _require(facts, by, APPROVERS)
            request = _request(facts, name, "requested")
            if facts.one("erasure", f"{name}/approval") is not None:
                raise StateError("this erasure is approved already.")
            if not are_different_people(facts, request.who, by.who):
                raise AccessDeniedError("an erasure takes two people. The person who requested it cannot approve it.")
            person = person_of(facts, by.who)
            return [Fact("erasure", f"{name}/approval", "approved", by.who, request.subject, label=person, body=(("at", at),))]

        self.facts.change(plan, actor=by.who)

    def reject(self, by: Session, name: str) -> None:
        """Rejects or withdraws a request."""

        def plan(facts: FactReader) -> list[Fact]:
            _require(facts, by, APPROVERS)
            return [replace(_request(facts, name, "requested"), state="rejected")]

        self.facts.change(plan, actor=by.who)

    def begin(self, by: Session, name: str) -> None:
        """Marks an approved erasure as running, once; it may be repeated some minutes after an interruption."""
        now = self.facts.now()

        def plan(facts: FactReader) -> list[Fact]:
            _require(facts, by, frozenset({OFFICER}))
            request = _request(facts, name, "requested", "running")
            approval = facts.one("erasure", f"{name}/approval")
            if approval is None or not are_different_people(facts, request.who, approval.who):
                raise StateError("a second person has to approve this erasure first.")
            for account, roles in ((request.who, frozenset({OFFICER})), (approval.who, APPROVERS)):
                if not roles & roles_of(facts, account) or not is_active(facts, account):
                    raise StateError(f"{account} no longer holds the role for this. Reject the request, and make a new one.")
            if request.state == "running" and _minutes_since(str(request.get("began", now)), now) < RETRY_MINUTES:
                raise StateError(f"this erasure is running. If it was interrupted, repeat it after {RETRY_MINUTES} minutes.")
            body = tuple(sorted({**dict(request.body), "began": now}.items()))
            return [replace(request, state="running", body=body)]

        self.facts.change(plan, actor=by.who)

    def finish(self, by: Session, name: str, receipt: str) -> None:
        """Records that the patient is erased. receipt: its name."""

        def plan(facts: FactReader) -> list[Fact]:
            request = _request(facts, name, "running")
            body = tuple(sorted({**dict(request.body), "erased_by": by.who, "receipt": receipt}.items()))
            return [replace(request, state="erased", body=body)]

        self.facts.change(plan, actor=by.who)


def _joined(name: str, parts: dict[str, Fact]) -> ErasureRequest:
    request, approval = parts["request"], parts.get("approval")
    state = "approved" if request.state == "requested" and approval is not None else request.state
    return ErasureRequest(name, state, request, approval)


def _minutes_since(then: str, now: str) -> float:
    return (datetime.fromisoformat(now) - datetime.fromisoformat(then)) / timedelta(minutes=1)


def _request(facts: FactReader, name: str, *states: str) -> Fact:
    fact = facts.one("erasure", f"{name}/request")
    if fact is None or fact.state not in states:
        raise StateError("this erasure is not requested, or was decided already.")
    return fact


def _require(facts: FactReader, by: Session, roles: frozenset[str]) -> None:
    if not roles & roles_of(facts, by.who) or not is_active(facts, by.who) or not has_stepped_up(facts, by.id, by.who):
        words = " or ".join(sorted(roles))
        raise AccessDeniedError(f"this takes a {words} who has just confirmed their identity.")
