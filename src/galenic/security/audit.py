"""Audit log: requests, decisions and actions in hash-chained rows, so that changes are detected. It contains no patient data."""

import atexit
import base64
import contextlib
import json
import secrets
import threading
import unicodedata
import weakref
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import lru_cache
from hashlib import blake2b, sha256
from pathlib import Path
from typing import Any

import orjson

from galenic.errors import StoreError, UnknownNameError
from galenic.security import verify_audit
from galenic.security.audit_queue import AuditQueue, Ticket
from galenic.security.chainkey import ChainKey
from galenic.security.keys import Key
from galenic.security.merkle import Frontier, inclusion_proof, leaf_hash
from galenic.security.refusals import RefusalLog
from galenic.security.witness import Witness
from galenic.store import (
    Database,
    append_audit,
    audit_batches,
    audit_entries_with,
    audit_snapshot,
    file_aside,
    last_audit,
    list_heads,
    telemetry,
)

START = verify_audit.START
MOST_PER_COMMIT = 2_000
LONGEST = 500  # characters of a name in a row


_encode = json.JSONEncoder(sort_keys=True, separators=(",", ":"), ensure_ascii=True).encode  # created once: takes half the time


def canonical(data: dict[str, Any]) -> str:
    """JSON with sorted keys and no spaces: equal data, equal bytes."""
    return _encode(data)


@lru_cache(4_096)
def plain(text: str) -> str:
    """Text in which characters are escaped that could forge a line, color it or change its direction."""
    if text.isascii() and text.isprintable():
        return text[:LONGEST]
    safe = (c if c.isprintable() and unicodedata.category(c) != "Cf" else c.encode("unicode_escape").decode() for c in text)
    return "".join(safe)[:LONGEST]


@dataclass(frozen=True)
class AuditEntry:
    """One row: actor, action, resource and outcome."""

    seq: int
    time: str
    actor: str
    action: str
    resource: str
    outcome: str
    detail: dict[str, Any]


class AuditedActions:
    """Rows of some actions. After the first read, only new rows are read."""

    def __init__(self, log: "AuditLog", *actions: str) -> None:
        self.log, self.actions = log, actions
        self._found: list[AuditEntry] = []
        self._through, self._mutex = 0, threading.Lock()

    def all(self) -> list[AuditEntry]:
        """Every row, oldest first."""
        with self._mutex:
            size = self.log.head()[0]
            if size < self._through:  # a new log was begun
                self._found, self._through = [], 0
            self._found += self.log.entries_of(self.actions, self._through, size)
            self._through = size
            return list(self._found)


