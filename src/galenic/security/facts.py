"""Facts that decisions need: roles, care relations, consents, vendors, qualifications, sessions, policies and reviews; owner,
label and region of data sets; identity providers, applications and destinations."""

import contextlib
import hmac
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from galenic.errors import StateError, StoreError, UnknownNameError
from galenic.security.audit import AuditLog, canonical
from galenic.security.clock import DecisionClock
from galenic.security.keytree import FACTS, KeyTree, subkey
from galenic.security.versions import Versions
from galenic.store import Database, FactRows, Row, fact_transaction, facts_of, locked, put_fact, put_facts

KINDS = (
    "grant", "care", "consent", "vendor", "qualification", "session", "policy", "review", "job", "dataset",
    "person", "credential", "proposal", "destination", "provider", "app", "activity", "recovery", "notice", "system-change",
    "care-change", "staff-system", "erasure",
    "question",
)  # fmt: skip
EACH = 100  # facts written at once that get an audit row each
COVERED = ("kind", "key", "who", "subject", "purpose", "label", "state", "until", "body")


@dataclass(frozen=True)
class Fact:
    """One fact. who: name of an account or key; subject: a patient's subject id; until: ISO 8601, empty for no end."""

    kind: str
    key: str
    state: str
    who: str = ""
    subject: int | None = None
    purpose: str = ""
    label: str = ""
    until: str = ""
    body: tuple[tuple[str, Any], ...] = ()

    def get(self, name: str, otherwise: Any = None) -> Any:
        """A detail of the fact."""
        return dict(self.body).get(name, otherwise)

    def stands(self, state: str, now: str) -> bool:
        """True if the fact has that state and has not expired."""
        return self.state == state and (not self.until or self.until > now)


class FactReader(Protocol):
    """Reader of facts: the current ones, or those within the transaction of a change."""

    def of(self, kind: str, **equal: object) -> list[Fact]:
        """Facts of one kind, by equality of columns."""

    def one(self, kind: str, key: str) -> Fact | None:
        """The fact with that key, or None."""

    def now(self) -> str:
        """The time that decisions use."""


Plan = Callable[[FactReader], Sequence[Fact]]  # checks the conditions of a change, and returns the facts to write
MOST_TRIES = 20  # attempts for a change that others modify before it is written
Also = Callable[[FactRows], None]  # writes rows of other tables in the same transaction


