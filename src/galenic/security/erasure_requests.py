"""Requests to erase a patient: one privacy officer requests, a second person approves, a privacy officer carries it out.

Request and approval are two facts that hold the person's id under one unique name of the database: no person can hold both.
"""

import secrets
from dataclasses import dataclass, replace

from galenic.errors import AccessDeniedError, StateError
from galenic.security.facts import Fact, FactReader, FactStore
from galenic.security.grants import Grant, Session
from galenic.security.people import APPROVERS
from galenic.security.receipt import ReceiptSubject, receipt_subject
from galenic.security.sealed_notes import open_note, seal_note
from galenic.security.standing import are_different_people, has_stepped_up, is_active, person_of, roles_of

OFFICER = "privacy-officer"
ADVICE = {
    "requested": "Reject the request, and make a new one.",
    "running": "A privacy officer takes over the interrupted erasure, and a second person approves it again.",
}


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
            if _approval(facts, name) is not None:
                raise StateError("this erasure is approved already.")
            if not are_different_people(facts, request.who, by.who):
                raise AccessDeniedError("an erasure takes two people. The person who requested it cannot approve it.")
            person = person_of(facts, by.who)
            return [Fact("erasure", f"{name}/approval", "approved", by.who, request.subject, label=person, body=(("at", at),))]

        self.facts.change(plan, actor=by.who)

    def reject(self, by: Session, name: str) -> None:
        """Rejects or withdraws a request, also one that was interrupted. The caller holds the lock of erasures, and knows that nothing
        of the patient is erased yet."""

        def plan(facts: FactReader) -> list[Fact]:
            _require(facts, by, APPROVERS)
            return [replace(_request(facts, name, "requested", "running"), state="rejected")]

        self.facts.change(plan, actor=by.who)

    def take_over(self, by: Session, name: str) -> None:
        """Makes a privacy officer the requester of an interrupted erasure, which then needs a new approval. The caller holds the lock
        of erasures."""

        def plan(facts: FactReader) -> list[Fact]:
            _require(facts, by, frozenset({OFFICER}))
            request, approval = _request(facts, name, "running"), facts.one("erasure", f"{name}/approval")
            ended = [replace(approval, state="ended", label="")] if approval is not None else []
            return [*ended, replace(request, state="requested", who=by.who, label=person_of(facts, by.who))]

        self.facts.change(plan, actor=by.who)

    def subject_of(self, grant: Grant, name: str) -> ReceiptSubject:
        """The patient of a request for its receipt: as kept when the erasure began first, or from the identifier before that."""
        request = self.get(name).request
        if request.subject is None:
            raise StateError("this erasure request names no patient. Make a new one.")
        if request.get("salt"):
            return ReceiptSubject(request.subject, str(request.get("digest")), self._salt(request))
        patient = grant.unseal(request.subject, f"{request.key}/patient", str(request.get("patient", "")))
        return receipt_subject(request.subject, patient)

    def reason(self, grant: Grant, name: str) -> str:
        """The reason of a request; empty once the patient's key is destroyed."""
        request = self.get(name).request
        if request.subject is None:
            return ""
        return grant.unseal(request.subject, f"{request.key}/reason", str(request.get("reason", "")))

    def salt(self, name: str) -> str:
        """The salt of the receipt of an erased patient; empty before, and for receipts of earlier versions."""
        found = self.get(name)
        return self._salt(found.request) if found.state == "erased" and found.request.get("salt") else ""

    def _salt(self, request: Fact) -> str:
        return open_note(self.facts.note_key(), f"{request.key}/salt", str(request.get("salt")))

    def begin(self, by: Session, name: str, subject: ReceiptSubject) -> None:
        """Marks an approved erasure as running, or an interrupted one again. The caller holds the lock of erasures, so that none is
        running. Digest and salt of the receipt are kept before anything is erased."""
        now = self.facts.now()
        salt = seal_note(self.facts.note_key(), f"{name}/request/salt", subject.salt)

        def plan(facts: FactReader) -> list[Fact]:
            _require(facts, by, frozenset({OFFICER}))
            request = _request(facts, name, "requested", "running")
            approval = _approval(facts, name)
            if approval is None or not are_different_people(facts, request.who, approval.who):
                raise StateError("a second person has to approve this erasure first.")
            for account, roles in ((request.who, frozenset({OFFICER})), (approval.who, APPROVERS)):
                if not roles & roles_of(facts, account) or not is_active(facts, account):
                    raise StateError(f"{account} no longer holds the role for this. {ADVICE[request.state]}")
            kept = {"digest": subject.digest, "salt": salt, "began": now, **dict(request.body)}
            return [replace(request, state="running", body=tuple(sorted(kept.items())))]

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
    if approval is not None and approval.state != "approved":
        approval = None
    state = "approved" if request.state == "requested" and approval is not None else request.state
    return ErasureRequest(name, state, request, approval)


def _approval(facts: FactReader, name: str) -> Fact | None:
    """The approval of a request that is in force, or None."""
    fact = facts.one("erasure", f"{name}/approval")
    return fact if fact is not None and fact.state == "approved" else None


def _request(facts: FactReader, name: str, *states: str) -> Fact:
    fact = facts.one("erasure", f"{name}/request")
    if fact is None or fact.state not in states:
        raise StateError("this erasure is not requested, or was decided already.")
    return fact


def _require(facts: FactReader, by: Session, roles: frozenset[str]) -> None:
    if not roles & roles_of(facts, by.who) or not is_active(facts, by.who) or not has_stepped_up(facts, by.id, by.who):
        words = " or ".join(sorted(roles))
        raise AccessDeniedError(f"this takes a {words} who has just confirmed their identity.")