class AuditLog:
    """Appends to and verifies the audit log. One thread writes all waiting rows in one commit, and `append` returns when its
    row is durable.

    folder: holds `audit.key`, the key of the next row (the previous one is overwritten), and `audit-first.key` until it is
    moved off the machine. Only one machine writes a log, because the key is not shared.
    """

    def __init__(self, db: Database, key: Key, actor: str, folder: Path, witness: Witness) -> None:
        self.db, self.key, self.actor, self.witness = db, key, actor, witness
        self.next_key = ChainKey(folder / "audit.key")
        self.first_key = folder / "audit-first.key"
        self.refusals = RefusalLog(self.append)
        self._queue = AuditQueue()
        self._mutex, self._turn = threading.Lock(), threading.Lock()
        self._writer: threading.Thread | None = None
        self._is_flushed_at_exit = False
        self._seq, self._hash, self._mac_key, self._frontier, self._time = -1, START, b"", Frontier(), ""

    def append(self, action: str, resource: str, outcome: str = "done", *, actor: str | None = None, **detail: Any) -> int:
        """Adds a row and returns its number when it is durable. A row contains only names, digests and counts, never a cell's
        value."""
        return self.post(action, resource, outcome, actor=actor, **detail).wait()

    def post(self, action: str, resource: str, outcome: str = "done", *, actor: str | None = None, **detail: Any) -> Ticket:
        """Queues a row that is written at once. Its ticket reports when it is durable."""
        ticket = self.ticket(action, resource, outcome, actor=actor, **detail)
        self.post_all([ticket])
        return ticket

    def post_later(
        self, action: str, resource: str, outcome: str = "done", *, actor: str | None = None, **detail: Any
    ) -> Ticket:
        """Queues a row that is written with the next row, or after 10 ms: for rows that nobody waits for."""
        ticket = self.ticket(action, resource, outcome, actor=actor, **detail)
        self._queue.put([ticket], can_wait=True)
        self._wake()
        return ticket

    def ticket(self, action: str, resource: str, outcome: str = "done", *, actor: str | None = None, **detail: Any) -> Ticket:
        """Row that is not queued yet, for use with `post_all`."""
        return Ticket(self, self._fields(action, resource, outcome, actor, detail))

    def post_all(self, tickets: Sequence[Ticket]) -> None:
        """Queues rows that are written at once, in one commit."""
        self._queue.put(tickets)
        self._wake()

    def _fields(self, action: str, resource: str, outcome: str, actor: str | None, detail: dict[str, Any]) -> dict[str, Any]:
        return {
            "actor": plain(actor or self.actor),
            "action": plain(action),
            "resource": plain(resource),
            "outcome": plain(outcome),
            "detail": orjson.Fragment(orjson.dumps(detail, option=orjson.OPT_SORT_KEYS)),
        }

    def flush(self) -> None:
        """Returns when all queued rows are durable."""
        ticket = Ticket(self, None)
        self.post_all([ticket])
        ticket.done.acquire()
        if ticket.error is not None:
            raise ticket.error

    def _wake(self) -> None:
        writer = self._writer
        if writer is not None and writer.is_alive():
            return
        with self._mutex:
            if self._writer is None or not self._writer.is_alive():
                if not self._is_flushed_at_exit:
                    atexit.register(_flush_last, weakref.ref(self))
                    self._is_flushed_at_exit = True
                self._writer = threading.Thread(target=_serve, args=(weakref.ref(self), self._queue), daemon=True)
                self._writer.start()

    def _write_waiting(self, tickets: list[Ticket]) -> None:
        """Writes all tickets in one commit. Each gets its row number or the error."""
        written, why = (
            False,
            ("the audit log cannot be written. Nothing was done, because nothing may be done without a record."),
        )
        try:
            with self._turn, self.next_key.locked():
                self._catch_up()
                self._write([t for t in tickets if t.fields is not None])
                written = True
        except StoreError as error:
            why = str(error)
        except OSError as error:  # the file of the key or the witness; the next row reads the end of the log again
            why = (
                f"the files of the audit log cannot be written ({error.strerror}). Nothing was done, because nothing may be "
                "done without a record. Check free space and permissions."
            )
        except (
            BaseException
        ):  # an unexpected error ends this thread; another thread writes the rows that arrived in the meantime
            with self._mutex:
                self._writer = None
            self._wake()
            raise
        finally:
            for ticket in tickets:
                if not written:
                    self._seq = -1  # the end of the log is unknown: it is read again before the next row
                    ticket.error = StoreError(why)
                ticket.done.release()

    def _write(self, tickets: list[Ticket]) -> None:
        if not tickets:
            return
        seq, previous, key = self._seq, self._hash, self._mac_key
        frontier = Frontier(self._frontier.size, self._frontier.roots)
        now = datetime.now(UTC).isoformat(timespec="milliseconds")
        rows: list[tuple[int, str, bytes, bytes]] = []
        for ticket in tickets:
            seq += 1
            fields = ticket.fields
            assert fields is not None
            fields["seq"], fields["time"] = seq, now
            if now < self._time:
                fields["clock"] = "set back"
            entry = orjson.dumps(fields, option=orjson.OPT_SORT_KEYS).decode()
            previous = sha256(previous + entry.encode()).digest()
            both = blake2b(previous, key=key).digest()
            rows.append((seq, entry, previous, both[:32]))
            key = both[32:]
            frontier.add(previous)
        head = canonical({"size": seq, "root": frontier.root().hex(), "last": previous.hex(), "time": now})
        signature = self.key.sign(head.encode())
        roots = json.dumps([r.hex() for r in frontier.roots])
        telemetry.AUDIT_COMMITS.observe(len(rows))
        append_audit(self.db, rows, {"size": seq, "head": head, "frontier": roots, "signature": signature})
        self._seq, self._hash, self._mac_key, self._frontier = seq, previous, key, frontier
        self._time = now
        self.next_key.overwrite(seq, key)
        self.witness.push(head, signature)
        for ticket, row in zip(tickets, rows, strict=True):
            ticket.seq = row[0]

    def _catch_up(self) -> None:
        """Reads the end of the log, if another process may have written since."""
        if self._seq > 0 and self.next_key.read()[0] == self._seq:
            return
        row, head = last_audit(self.db)
        if row is None:
            if self.next_key.begun():
                raise StoreError(
                    "the audit log is empty, but its key has advanced: the database was replaced by an older one. Stop, and "
                    "contact the security officer. To continue from a backup: galenic backup restore"
                )
            first = secrets.token_bytes(32)
            with file_aside(self.first_key) as aside:
                aside.write_text(first.hex(), encoding="ascii")
            self.first_key.chmod(0o600)
            self._seq, self._hash, self._mac_key, self._frontier = 0, START, first, Frontier()
            return
        assert head is not None
        at, key = self.next_key.read()
        if at > row["seq"]:
            raise StoreError(
                f"the audit log ends at row {row['seq']}, but its key is at row {at}: the database was rolled back. Stop, and "
                "contact the security officer. To continue from a backup: galenic backup restore"
            )
        for batch in audit_batches(self.db, at) if at < row["seq"] else ():
            for (
                _seq,
                _entry,
                row_hash,
                _mac,
            ) in batch:  # a process stopped between writing its rows and its key: advance the key
                key = blake2b(row_hash, key=key).digest()[32:]
        known = json.loads(head["head"])
        self._seq, self._hash, self._mac_key = int(row["seq"]), bytes(row["hash"]), key
        self._frontier = Frontier(int(known["size"]), [bytes.fromhex(r) for r in json.loads(head["frontier"])])
        self._time = known["time"]
        seen = self.witness.last()
        if seen is not None and seen < known["size"]:  # a process stopped before it sent its head
            for late in list_heads(self.db, seen):
                self.witness.push(late["head"], late["signature"])

    def begin_anew(self, why: str) -> None:
        """Begins a new log after the database was lost. Moves the old key and heads aside, and records that in the first row."""
        with self._turn:
            mark = datetime.now(UTC).strftime("%Y%m%dT%H%M%S")
            before = self.witness.read()[-1:]
            for place in (self.next_key.place, self.first_key, *self.witness.files):
                if place.exists():
                    place.replace(place.with_name(f"{place.name}.before-{mark}"))
            self._seq = -1
        last = json.loads(before[0][0]) if before else {"size": 0, "root": ""}
        self.append("chain.begun-anew", "audit", why=why, rows_before=last["size"], root_before=last["root"])

    def latest_time(self) -> str:
        """Time of the newest row, ISO 8601; "" without rows."""
        _row, head = last_audit(self.db)
        return str(json.loads(head["head"])["time"]) if head else ""

    def entries(self, after: int = 0) -> Iterator[AuditEntry]:
        """Rows, oldest first."""
        for batch in audit_batches(self.db, after):
            for _seq, text, _hash, _mac in batch:
                data = json.loads(text)
                data.pop("clock", None)
                yield AuditEntry(**data)

    def entries_of(self, actions: tuple[str, ...], after: int, through: int) -> Iterator[AuditEntry]:
        """Rows of some actions after row `after` up to row `through`, oldest first."""
        for text in audit_entries_with(self.db, [f'"action":"{a}"' for a in actions], after, through):
            data = json.loads(text)
            data.pop("clock", None)
            if data["action"] in actions:
                yield AuditEntry(**data)

    def head(self) -> tuple[int, str]:
        """(size, Merkle root) of the last signed head; store it elsewhere to detect truncation."""
        _row, head = last_audit(self.db)
        data: dict[str, Any] = json.loads(head["head"]) if head else {"size": 0, "root": START.hex()}
        return int(data["size"]), str(data["root"])

    def faults(self, first_key: bytes | None = None, witnessed: list[tuple[str, str]] | None = None) -> tuple[list[str], int]:
        """(faults of the log, number of valid rows), checked with the witness's file and the first key if they are available."""
        if first_key is None and self.first_key.exists():
            first_key = bytes.fromhex(self.first_key.read_text(encoding="ascii").strip())
        with contextlib.ExitStack() as stack:
            with self._turn, self.next_key.locked():  # no writes between reading the witness and the database
                seen = self.witness.read() if witnessed is None else witnessed
                found, batches = stack.enter_context(audit_snapshot(self.db))
            heads = [(str(h["head"]), str(h["signature"])) for h in found]
            rows = (row for batch in batches for row in batch)
            return verify_audit.verify(rows, heads, base64.b64decode(self.key.public), seen, first_key)

    def intact(self) -> bool:
        """True if the log is unchanged."""
        return not self.faults()[0]

    def require_intact(self) -> None:
        """Raise StoreError if the log was changed."""
        found, _count = self.faults()
        if found:
            raise StoreError(
                f"the audit log is damaged: {found[0]}. Stop, keep the database as it is, and contact the security officer."
            )

    def proof(self, seq: int) -> dict[str, Any]:
        """Inclusion proof of row `seq` under the last signed head: entry, leaf, path (RFC 6962, 2.1.1), head and signature."""
        _row, head = last_audit(self.db)
        size = json.loads(head["head"])["size"] if head else 0
        if head is None or not 1 <= seq <= size:
            raise UnknownNameError(
                f"there is no entry {seq} under a signed head. Expected a number from 1 to {size}. See: galenic audit show"
            )
        hashes, leaf, entry, before, previous = [], b"", "", START, START
        for batch in audit_batches(self.db):
            for place, text, row_hash, _mac in batch:
                hashes.append(leaf_hash(row_hash))
                if place == seq:
                    leaf, entry, previous = row_hash, text, before
                before = row_hash
        path = [p.hex() for p in inclusion_proof(seq - 1, hashes[:size])]
        row = {"seq": seq, "entry": entry, "previous": previous.hex(), "leaf": leaf.hex()}
        return {**row, "path": path, "head": head["head"], "signature": head["signature"]}


def _serve(log: "weakref.ref[AuditLog]", queue: AuditQueue) -> None:
    """Writes waiting rows as long as the log exists. Rows that arrive during a commit are in the next one."""
    while True:
        tickets = queue.take(MOST_PER_COMMIT)
        existing = log()  # each ticket keeps its log alive
        if existing is None:
            return
        if tickets:
            existing._write_waiting(tickets)
        del tickets, existing


def _flush_last(log: "weakref.ref[AuditLog]") -> None:
    owner = log()
    if owner is not None:  # the queue may be empty while its last row is being written
        with contextlib.suppress(StoreError):  # the callers that wait for a row get the error
            owner.flush()
