"""Facts that were changed or deleted outside Galenic, found by comparing them with the audit log."""

import time
from dataclasses import dataclass, field

from galenic.errors import StoreError
from galenic.security.audit import AuditEntry, plain
from galenic.security.facts import KINDS, Fact, FactStore

UNCOMPARED = frozenset({"activity"})  # never audited
ERASED_WITH_PATIENTS = frozenset(
    {"care", "consent", "session"}
)  # a missing one may be of an erased patient, or was never stored
AGAIN = 0.5  # seconds after which a difference is checked again, because a change may be in progress in another process


@dataclass
class _Written:
    """Audit rows of one fact: the last rows (state, end, number of the row); lost: True if a later change did not happen."""

    rows: list[tuple[str, str | None, int]] = field(default_factory=list)
    lost: bool = False

    def allows(self, fact: Fact) -> bool:
        """True if the fact has the state that was last written."""
        rows = self.rows if self.lost else self.rows[-1:]
        return any(plain(fact.state) == state and until in (None, fact.until) for state, until, _seq in rows)


def changed_facts(facts: FactStore) -> list[str]:
    """Facts that differ from their last state in the audit log, each as one sentence."""
    found = _differences(facts)
    if found:
        time.sleep(AGAIN)
        again = set(_differences(facts))
        found = [f for f in found if f in again]
    return found


def _differences(facts: FactStore) -> list[str]:
    written: dict[tuple[str, str], _Written] = {}
    for entry in facts.audit.entries():
        kind = entry.action.removeprefix("fact.")
        if kind != entry.action:
            _note(written, kind, entry)
    found = []
    for kind in sorted(set(KINDS) - UNCOMPARED):
        try:
            there = {plain(f.key): f for f in facts.of(kind)}
        except StoreError as error:
            found.append(str(error))
            continue
        found += [_difference(w, k, key, there.get(key)) for (k, key), w in written.items() if k == kind]
    return [f for f in found if f]


def _note(written: dict[tuple[str, str], _Written], kind: str, entry: AuditEntry) -> None:
    if "count" in entry.detail:  # many at once: the log does not have the details of each
        for one in [name for name in written if name[0] in kind.split("+")]:
            del written[one]
        return
    known = written.setdefault((kind, entry.resource), _Written())
    if entry.outcome == "lost":
        known.lost = True
        return
    if not known.lost:
        known.rows.clear()
    known.rows = [*known.rows[-3:], (entry.outcome, entry.detail.get("until"), entry.seq)]


def _difference(written: _Written, kind: str, key: str, fact: Fact | None) -> str:
    if not written.rows or (fact is not None and written.allows(fact)) or (fact is None and kind in ERASED_WITH_PATIENTS):
        return ""
    state, _until, seq = written.rows[-1]
    now = "missing" if fact is None else f"{fact.state!r}"
    return (
        f"{kind} {key!r} is {now}, but row {seq} of the audit log says {state!r}. It was changed outside Galenic, or the "
        "process that wrote the row ended before the change. In the second case, repeat the change; otherwise contact the "
        "security officer."
    )