class FactStore:
    """Reads and writes facts. Each has a MAC: a fact that was not written by this class is an error, and a missing fact means
    denial.

    An audited change holds a lock from its audit row to its commit, so that facts are written in the order of their rows.
    """

    def __init__(self, db: Database, tree: KeyTree, audit: AuditLog) -> None:
        self.db, self.tree, self.audit = db, tree, audit
        self.versions, self.clock = Versions(db), DecisionClock(audit.latest_time)
        self._lock = audit.next_key.place.with_name("facts")
        self._key: bytes | None = None

    def mac(self, row: Mapping[str, Any]) -> bytes:
        """HMAC-SHA256 over every other column."""
        return hmac.digest(self._mac_key(), canonical({c: row[c] for c in COVERED}).encode(), "sha256")

    def _mac_key(self) -> bytes:
        if self._key is None:
            self.tree.add([FACTS])
            self._key = self.tree.key(FACTS)
        return self._key

    def note_key(self) -> bytes:
        """The key of notes that are about no single patient."""
        return subkey(self._mac_key(), "note")

    def genuine(self, row: Mapping[str, Any]) -> bool:
        """True if the MAC of the row is right."""
        return hmac.compare_digest(self.mac(row), bytes(row["mac"]))

    def put(self, fact: Fact, *, actor: str | None = None, quiet: bool = False) -> None:
        """Writes a fact after its audit row. Open grants are decided again at once."""
        row = self._row(fact)
        with contextlib.nullcontext() if quiet else locked(self._lock):
            self._append([] if quiet else [fact], actor)
            put_fact(self.db, row)
        self.versions.refresh()

    def note(self, fact: Fact) -> None:
        """Writes a fact that no decision needs: it is not recorded in the audit log, and nothing is decided again."""
        put_fact(self.db, self._row(fact), bump=False)

    def put_many(self, facts: list[Fact], *, actor: str | None = None) -> None:
        """Writes many facts in one audited step, with a row each, or one row for all if there are very many."""
        rows = [self._row(f) for f in facts]
        with locked(self._lock):
            if len(facts) <= EACH:
                self._append(facts, actor)
            else:
                self._append_count(facts, actor)
            put_facts(self.db, rows)
        self.versions.refresh()

    def _append(self, facts: Sequence[Fact], actor: str | None) -> None:
        """Appends a row for each fact, all in one commit. Call it with the lock held."""
        posted = [self.audit.post(f"fact.{f.kind}", f.key, f.state, actor=actor, until=f.until) for f in facts]
        for ticket in posted:
            ticket.wait()

    def _append_count(self, facts: list[Fact], actor: str | None) -> None:
        kinds = sorted({f.kind for f in facts})
        self.audit.append(f"fact.{'+'.join(kinds)}", f"{len(facts)} facts", actor=actor, count=len(facts))

    def change(self, plan: Plan, *, actor: str | None = None, quiet: bool = False, also: Also | None = None) -> list[Fact]:
        """Decides and writes in one transaction that excludes other changes of facts. Returns the written facts.

        plan: runs twice, before the audit rows and within the writing transaction. So its checks hold when the change commits;
        its error ends the change. It must only read from its argument. If the result differs the second time (more sessions to
        end), it is audited and tried again. also: runs in the transaction; it must only use its argument.
        """
        self._mac_key()  # read before the transaction, because the transaction would wait for it
        for _ in range(MOST_TRIES):
            with contextlib.nullcontext() if quiet else locked(self._lock):
                written = self._try(plan, actor, quiet, also)
            if written is not None:
                self.versions.refresh()
                return written
        raise StateError("others are changing this continuously. Try again.")

    def _try(self, plan: Plan, actor: str | None, quiet: bool, also: Also | None) -> list[Fact] | None:
        """Written facts; None if the result of the plan has changed without an audit row."""
        planned = list(plan(self))
        self._append([] if quiet else planned, actor)
        written = None
        try:
            written = self._write(plan, None if quiet else [_audited(f) for f in planned], also)
        finally:
            for fact in () if quiet or written is not None else planned:
                self.audit.append(f"fact.{fact.kind}", fact.key, "lost", actor=actor)
        return written

    def _write(self, plan: Plan, audited: list[tuple[str, ...]] | None, also: Also | None) -> list[Fact] | None:
        """Facts that the plan returned within the transaction that wrote them; None, with nothing written, if others were
        audited."""
        now = self.now()
        with fact_transaction(self.db) as transaction:
            found = list(plan(_FactsInTransaction(self, transaction, now)))
            if audited is not None and [_audited(f) for f in found] != audited:
                return None
            for fact in found:
                transaction.put(self._row(fact))
            if also is not None:
                also(transaction)
        return found

    def swap(self, before: Fact | None, after: Fact, *, actor: str | None = None, quiet: bool = False) -> None:
        """Replaces a fact that was read before (None: adds it). Raise StateError if another one exists by now."""

        def plan(facts: FactReader) -> list[Fact]:
            if facts.one(after.kind, after.key) != before:
                raise StateError("somebody else changed this at the same time. Load it again, then decide.")
            return [after]

        self.change(plan, actor=actor, quiet=quiet)

    def _row(self, fact: Fact) -> Row:
        row: Row = {
            "kind": fact.kind,
            "key": fact.key,
            "who": fact.who,
            "subject": fact.subject,
            "purpose": fact.purpose,
            "label": fact.label,
            "state": fact.state,
            "until": fact.until,
            "body": canonical(dict(fact.body)),
            "unique_name": _unique_name(fact),
        }
        if fact.kind not in KINDS:
            raise UnknownNameError(f"{fact.kind!r} is not a kind of fact. Expected one of {', '.join(KINDS)}.")
        return {**row, "mac": self.mac(row)}

    def of(self, kind: str, **equal: object) -> list[Fact]:
        """Facts of one kind. Raise StoreError if the MAC of one is wrong."""
        return [self.checked(row) for row in facts_of(self.db, kind, **equal)]

    def checked(self, row: Row) -> Fact:
        """Fact in a row. Raise StoreError if its MAC is wrong."""
        if not self.genuine(row):
            raise StoreError(
                f"a fact of kind {row['kind']} was written to the database outside Galenic ({row['key']!r}). It is "
                "ignored. Stop, keep the database, and contact the security officer."
            )
        body = tuple(sorted(json.loads(row["body"]).items()))
        return Fact(
            row["kind"], row["key"], row["state"], row["who"], row["subject"], row["purpose"], row["label"], row["until"], body
        )

    def one(self, kind: str, key: str) -> Fact | None:
        """The fact with that key, or None."""
        found = self.of(kind, key=key)
        return found[0] if found else None

    def now(self) -> str:
        """Time of decisions. It never goes back, so setting the clock back makes nothing valid again (see `DecisionClock`)."""
        return self.clock.now()


@dataclass(frozen=True)
class _FactsInTransaction:
    """Facts within the transaction of a change."""

    facts: FactStore
    rows: FactRows
    time: str

    def of(self, kind: str, **equal: object) -> list[Fact]:
        """Facts of one kind. Raise StoreError if the MAC of one is wrong."""
        return [self.facts.checked(row) for row in self.rows.of(kind, **equal)]

    def one(self, kind: str, key: str) -> Fact | None:
        """The fact with that key, or None."""
        found = self.of(kind, key=key)
        return found[0] if found else None

    def now(self) -> str:
        """The time at which the change began."""
        return self.time


def _unique_name(fact: Fact) -> str | None:
    """The name that one fact at most may hold in the database: of a person, one account; of an erasure, one part (request or
    approval) for each person, so that no person holds both."""
    if fact.kind == "erasure":
        return f"erasure/{fact.key.partition('/')[0]}/{fact.label}"
    return f"person/{fact.label}" if fact.kind == "person" and fact.state != "left" else None


def _audited(fact: Fact) -> tuple[str, ...]:
    """Columns of a fact that the audit log holds."""
    return fact.kind, fact.key, fact.state, fact.until
