"""The gate: the only way to a handle that decrypts. No decision, no key; no durable audit row, no decision."""

import hmac
import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from types import TracebackType
from typing import Any

from galenic.errors import AccessDenied, DescriptionError
from galenic.security.audit import AuditLog
from galenic.security.facts import COVERED, Fact, Facts
from galenic.security.keys import Key
from galenic.security.keytree import BUILDS, IDENTITY, KeyTree, subkey
from galenic.security.policies import Policies
from galenic.security.policy import Ask, Obligations, Verdict
from galenic.store import Database, Handle, Rows, telemetry, version_numbers

KEPT_KEYS = 200_000  # keys of patients that an open decision remembers
FRESH = 0.02  # s: another process's change of facts is seen within this time; this process's own at once
SESSION_HOURS = 12
STEP_UP_MINUTES = 60
REVIEW_HOURS = 72
WHY_AT_LEAST = 15  # characters of a reason to break the glass


ALLOWED = telemetry.DECISIONS.labels("allowed")


@dataclass(frozen=True)
class Session:
    """Who asks: a registered key of the local operating-system user, until people sign in. id: its fact's key."""

    id: str
    who: str
    tenant: str
    region: str
    subject: int | None = None  # the patient, where a patient asks


class Versions:
    """Versions of facts and erasures, read at most every 20 ms."""

    def __init__(self, db: Database) -> None:
        self.db, self._at, self._numbers = db, 0.0, {"facts": 0, "erasures": 0}
        self._turn = threading.Lock()

    def get(self) -> dict[str, int]:
        """The versions now, or as of 20 ms ago where another process moves them."""
        now = time.monotonic()
        if now - self._at > FRESH and self._turn.acquire(blocking=self._at == 0.0):  # one reads, the others need not wait
            try:
                if now - self._at > FRESH:
                    self._numbers = {"facts": 0, "erasures": 0, **version_numbers(self.db)}
                    self._at = now
            finally:
                self._turn.release()
        return self._numbers

    def look_again(self) -> None:
        """The next `get` reads the database."""
        self._at = 0.0


