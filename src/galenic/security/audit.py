"""The audit chain: one signed entry for each step, each holding the hash of the one before. No patient data enters it."""

import base64
import hashlib
import json
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from galenic.errors import StoreError
from galenic.security.keys import Key
from galenic.store import Database, Row, all_audit, append_audit

START = "0" * 64


def canonical(data: dict[str, Any]) -> str:
    """JSON with sorted keys and no spaces: equal data, equal bytes."""
    return json.dumps(data, sort_keys=True, separators=(",", ":"), ensure_ascii=True)


@dataclass(frozen=True)
class Entry:
    """One step: who did what to which thing, and how it ended."""

    seq: int
    time: str
    actor: str
    action: str
    resource: str
    outcome: str
    detail: dict[str, Any]


class AuditLog:
    """Appends to and checks the chain. An entry is durable before `append` returns."""

    def __init__(self, db: Database, key: Key, actor: str) -> None:
        self.db = db
        self.key = key
        self.actor = actor

    def append(self, action: str, resource: str, outcome: str = "done", **detail: Any) -> int:
        """Adds an entry and returns its number. Names, digests and counts only: never a cell's value."""

        def make(last: Row | None) -> Row:
            seq = int(last["seq"]) + 1 if last else 1
            entry = canonical(
                {
                    "seq": seq,
                    "time": datetime.now(UTC).isoformat(timespec="milliseconds"),
                    "actor": self.actor,
                    "action": action,
                    "resource": resource,
                    "outcome": outcome,
                    "detail": detail,
                    "previous": last["hash"] if last else START,
                }
            )
            digest = hashlib.sha256(entry.encode()).hexdigest()
            return {"seq": seq, "entry": entry, "hash": digest, "signature": self.key.sign(digest.encode())}

        return int(append_audit(self.db, make)["seq"])

    def entries(self) -> tuple[Entry, ...]:
        """All entries, oldest first."""
        found = []
        for row in all_audit(self.db):
            data = json.loads(row["entry"])
            data.pop("previous")
            found.append(Entry(**data))
        return tuple(found)

    def head(self) -> tuple[int, str]:
        """(number, hash) of the last entry; keep it elsewhere to notice a chain cut short."""
        rows = all_audit(self.db)
        return (int(rows[-1]["seq"]), str(rows[-1]["hash"])) if rows else (0, START)

    def broken(self, head: tuple[int, str] | None = None) -> str | None:
        """What is wrong with the chain, or None. `head`: a head kept elsewhere, without which a cut tail goes unseen."""
        public = Ed25519PublicKey.from_public_bytes(base64.b64decode(self.key.public))
        previous, rows = START, all_audit(self.db)
        for place, row in enumerate(rows, start=1):
            data = json.loads(row["entry"])
            if row["seq"] != place or data["seq"] != place:
                return f"entry {place} is missing or out of order"
            if data["previous"] != previous:
                return f"entry {place} does not follow the entry before it"
            if hashlib.sha256(row["entry"].encode()).hexdigest() != row["hash"]:
                return f"entry {place} was changed"
            try:
                public.verify(base64.b64decode(row["signature"]), row["hash"].encode())
            except (InvalidSignature, ValueError):
                return f"entry {place} is not signed by this installation"
            previous = row["hash"]
        if head and (len(rows) < head[0] or (head[0] and rows[head[0] - 1]["hash"] != head[1])):
            return f"the chain was cut or rewritten before entry {head[0]}"
        return None

    def intact(self, head: tuple[int, str] | None = None) -> bool:
        """Whether nothing is wrong with the chain."""
        return self.broken(head) is None

    def require_intact(self) -> None:
        """StoreError if the chain is broken."""
        why = self.broken()
        if why:
            raise StoreError(
                f"the audit chain is broken: {why}. Stop, keep the database as it is, and call the security officer."
            )
