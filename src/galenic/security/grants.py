"""Grants: open access decisions, through which the store reads patient data."""

import hashlib
import hmac
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import TracebackType
from typing import Any, Protocol

from galenic.errors import AccessDeniedError
from galenic.security.audit import AuditLog
from galenic.security.facts import COVERED, FactStore
from galenic.security.keytree import BUILDS, KeyTree, subkey
from galenic.security.policy import AccessDecision
from galenic.security.sealed_notes import open_note, seal_note
from galenic.security.versions import Versions
from galenic.store import AbstractGrant, Rows, telemetry

MOST_KEYS = 200_000  # record keys that a grant keeps in memory


def token_name(secret: str) -> str:
    """Name of the session of a secret: a digest that does not reveal the secret."""
    return "s-" + hashlib.sha256(secret.encode()).hexdigest()[:48]


@dataclass(frozen=True)
class Session:
    """Signed-in account, client or key. id: key of its fact; subject: the patient, if a patient is signed in."""

    id: str
    who: str
    tenant: str
    region: str
    subject: int | None = None


@dataclass(frozen=True)
class GrantScope:
    """Terms of a grant: the session, the action, the resource, the purpose, the decision, and the covered rows."""

    session: Session
    action: str
    resource: str
    purpose: str
    access: AccessDecision
    rows: Rows


class DecisionMaker(Protocol):
    """Part of the access check that a grant needs: services, and a new decision when facts or policies have changed."""

    versions: Versions
    audit: AuditLog
    tree: KeyTree
    facts: FactStore

    def identity_key(self) -> bytes:
        """The key of identifier tokens."""

    def decide(self, session: Session, action: str, resource: str, purpose: str) -> AccessDecision:
        """Decision without effect: nothing is opened or recorded."""

    def report_emergency(self, grant: "Grant", reason: str) -> None:
        """Reports an emergency access for review."""