class Pass(Handle):
    """One open decision: gives keys while it stands, counts what it gave, and closes for good when it no longer stands."""

    def __init__(
        self, gate: "Gate", session: Session, action: str, resource: str, purpose: str, verdict: Verdict, rows: Rows
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

    def __enter__(self) -> "Pass":
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
            raise AccessDenied("this decision is closed. Open the gate again.")
        if resource != self.resource or self.action not in actions:
            raise AccessDenied(
                f"this decision is to {self.action} {self.resource}, not to {' or '.join(actions)} {resource}. Open the gate for that."
            )

    def beat(self, rows: int = 0, fields: int = 0, size: int = 0) -> None:
        """Counts what was handed out; AccessDenied as soon as the decision no longer stands."""
        self.counted["rows"] += rows
        self.counted["fields"] += fields
        self.counted["bytes"] += size
        if not self.open:
            raise AccessDenied("this decision is closed. Open the gate again.")
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
        raise AccessDenied(f"access to {self.resource} was ended: {why}.")

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


@dataclass
class Gate:
    """Decides, writes down, then lends keys. `open` is the only door."""

    db: Database
    tree: KeyTree
    facts: Facts
    policies: Policies
    audit: AuditLog
    versions: Versions = field(init=False)
    _grants: dict[str, tuple[int, frozenset[str], dict[str, str]]] = field(default_factory=dict)
    _sessions: dict[str, tuple[int, Fact | None]] = field(default_factory=dict)
    _datasets: dict[str, tuple[int, Fact | None]] = field(default_factory=dict)
    _mutex: threading.Lock = field(default_factory=threading.Lock)

    def __post_init__(self) -> None:
        self.versions = Versions(self.db)

    def identity_key(self) -> bytes:
        """The key of tokens; it stays when roots change, so that an erased patient is known when imported again."""
        if not self.tree.keys([IDENTITY]):
            self.tree.add([IDENTITY])
        return subkey(self.tree.key(IDENTITY), "token")

    def sign_in(self, key: Key, second: Key | None = None, *, tenant: str = "home", subject: int | None = None) -> Session:
        """A session for a key that opened; `second` steps it up. DescriptionError if the key has no role here."""
        _roles, home = self._roles(key.name)
        if not home:
            raise AccessDenied(
                f"key {key.name!r} holds no role in this installation. Grant one: galenic key {key.name} --role ROLE"
            )
        now = datetime.now(UTC)
        number = self.audit.append("session.opened", key.name, actor=key.name, fingerprint=key.fingerprint[:16])
        stepped = ""
        if second is not None:
            if second.fingerprint == key.fingerprint:
                raise DescriptionError(
                    "a session is stepped up with a second key, not with the same one. Name another key of yours."
                )
            stepped = (now + timedelta(minutes=STEP_UP_MINUTES)).isoformat(timespec="seconds")
        until = (now + timedelta(hours=SESSION_HOURS)).isoformat(timespec="seconds")
        body = (("stepped_up_until", stepped),)
        self.facts.put(Fact("session", f"{key.name}-{number}", "open", key.name, until=until, body=body), quiet=True)
        self.versions.look_again()
        return Session(f"{key.name}-{number}", key.name, home.get("tenant", tenant), home.get("region", ""), subject)

    def end(self, session: Session) -> None:
        """Ends a session; streams that it opened are cut."""
        self.facts.put(Fact("session", session.id, "ended", session.who))
        self.versions.look_again()

    def _roles(self, who: str) -> tuple[frozenset[str], dict[str, str]]:
        version = self.versions.get()["facts"]
        kept = self._grants.get(who)
        if kept is None or kept[0] != version:
            now = self.facts.now()
            standing = [f for f in self.facts.of("grant", who=who) if f.stands("given", now)]
            home = {n: str(standing[0].get(n, "")) for n in ("tenant", "region")} if standing else {}
            kept = (version, frozenset(f.label for f in standing), home)
            self._grants[who] = kept
        return kept[1], kept[2]

    def _session(self, session: Session) -> Fact | None:
        version = self.versions.get()["facts"]
        kept = self._sessions.get(session.id)
        if kept is None or kept[0] != version:
            kept = (version, self.facts.one("session", session.id))
            if len(self._sessions) > 10_000:
                self._sessions.clear()
            self._sessions[session.id] = kept
        return kept[1]

    def _ask(self, session: Session, action: str, resource: str, purpose: str) -> Ask | str:
        """What is to be decided, or why it can not even be asked."""
        fact = self._session(session)
        if fact is None or fact.state != "open" or fact.who != session.who:
            return "session-ended"
        now = _this_second(int(time.time()))
        if fact.until <= now:
            return "session-over"
        roles, home = self._roles(session.who)
        if not roles:
            return "no-role"
        kind, _, name = resource.partition("/")
        known = self._known(name) if kind == "dataset" else None
        if kind == "dataset" and known is None and action != "import":
            return "no-dataset"
        label, flags = _place(known, home)
        if kind == "subject" and session.subject is not None and name == str(session.subject):
            flags.add("own")
        if "service" in roles and any(f.stands("cleared", now) for f in self.facts.of("vendor", who=session.who)):
            flags.add("vendor")
        if action == "export" and any(
            f.stands("approved", now) and f.purpose == purpose
            for f in self.facts.of("qualification", who=session.who, label=resource)
        ):
            flags.add("qualified")
        assurance = 2 if str(fact.get("stepped_up_until", "")) > now else 1
        return Ask(roles, action, kind, purpose, label, assurance, frozenset(flags))

    def _known(self, name: str) -> Fact | None:
        """Whose a data set is, its label and region: a fact, so that nobody changes them past this room."""
        version = self.versions.get()["facts"]
        kept = self._datasets.get(name)
        if kept is None or kept[0] != version:
            kept = (version, self.facts.one("dataset", name))
            self._datasets[name] = kept
        return kept[1]

    def judge(self, session: Session, action: str, resource: str, purpose: str) -> Verdict:
        """The verdict alone, without opening anything."""
        ask = self._ask(session, action, resource, purpose)
        return Verdict(False, ask) if isinstance(ask, str) else self.policies.active().decide(ask)

    def open(self, session: Session, action: str, resource: str, purpose: str, *, why: str = "") -> "Pass":
        """A handle while the decision stands; use it as a context: with gate.open(...) as g. AccessDenied with the rule's id and
        reason where it is refused.

        why: the reason to break the glass; needed where purpose is "emergency", and reviewed afterwards.
        """
        ask = self._ask(session, action, resource, purpose)
        verdict = Verdict(False, ask) if isinstance(ask, str) else self.policies.active().decide(ask)
        if verdict.allowed and purpose == "emergency":
            verdict = self._glass(session, verdict, why)
        detail: dict[str, Any] = {"verb": action, "purpose": purpose, "reason": verdict.reason, "session": session.id}
        if not isinstance(ask, str):
            detail |= {"roles": sorted(ask.roles), "label": ask.label, "assurance": ask.assurance, "flags": sorted(ask.flags)}
        if not verdict.allowed or isinstance(ask, str):
            self.audit.append("gate.denied", resource, "denied", actor=session.who, **detail)
            telemetry.DECISIONS.labels("denied").inc()
            raise AccessDenied(self._refusal(session, action, resource, purpose, verdict))
        handle = Pass(
            self, session, action, resource, purpose, verdict, _rows(verdict.obligations, ask, session, purpose, resource)
        )
        glass = purpose == "emergency"
        name = "gate.break-glass" if glass else "gate.opened"
        handle.decision = self.audit.append(name, resource, "allowed", actor=session.who, **detail)
        if glass:
            self._loud(session, resource, handle.decision)
        ALLOWED.inc()
        return handle

    def _refusal(self, session: Session, action: str, resource: str, purpose: str, verdict: Verdict) -> str:
        rule = next((r for r in self.policies.active().rules if r.id == verdict.reason), None)
        why = rule.reason if rule else REFUSALS.get(verdict.reason, "No rule allows it.")
        return f"{session.who} may not {action} {resource} for {purpose or 'no stated purpose'} ({verdict.reason}): {why}"

    def _glass(self, session: Session, verdict: Verdict, why: str) -> Verdict:
        if len(why.strip()) < WHY_AT_LEAST:
            return Verdict(False, "glass-without-reason")
        now = datetime.now(UTC).isoformat(timespec="seconds")
        overdue = [f for f in self.facts.of("review", who=session.who) if f.state == "due" and f.until <= now]
        return Verdict(False, "glass-not-reviewed") if overdue else verdict

    def _loud(self, session: Session, resource: str, decision: int) -> None:
        until = (datetime.now(UTC) + timedelta(hours=REVIEW_HOURS)).isoformat(timespec="seconds")
        self.facts.put(Fact("review", f"glass-{decision}", "due", session.who, purpose="emergency", until=until))
        telemetry.BROKEN_GLASS.inc()
        telemetry.log("warning", "the glass was broken", who=session.who, resource=resource, decision=decision, review_by=until)

    def review(self, session: Session, decision: int, finding: str) -> None:
        """Closes the review of a broken glass; by a privacy officer who is not the one that broke it."""
        fact = self.facts.one("review", f"glass-{decision}")
        roles, _ = self._roles(session.who)
        if fact is None or fact.state != "due":
            raise DescriptionError(f"no review of decision {decision} is due.")
        if "privacy-officer" not in roles or not self.policies.different_people(fact.who, session.who):
            raise AccessDenied("a broken glass is reviewed by a privacy officer, and never by the person who broke it.")
        self.facts.put(Fact("review", fact.key, finding, fact.who, purpose="emergency"), actor=session.who)


REFUSALS = {
    "no-role": "This key holds no role here any more.",
    "session-ended": "The session has ended. Sign in again.",
    "session-over": "The session is over. Sign in again.",
    "glass-without-reason": f"Breaking the glass needs a reason of at least {WHY_AT_LEAST} characters.",
    "glass-not-reviewed": "An earlier emergency access has not been reviewed in time.",
    "no-permit": "No rule allows it.",
    "no-dataset": "There is no such data set in custody.",
}


def _place(known: Fact | None, home: dict[str, str]) -> tuple[str, set[str]]:
    """(label of a data set, whether it is of the asker's tenant and region)."""
    flags = {"same_tenant", "same_region"}
    if known and known.get("tenant") != home.get("tenant"):
        flags.discard("same_tenant")
    if known and home.get("region") and known.get("region") and known.get("region") != home["region"]:
        flags.discard("same_region")
    return known.label if known else "clinical", flags


@lru_cache(4)
def _this_second(second: int) -> str:
    return datetime.fromtimestamp(second, UTC).isoformat(timespec="seconds")


def _rows(obligations: Obligations, ask: Ask, session: Session, purpose: str, resource: str) -> Rows:
    if obligations.rows == "care":
        return Rows(care_of=session.who)
    if obligations.rows == "consent":
        return Rows(consent_to=(purpose, ask.label))
    if obligations.rows == "own" or ask.type == "subject":
        return Rows(subject=int(resource.partition("/")[2] or -1))
    return Rows()
