"""One open decision: what store reads through, while it stands."""

import hashlib
import hmac
import time
from collections.abc import Mapping
from dataclasses import dataclass
from types import TracebackType
from typing import TYPE_CHECKING, Any

from galenic.errors import AccessDeniedError
from galenic.security.facts import COVERED
from galenic.security.keytree import BUILDS, subkey
from galenic.security.policy import AccessDecision
from galenic.store import Handle, Rows, telemetry

if TYPE_CHECKING:
    from galenic.security.gate import Gate

KEPT_KEYS = 200_000  # keys of patients that an open decision remembers


def token_name(secret: str) -> str:
    """What the session of a secret is called: nobody finds the secret from it."""
    return "s-" + hashlib.sha256(secret.encode()).hexdigest()[:48]


@dataclass(frozen=True)
class Session:
    """Who asks: a registered key of the local operating-system user, until people sign in. id: its fact's key."""

    id: str
    who: str
    tenant: str
    region: str
    subject: int | None = None  # the patient, where a patient asks


class Grant(Handle):
    """One open decision: gives keys while it stands, counts what it gave, and closes for good when it no longer stands."""

    def __init__(
        self, gate: "Gate", session: Session, action: str, resource: str, purpose: str, verdict: AccessDecision, rows: Rows
    ) -> None:
        self.gate, self.session, self.action, self.resource, self.purpose = gate, session, action, resource, purpose
        self.verdict, self.tenant, self.who = verdict, session.tenant, session.who
        self.masked, self.floor = verdict.obligations.mask, verdict.obligations.floor
        self.decision = 0
        self.to = ""
        self.counted = {"rows": 0, "fields": 0, "bytes": 0}
        self.open = True
        self._seen = gate.versions.get()
        self._genuine: dict[tuple[object, ...], bool] = {}
        self._identity: bytes | None = None
        self._lent: dict[int, bytes] = {}
        self.rows = rows
        self._started = time.perf_counter()
        self._span = telemetry.span("gate", action=action)

    def __enter__(self) -> "Grant":
        self._span.__enter__()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        """Closes for good; how it ended goes to the audit chain with the next commit."""
        outcome = "cut" if not self.open else "done" if kind is None else "failed"
        self.open = False
        self.gate.audit.post(
            "gate.closed", self.resource, outcome, actor=self.who, decision=self.decision, to=self.to, **self.counted
        )
        telemetry.PASS_SECONDS.observe(time.perf_counter() - self._started)
        self._span.__exit__(kind, error, trace)

    @property
    def watermark(self) -> str:
        """What copies must carry; empty where nothing is asked."""
        return f"galenic decision {self.decision}" if self.verdict.obligations.watermark else ""

    def require(self, resource: str, *actions: str) -> None:
        """AccessDenied unless the decision is open, covers the resource and is for one of the actions."""
        if not self.open:
            raise AccessDeniedError("this decision is closed. Open the gate again.")
        if resource != self.resource or self.action not in actions:
            raise AccessDeniedError(
                f"this decision is to {self.action} {self.resource}, not to {' or '.join(actions)} {resource}. Open the gate for that."
            )

    def settle(self, subject: int) -> None:
        """A decision about a patient who was new is about this one from now on; once."""
        place, _, number = self.resource.rpartition("/")
        if number != "new" or not self.open:
            raise AccessDeniedError("only a decision about a new patient can be settled on one, once.")
        self.resource, self.rows = f"{place}/{subject}", Rows(subject=subject)
        self.gate.audit.post("gate.settled", self.resource, "done", actor=self.who, decision=self.decision)

    def beat(self, rows: int = 0, fields: int = 0, size: int = 0) -> None:
        """Counts what was handed out; AccessDenied as soon as the decision no longer stands."""
        self.counted["rows"] += rows
        self.counted["fields"] += fields
        self.counted["bytes"] += size
        if not self.open:
            raise AccessDeniedError("this decision is closed. Open the gate again.")
        now = self.gate.versions.get()
        if now is self._seen or now == self._seen:
            return
        if now["erasures"] != self._seen["erasures"]:
            self._lent.clear()
            self.gate.tree.refresh()  # what memory holds of the tree may hold a key that is gone
        if now["erasures"] != self._seen["erasures"] and self.action in ("train", "export", "index"):
            self._cut("a patient was erased while this ran; start again, without that patient")
        self._seen = now
        again = self.gate.judge(self.session, self.action, self.resource, self.purpose)
        if not again.allowed or again.obligations != self.verdict.obligations:
            self._cut(f"the decision no longer stands ({again.reason})")

    def _cut(self, why: str) -> None:
        self.open = False
        self.gate.audit.append("gate.cut", self.resource, "cut", actor=self.session.who, decision=self.decision, why=why)
        raise AccessDeniedError(f"access to {self.resource} was ended: {why}.")

    def keys(self, subjects: list[int]) -> dict[int, bytes]:
        """Record keys of patients; a patient who was erased has none."""
        self.beat()
        fresh = [s for s in subjects if s not in self._lent]
        if fresh:
            if len(self._lent) > KEPT_KEYS:
                self._lent.clear()
                fresh = subjects
            self._lent |= {s: subkey(k, "record") for s, k in self.gate.tree.keys(fresh).items()}
        return {s: self._lent[s] for s in subjects if s in self._lent}

    def new_keys(self, subjects: list[int]) -> dict[int, bytes]:
        """Record keys of patients, made where there are none; for imports only."""
        self.require(self.resource, "import", "write")
        there = self.gate.tree.keys(subjects)
        self.gate.tree.add([s for s in subjects if s not in there])
        return self.keys(subjects)

    def token(self, kind: str, text: str) -> bytes:
        """HMAC-SHA256 of an identifier, word or prefix under the house's identity key, 16 bytes."""
        return self.tokens(kind, [text])[0]

    def tokens(self, kind: str, texts: list[str]) -> list[bytes]:
        """The same for many texts at once."""
        self.beat()
        if self._identity is None:
            self._identity = self.gate.identity_key()
        key, digest, whole = self._identity, hmac.digest, f"{self.tenant}\0{kind}\0"
        return [digest(key, (whole + text).encode(), "sha256")[:16] for text in texts]

    def build_key(self, build: str) -> bytes:
        """The key of one build of shards or of an index."""
        self.beat()
        return subkey(self.gate.tree.key(BUILDS + int(build.rpartition("-")[2])), "index")

    def genuine(self, fact: Mapping[str, Any]) -> bool:
        """Whether a fact that let a row through was written by the security room."""
        whole = (bytes(fact["mac"]), *(fact[c] for c in COVERED))
        if whole not in self._genuine:
            if len(self._genuine) > 100_000:
                self._genuine.clear()
            self._genuine[whole] = self.gate.facts.genuine(fact)
        return self._genuine[whole]
