"""Facts that decisions need: roles, care relations, consents, vendors, qualifications, sessions, policies and reviews; owner,
label and region of data sets; identity providers, applications and destinations."""

import hmac
import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from galenic.errors import StoreError, UnknownNameError
from galenic.security.audit import AuditLog, canonical
from galenic.security.keytree import FACTS, KeyTree
from galenic.store import Database, Row, facts_of, put_fact, put_facts

KINDS = (
    "grant", "care", "consent", "vendor", "qualification", "session", "policy", "review", "job", "dataset",
    "person", "credential", "proposal", "destination", "provider", "app",
)  # fmt: skip
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
        """Whether the fact is in that state and has not expired."""
        return self.state == state and (not self.until or self.until > now)


class FactStore:
    """Reads and writes facts. Each carries a MAC: a fact that was not written by this class is an error, and a missing one denies."""

    def __init__(self, db: Database, tree: KeyTree, audit: AuditLog) -> None:
        self.db, self.tree, self.audit = db, tree, audit
        self._key: bytes | None = None

    def mac(self, row: Mapping[str, Any]) -> bytes:
        """HMAC-SHA256 over every other column."""
        if self._key is None:
            self.tree.add([FACTS])
            self._key = self.tree.key(FACTS)
        return hmac.digest(self._key, canonical({c: row[c] for c in COVERED}).encode(), "sha256")

    def genuine(self, row: Mapping[str, Any]) -> bool:
        """Whether the MAC of the row is right."""
        return hmac.compare_digest(self.mac(row), bytes(row["mac"]))

    def put(self, fact: Fact, *, actor: str | None = None, quiet: bool = False) -> None:
        """Writes a fact, audited first; open grants are decided again at once."""
        if not quiet:
            self.audit.append(f"fact.{fact.kind}", fact.key, fact.state, actor=actor, until=fact.until)
        put_fact(self.db, self._row(fact))

    def put_many(self, facts: list[Fact], *, actor: str | None = None) -> None:
        """Writes many facts of one kind in one audited step."""
        kinds = sorted({f.kind for f in facts})
        self.audit.append(f"fact.{'+'.join(kinds)}", f"{len(facts)} facts", actor=actor, count=len(facts))
        put_facts(self.db, [self._row(f) for f in facts])

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
        }
        if fact.kind not in KINDS:
            raise UnknownNameError(f"{fact.kind!r} is not a kind of fact. Expected one of {', '.join(KINDS)}.")
        return {**row, "mac": self.mac(row)}

    def of(self, kind: str, **equal: object) -> list[Fact]:
        """Facts of one kind. StoreError if the MAC of one is wrong."""
        found = []
        for row in facts_of(self.db, kind, **equal):
            if not self.genuine(row):
                raise StoreError(
                    f"a fact of kind {kind} was written into the database outside of Galenic ({row['key']!r}). It is not used. "
                    "Stop, keep the database, and call the security officer."
                )
            body = tuple(sorted(json.loads(row["body"]).items()))
            found.append(
                Fact(
                    kind, row["key"], row["state"], row["who"], row["subject"], row["purpose"], row["label"], row["until"], body
                )
            )
        return found

    def one(self, kind: str, key: str) -> Fact | None:
        """The fact with that key, or None."""
        found = self.of(kind, key=key)
        return found[0] if found else None

    def now(self) -> str:
        """The time that decisions use: the clock, but never before the newest audit row, so that a clock set back revives nothing."""
        return max(datetime.now(UTC).isoformat(timespec="seconds"), self.audit.latest_time()[:19])