class Grant(AbstractGrant):
    """Open access decision. It provides keys while it is valid, counts reads, and closes permanently when it is no longer
    valid.

    decision: number of the audit row that records it.
    """

    def __init__(self, gate: DecisionMaker, scope: GrantScope) -> None:
        self.gate, self.session, self.access = gate, scope.session, scope.access
        self.action, self.resource, self.purpose, self.rows = scope.action, scope.resource, scope.purpose, scope.rows
        self.tenant, self.who = scope.session.tenant, scope.session.who
        self.masked, self.floor = scope.access.obligations.mask, scope.access.obligations.floor
        self.decision = 0
        self.to = ""
        self.counted = {"rows": 0, "fields": 0, "bytes": 0}
        self.open = True
        self._versions = gate.versions.get()
        self._genuine: dict[tuple[object, ...], bool] = {}
        self._identity: bytes | None = None
        self._record_keys: dict[int, bytes] = {}
        self._started = time.perf_counter()
        self._span = telemetry.span("gate", action=self.action)

    def __enter__(self) -> "Grant":
        self._span.__enter__()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        """Closes permanently. The outcome is recorded in the audit log with the next commit."""
        outcome = "cut" if not self.open else "done" if kind is None else "failed"
        self.open = False
        self.gate.audit.post_later(
            "gate.closed", self.resource, outcome, actor=self.who, decision=self.decision, to=self.to, **self.counted
        )
        telemetry.PASS_SECONDS.observe(time.perf_counter() - self._started)
        self._span.__exit__(kind, error, trace)

    @property
    def watermark(self) -> str:
        """Watermark that copies must carry; empty if none is required."""
        return f"galenic decision {self.decision}" if self.access.obligations.watermark else ""

    def require(self, resource: str, *actions: str) -> None:
        """Raise AccessDeniedError unless the decision is open, covers the resource and allows one of the actions."""
        if not self.open:
            raise AccessDeniedError("this access decision is closed. Request access again.")
        if resource != self.resource or self.action not in actions:
            raise AccessDeniedError(
                f"this access decision allows to {self.action} {self.resource}, not to {' or '.join(actions)} "
                f"{resource}. Request access for that."
            )

    def settle(self, subject: int) -> None:
        """Binds a decision about a new patient to this subject id, only once."""
        place, _, number = self.resource.rpartition("/")
        if number != "new" or not self.open:
            raise AccessDeniedError("only a decision about a new patient can be bound to a patient, and only once.")
        self.resource, self.rows = f"{place}/{subject}", Rows(subject=subject)
        self.gate.audit.post("gate.settled", self.resource, "done", actor=self.who, decision=self.decision)

    def require_active(self, rows: int = 0, fields: int = 0, size: int = 0) -> None:
        """Counts reads. Raise AccessDeniedError as soon as the decision is no longer valid. It is decided again when facts have
        changed, and once per second."""
        self.counted["rows"] += rows
        self.counted["fields"] += fields
        self.counted["bytes"] += size
        if not self.open:
            raise AccessDeniedError("this access decision is closed. Request access again.")
        now = self.gate.versions.get()
        if now is self._versions or now == self._versions:
            return
        if now["erasures"] != self._versions["erasures"]:
            self._record_keys.clear()
            self.gate.tree.refresh()  # the cached part of the tree may contain a destroyed key
        if now["erasures"] != self._versions["erasures"] and self.action in ("train", "export", "index"):
            self._cut("a patient was erased in the meantime; start again, without that patient")
        self._versions = now
        again = self.gate.decide(self.session, self.action, self.resource, self.purpose)
        if not again.allowed or again.obligations != self.access.obligations:
            self._cut(f"the access decision is no longer valid ({again.reason})")

    def _cut(self, why: str) -> None:
        self.open = False
        self.gate.audit.append("gate.cut", self.resource, "cut", actor=self.session.who, decision=self.decision, why=why)
        raise AccessDeniedError(f"access to {self.resource} was ended: {why}.")

    def keys(self, subjects: list[int]) -> dict[int, bytes]:
        """Record keys of patients; an erased patient has none."""
        self.require_active()
        fresh = [s for s in subjects if s not in self._record_keys]
        if fresh:
            if len(self._record_keys) > MOST_KEYS:
                self._record_keys.clear()
                fresh = subjects
            self._record_keys |= {s: subkey(k, "record") for s, k in self.gate.tree.keys(fresh).items()}
        return {s: self._record_keys[s] for s in subjects if s in self._record_keys}

    def new_keys(self, subjects: list[int]) -> dict[int, bytes]:
        """Record keys of patients, created if missing; only for imports and writes."""
        self.require(self.resource, "import", "write")
        there = self.gate.tree.keys(subjects)
        self.gate.tree.add([s for s in subjects if s not in there])
        return self.keys(subjects)

    def seal(self, subject: int, place: str, text: str) -> str:
        """A note about a subject, encrypted under the subject's key; empty where there is no text or no key."""
        key = self.keys([subject]).get(subject) if text else None
        return seal_note(subkey(key, "note"), place, text) if key else ""

    def unseal(self, subject: int, place: str, sealed: str) -> str:
        """The text of a note that `seal` encrypted; empty where there is none, or the subject was erased."""
        key = self.keys([subject]).get(subject) if sealed else None
        return open_note(subkey(key, "note"), place, sealed) if key else ""

    def token(self, kind: str, text: str) -> bytes:
        """HMAC-SHA256 of an identifier, word or prefix under the installation's identity key, 16 bytes."""
        return self.tokens(kind, [text])[0]

    def tokens(self, kind: str, texts: list[str]) -> list[bytes]:
        """HMAC-SHA256 of many texts at once."""
        return list(map(self.hasher(kind), texts))

    def hasher(self, kind: str) -> Callable[[str], bytes]:
        """Function that computes tokens of one kind. Access is checked here and not again at each call."""
        self.require_active()
        if self._identity is None:
            self._identity = self.gate.identity_key()
        key, digest, whole = self._identity, hmac.digest, f"{self.tenant}\0{kind}\0"
        return lambda text: digest(key, (whole + text).encode(), "sha256")[:16]

    def build_key(self, build: str) -> bytes:
        """The key of one build of shards or of an index."""
        self.require_active()
        return subkey(self.gate.tree.key(BUILDS + int(build.rpartition("-")[2])), "index")

    def now(self) -> str:
        """The time that access decisions use, as ISO 8601."""
        return self.gate.facts.now()

    def genuine(self, fact: Mapping[str, Any]) -> bool:
        """True if this package wrote a fact that gives access to a row: its MAC is correct."""
        whole = (bytes(fact["mac"]), *(fact[c] for c in COVERED))
        if whole not in self._genuine:
            if len(self._genuine) > 100_000:
                self._genuine.clear()
            self._genuine[whole] = self.gate.facts.genuine(fact)
        return self._genuine[whole]
