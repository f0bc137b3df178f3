"""Reviews of emergency accesses: due by the facts, and by the audit log where a fact is missing; closed or escalated by a reviewer."""

import contextlib
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from galenic.errors import AccessDeniedError, OptionError, StateError
from galenic.security.audit import AuditedActions
from galenic.security.facts import Fact, FactReader, FactStore
from galenic.security.grants import Grant, Session
from galenic.security.notices import notice
from galenic.security.sealed_notes import open_note, seal_note
from galenic.security.standing import are_different_people, roles_of

REVIEW_HOURS = 72
OPEN = frozenset({"due", "escalated"})  # states of reviews that are not closed
FINDINGS = ("justified", "misuse", "escalated")


@dataclass(frozen=True)
class ReviewFinding:
    """Finding of a reviewer: justified, misuse or escalated. comment: about the access, not about the patient; to: the account of the
    security officer to whom an access is escalated."""

    finding: str
    comment: str = ""
    to: str = ""


class EmergencyReviews:
    """Emergency accesses in the audit log, each with its review. A missing review becomes due again, because it was deleted
    outside Galenic, or a process ended before it was written."""

    def __init__(self, facts: FactStore) -> None:
        self.facts = facts
        self._accesses = AuditedActions(facts.audit, "gate.break-glass")

    def open(self, grant: Grant, until: str, subject: int | None, reason: str) -> None:
        """Makes the review of an emergency access due. A review that was restored meanwhile gets the reason. The reason is kept under
        the patient's key."""
        place = f"glass-{grant.decision}"
        sealed = seal_note(self.facts.note_key(), place, reason) if subject is None else grant.seal(subject, place, reason)
        fact = Fact("review", place, "due", grant.who, subject, purpose="emergency", until=until, body=(("reason", sealed),))

        def plan(facts: FactReader) -> list[Fact]:
            restored = facts.one("review", place)
            if restored is None:
                return [fact]
            if restored.get("reason"):
                return []
            return [replace(restored, subject=subject, body=tuple(sorted({**dict(restored.body), "reason": sealed}.items())))]

        self.facts.change(plan)

    def may_close(self, session: Session, review: Fact) -> bool:
        """True if this account may close or escalate a review now."""
        return review.state in OPEN and _is_reviewer(self.facts, session, review)

    def is_asked(self, session: Session, review: Fact) -> bool:
        """True if a review is escalated to this account."""
        return review.state == "escalated" and self.may_close(session, review)

    def reason(self, review: Fact, grant: Grant | None) -> str:
        """The reason that was given; empty if it is not known or the patient was erased. grant: a decision about the patient."""
        sealed = str(review.get("reason", ""))
        if review.subject is None:
            return open_note(self.facts.note_key(), review.key, sealed) if sealed else ""
        return grant.unseal(review.subject, review.key, sealed) if grant else ""

    def comment(self, review: Fact) -> str:
        """The reviewer's comment; empty if there is none."""
        sealed = str(review.get("comment", ""))
        return open_note(self.facts.note_key(), f"{review.key}/comment", sealed) if sealed else ""

    def restore(self) -> list[Fact]:
        """All reviews; missing ones become due again."""
        found = self.facts.of("review")
        known = {f.key for f in found}
        missing = [a for a in self._accesses.all() if f"glass-{a.seq}" not in known]
        for access in missing:
            until = datetime.fromisoformat(access.time) + timedelta(hours=REVIEW_HOURS)
            lost = Fact(
                "review", f"glass-{access.seq}", "due", access.actor, purpose="emergency",
                until=until.isoformat(timespec="seconds"),
            )  # fmt: skip
            with contextlib.suppress(StateError):
                self.facts.swap(None, lost)
        return self.facts.of("review") if missing else found

    def overdue(self, who: str) -> bool:
        """True if a review of an emergency access of this account is overdue."""
        now = self.facts.now()
        return any(f.who == who and f.state in OPEN and f.until <= now for f in self.restore())

    def close(self, session: Session, decision: int, found: ReviewFinding) -> None:
        """Closes or escalates a review: by a privacy officer, or while it is escalated by the security officer to whom it is; never by
        the person that used the access. Misuse and escalation need a comment, and leave notices for that person and for security
        officers."""
        if found.finding not in FINDINGS:
            raise OptionError(f"a review ends with one of {', '.join(FINDINGS)}.")
        if found.finding != "justified" and not found.comment.strip():
            raise OptionError("a finding of misuse and an escalation need a comment. Write why.")
        place = f"glass-{decision}/comment"
        comment = seal_note(self.facts.note_key(), place, found.comment) if found.comment else ""
        at, before = self.facts.now(), self.facts.one("review", f"glass-{decision}")
        notices = self._notices(session, before, decision, found) if before is not None else []

        def plan(facts: FactReader) -> list[Fact]:
            fact = facts.one("review", f"glass-{decision}")
            if fact is None or fact.state not in OPEN:
                raise StateError(f"no review of decision {decision} is due.")
            _require_reviewer(facts, session, fact)
            details = {**dict(fact.body), "by": session.who, "at": at, "comment": comment or fact.get("comment", "")}
            if found.finding == "escalated":
                _require_escalation(facts, session, fact, found.to)
                details["to"] = found.to
            until = fact.until if found.finding == "escalated" else ""
            return [replace(fact, state=found.finding, until=until, body=tuple(sorted(details.items()))), *notices]

        self.facts.change(plan, actor=session.who)

    def _notices(self, session: Session, review: Fact, decision: int, found: ReviewFinding) -> list[Fact]:
        """The notices that a finding leaves."""
        if found.finding == "justified":
            return []
        officers = {f.who for f in self.facts.of("grant", label="security-officer") if f.stands("given", self.facts.now())}
        told = {found.to} if found.finding == "escalated" else officers
        verb = "was escalated by" if found.finding == "escalated" else "was found to be misuse by"
        about = f"emergency access {decision} {verb} {session.who}."
        notices = [notice(name, f"The {about} See Emergency access.") for name in sorted(told - {review.who, session.who})]
        return [*notices, notice(review.who, f"Your {about} Contact the privacy officer.")]


def _is_reviewer(facts: FactReader, session: Session, review: Fact) -> bool:
    """True for a privacy officer. An escalated review: for the security officer it is escalated to, or for each other one if that
    account has lost the role. Never for the person who used the access."""
    roles = roles_of(facts, session.who)
    if review.state == "escalated":
        asked = str(review.get("to"))
        is_theirs = asked == session.who or "security-officer" not in roles_of(facts, asked)
        allowed = "security-officer" in roles and is_theirs
    else:
        allowed = "privacy-officer" in roles
    return allowed and are_different_people(facts, review.who, session.who)


def _require_reviewer(facts: FactReader, session: Session, review: Fact) -> None:
    if _is_reviewer(facts, session, review):
        return
    if review.state == "escalated":
        raise AccessDeniedError(
            "an escalated emergency access is reviewed by the security officer it was escalated to, and never by the person who used it."
        )
    raise AccessDeniedError("an emergency access is reviewed by a privacy officer, and never by the person who used it.")


def _require_escalation(facts: FactReader, session: Session, review: Fact, to: str) -> None:
    if "security-officer" not in roles_of(facts, to) or to in (session.who, review.who):
        raise OptionError(
            "an emergency access is escalated to a security officer other than yourself and the person who used it."
        )
