"""Reviews of emergency accesses that are due: by the facts, and by the audit log where a fact is missing."""

import contextlib
from datetime import datetime, timedelta

from galenic.errors import StateError
from galenic.security.audit import AuditedActions
from galenic.security.facts import Fact, FactStore

REVIEW_HOURS = 72


class EmergencyReviews:
    """The emergency accesses that the audit log holds, each with its review: a review that is missing is due again, because its row
    was deleted outside of Galenic, or a process ended before it was written."""

    def __init__(self, facts: FactStore) -> None:
        self.facts = facts
        self._accesses = AuditedActions(facts.audit, "gate.break-glass")

    def open(self, who: str, decision: int, until: str) -> None:
        """Makes the review of an emergency access due, unless it has one."""
        with contextlib.suppress(StateError):
            self.facts.swap(None, Fact("review", f"glass-{decision}", "due", who, purpose="emergency", until=until))

    def restore(self) -> list[Fact]:
        """All reviews, after the missing ones were made due again."""
        found = self.facts.of("review")
        known = {f.key for f in found}
        missing = [a for a in self._accesses.all() if f"glass-{a.seq}" not in known]
        for access in missing:
            until = datetime.fromisoformat(access.time) + timedelta(hours=REVIEW_HOURS)
            self.open(access.actor, access.seq, until.isoformat(timespec="seconds"))
        return self.facts.of("review") if missing else found

    def overdue(self, who: str) -> bool:
        """Whether a review of an emergency access of this account was not done in time."""
        now = self.facts.now()
        return any(f.who == who and f.state == "due" and f.until <= now for f in self.restore())
