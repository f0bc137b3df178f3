"""The gate: the only way to a handle that decrypts. No decision, no key; no durable audit row, no decision."""

import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from typing import Any, NoReturn

from galenic.errors import AccessDeniedError, OptionError, StateError
from galenic.security.audit import AuditLog, Ticket
from galenic.security.facts import Fact, Facts
from galenic.security.grants import Grant, Session
from galenic.security.keys import Key
from galenic.security.keytree import IDENTITY, KeyTree, subkey
from galenic.security.policy import AccessDecision, AccessRequest, Obligations
from galenic.security.policy_store import PolicyStore
from galenic.store import Database, Rows, telemetry, version_numbers

FRESH = 0.02  # s: another process's change of facts is seen within this time; this process's own at once
SESSION_HOURS = 12
STEP_UP_MINUTES = 60
REVIEW_HOURS = 72
RELATIONS = frozenset({"care", "consent"})
PARTS = ("record", "directory")  # one patient's part of a data set; what of it is about no patient
WHY_AT_LEAST = 15  # characters of a reason to break the glass


ALLOWED = telemetry.DECISIONS.labels("allowed")


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


@dataclass
class Gate:
    """Decides, writes down, then lends keys. `open` is the only door."""

    db: Database
    tree: KeyTree
    facts: Facts
    policies: PolicyStore
    audit: AuditLog
    versions: Versions = field(init=False)
    _grants: dict[str, tuple[int, frozenset[str], dict[str, str]]] = field(default_factory=dict)
    _sessions: dict[str, tuple[int, Fact | None]] = field(default_factory=dict)
    _datasets: dict[str, tuple[int, Fact | None]] = field(default_factory=dict)
    _about: dict[tuple[str, str], tuple[int, tuple[Fact, ...]]] = field(default_factory=dict)
    _related: dict[tuple[str, int], tuple[Fact, ...]] = field(default_factory=dict)
    _related_at: int = -1
    _shown: dict[tuple[str, int | None, str, str], tuple[int, frozenset[int]]] = field(default_factory=dict)
    _mutex: threading.Lock = field(default_factory=threading.Lock)

    def __post_init__(self) -> None:
        self.versions = Versions(self.db)

    def identity_key(self) -> bytes:
        """The key of tokens; it stays when roots change, so that an erased patient is known when imported again."""
        if not self.tree.keys([IDENTITY]):
            self.tree.add([IDENTITY])
        return subkey(self.tree.key(IDENTITY), "token")

    def sign_in(self, key: Key, second: Key | None = None, *, tenant: str = "home", subject: int | None = None) -> Session:
        """A session for a key that opened; `second` steps it up. AccessDeniedError if the key has no role here."""
        _roles, home = self._roles(key.name)
        if not home:
            raise AccessDeniedError(
                f"key {key.name!r} holds no role in this installation. Grant one: galenic key {key.name} --role ROLE"
            )
        now = datetime.now(UTC)
        number = self.audit.append("session.opened", key.name, actor=key.name, fingerprint=key.fingerprint[:16])
        stepped = ""
        if second is not None:
            if second.fingerprint == key.fingerprint:
                raise OptionError(
                    "a session is stepped up with a second key, not with the same one. Name another key of yours."
                )
            stepped = (now + timedelta(minutes=STEP_UP_MINUTES)).isoformat(timespec="seconds")
        until = (now + timedelta(hours=SESSION_HOURS)).isoformat(timespec="seconds")
        return self._begun(key.name, number, until, (("stepped_up_until", stepped),), home, tenant, subject)

    def begin(
        self,
        who: str,
        *,
        how: str,
        seconds: int,
        name: str = "",
        subject: int | None = None,
        about: tuple[tuple[str, Any], ...] = (),
    ) -> Session:
        """A session of a person or a client whom a door has recognised. how: by what; name: what it is found by (a digest of the
        secret that its holder shows); about: what else is known of it. Somebody with an account may sign in before a role is
        given, and can do nothing; a client without a role is nobody."""
        _roles, home = self._roles(who)
        if not home and self.facts.one("person", who) is None:
            raise AccessDeniedError(f"{who} holds no role in this installation.")
        number = self.audit.append("session.opened", who, actor=who, how=how)
        until = (datetime.now(UTC) + timedelta(seconds=seconds)).isoformat(timespec="seconds")
        return self._begun(who, number, until, (*about, ("how", how)), home, "home", subject, name)

    def _begun(
        self, who: str, number: int, until: str, body: tuple[tuple[str, Any], ...], home: dict[str, str], tenant: str,
        subject: int | None, name: str = "",
    ) -> Session:  # fmt: skip
        name = name or f"{who}-{number}"
        self.facts.put(Fact("session", name, "open", who, subject, until=until, body=tuple(sorted(body))), quiet=True)
        self.versions.look_again()
        return Session(name, who, home.get("tenant", tenant), home.get("region", ""), subject)

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

    def session(self, name: str) -> tuple[Session, Fact] | None:
        """The session of that name while it stands, with its fact; None otherwise."""
        fact = self._session_fact(name)
        if fact is None or not fact.stands("open", _this_second(int(time.time()))):
            return None
        _roles, home = self._roles(fact.who)
        return Session(name, fact.who, home.get("tenant", "home"), home.get("region", ""), fact.subject), fact

    def _session_fact(self, name: str) -> Fact | None:
        version = self.versions.get()["facts"]
        kept = self._sessions.get(name)
        if kept is None or kept[0] != version:
            kept = (version, self.facts.one("session", name))
            if len(self._sessions) > 10_000:
                self._sessions.clear()
            self._sessions[name] = kept
        return kept[1]

    def _ask(self, session: Session, action: str, resource: str, purpose: str) -> AccessRequest | str:
        """What is to be decided, or why it can not even be asked."""
        fact = self._session_fact(session.id)
        if fact is None or fact.state != "open" or fact.who != session.who:
            return "session-ended"
        now = _this_second(int(time.time()))
        if fact.until <= now:
            return "session-over"
        roles, home = self._roles(session.who)
        if not roles:
            return "no-role"
        kind, _, name = resource.partition("/")
        of, _, number = name.partition("/") if kind in PARTS else (name, "", "")
        known = self._known(of) if kind in ("dataset", *PARTS) else None
        if kind in ("dataset", *PARTS) and known is None and action != "import":
            return "no-dataset"
        if kind == "outside" and not any(f.stands("allowed", now) for f in self._of("destination", name)):
            return "no-destination"
        label, flags = _place(known, home)
        if kind == "record" and RELATIONS & self.policies.active().looks_at(action, kind, roles):
            flags |= self._relations(session, number, purpose, label, now)
        if kind in ("subject", "record") and session.subject is not None and (number or name) == str(session.subject):
            flags.add("own")
        if "service" in roles and any(f.stands("cleared", now) for f in self._of("vendor", session.who)):
            flags.add("vendor")
        if action == "export" and any(
            f.stands("approved", now) and f.purpose == purpose
            for f in self.facts.of("qualification", who=session.who, label=resource)
        ):
            flags.add("qualified")
        assurance = 2 if str(fact.get("stepped_up_until", "")) > now else 1
        return AccessRequest(roles, action, kind, purpose, label, assurance, frozenset(flags))

    def _relations(self, session: Session, number: str, purpose: str, label: str, now: str) -> set[str]:
        """What the facts say of somebody and one patient: whether there is a care relation, and consent to the purpose."""
        if not number.isdecimal():
            return set()
        subject, version = int(number), self.versions.get()["facts"]
        if self._related_at != version or len(self._related) > 100_000:
            self._related, self._related_at = {}, version
        found = self._related.get((session.who, subject))
        if found is None:
            care = self.facts.of("care", who=session.who, subject=subject)
            found = self._related[session.who, subject] = (*care, *self.facts.of("consent", subject=subject))
        flags = {"care"} if any(f.kind == "care" and f.stands("given", now) for f in found) else set()
        if any(f.kind == "consent" and f.purpose == purpose and f.label == label and f.stands("given", now) for f in found):
            flags.add("consent")
        return flags

    def shown(self, session: Session, dataset: str, purpose: str) -> frozenset[int] | None:
        """Whose records a search may tell of: None for everybody's, else those of whom the rules let this session read one."""
        if self.judge(session, "search", f"record/{dataset}/everybody", purpose).allowed:
            return None
        version = self.versions.get()["facts"]
        key = (session.who, session.subject, dataset, purpose)
        kept = self._shown.get(key)
        if kept is None or kept[0] != version:
            subjects = {f.subject for f in self.facts.of("care", who=session.who) if f.subject is not None}
            subjects |= {session.subject} if session.subject is not None else set()
            allowed = (s for s in subjects if self.judge(session, "search", f"record/{dataset}/{s}", purpose).allowed)
            kept = self._shown[key] = (version, frozenset(allowed))
        return kept[1]

    def _of(self, kind: str, who: str) -> tuple[Fact, ...]:
        version = self.versions.get()["facts"]
        kept = self._about.get((kind, who))
        if kept is None or kept[0] != version:
            kept = self._about[kind, who] = (version, tuple(self.facts.of(kind, who=who)))
        return kept[1]

    def _known(self, name: str) -> Fact | None:
        """Whose a data set is, its label and region: a fact, so that nobody changes them past this room."""
        version = self.versions.get()["facts"]
        kept = self._datasets.get(name)
        if kept is None or kept[0] != version:
            kept = (version, self.facts.one("dataset", name))
            self._datasets[name] = kept
        return kept[1]

    def judge(self, session: Session, action: str, resource: str, purpose: str) -> AccessDecision:
        """The verdict alone, without opening anything."""
        ask = self._ask(session, action, resource, purpose)
        return AccessDecision(False, ask) if isinstance(ask, str) else self.policies.active().decide(ask)

    def open(self, session: Session, action: str, resource: str, purpose: str, *, why: str = "") -> "Grant":
        """A handle while the decision stands; use it as a context: with gate.open(...) as g. AccessDenied with the rule's id and
        reason where it is refused.

        why: the reason to break the glass; needed where purpose is "emergency", and reviewed afterwards.
        """
        handle = self._opened(session, action, resource, purpose, why)
        return handle.wait() if isinstance(handle, _Waiting) else self._deny(handle)

    def open_many(self, session: Session, action: str, resources: Sequence[str], purpose: str) -> list["Grant | None"]:
        """One decision each, all written down in one commit; None where it is refused, which is written down as well."""
        found = [self._opened(session, action, r, purpose, "") for r in resources]
        handles: list[Grant | None] = []
        for one in found:
            handles.append(one.wait() if isinstance(one, _Waiting) else None)
            if isinstance(one, _Refused):
                self._denied(one)
        return handles

    def _opened(self, session: Session, action: str, resource: str, purpose: str, why: str) -> "_Waiting | _Refused":
        ask = self._ask(session, action, resource, purpose)
        verdict = AccessDecision(False, ask) if isinstance(ask, str) else self.policies.active().decide(ask)
        if verdict.allowed and purpose == "emergency":
            verdict = self._glass(session, verdict, why)
        detail: dict[str, Any] = {"verb": action, "purpose": purpose, "reason": verdict.reason, "session": session.id}
        if not isinstance(ask, str):
            detail |= {"roles": sorted(ask.roles), "label": ask.label, "assurance": ask.assurance, "flags": sorted(ask.flags)}
        if not verdict.allowed or isinstance(ask, str):
            ticket = self.audit.post("gate.denied", resource, "denied", actor=session.who, **detail)
            return _Refused(ticket, self._refusal(session, action, resource, purpose, verdict))
        rows = _rows(verdict.obligations, ask, session, purpose, resource)
        handle = Grant(self, session, action, resource, purpose, verdict, rows)
        name = "gate.break-glass" if purpose == "emergency" else "gate.opened"
        return _Waiting(handle, self.audit.post(name, resource, "allowed", actor=session.who, **detail))

    def _denied(self, refused: "_Refused") -> None:
        refused.ticket.wait()
        telemetry.DECISIONS.labels("denied").inc()

    def _deny(self, refused: "_Refused") -> NoReturn:
        self._denied(refused)
        raise AccessDeniedError(refused.why)

    def _refusal(self, session: Session, action: str, resource: str, purpose: str, verdict: AccessDecision) -> str:
        rule = next((r for r in self.policies.active().rules if r.id == verdict.reason), None)
        why = rule.reason if rule else REFUSALS.get(verdict.reason, "No rule allows it.")
        return f"{session.who} may not {action} {resource} for {purpose or 'no stated purpose'} ({verdict.reason}): {why}"

    def _glass(self, session: Session, verdict: AccessDecision, why: str) -> AccessDecision:
        if len(why.strip()) < WHY_AT_LEAST:
            return AccessDecision(False, "glass-without-reason")
        now = datetime.now(UTC).isoformat(timespec="seconds")
        overdue = [f for f in self.facts.of("review", who=session.who) if f.state == "due" and f.until <= now]
        return AccessDecision(False, "glass-not-reviewed") if overdue else verdict

    def loud(self, session: Session, resource: str, decision: int) -> None:
        """A broken glass is seen at once, and must be reviewed."""
        until = (datetime.now(UTC) + timedelta(hours=REVIEW_HOURS)).isoformat(timespec="seconds")
        self.facts.put(Fact("review", f"glass-{decision}", "due", session.who, purpose="emergency", until=until))
        telemetry.BROKEN_GLASS.inc()
        telemetry.log("warning", "the glass was broken", who=session.who, resource=resource, decision=decision, review_by=until)

    def review(self, session: Session, decision: int, finding: str) -> None:
        """Closes the review of a broken glass; by a privacy officer who is not the one that broke it."""
        fact = self.facts.one("review", f"glass-{decision}")
        roles, _ = self._roles(session.who)
        if fact is None or fact.state != "due":
            raise StateError(f"no review of decision {decision} is due.")
        if "privacy-officer" not in roles or not self.policies.different_people(fact.who, session.who):
            raise AccessDeniedError("a broken glass is reviewed by a privacy officer, and never by the person who broke it.")
        self.facts.put(Fact("review", fact.key, finding, fact.who, purpose="emergency"), actor=session.who)


@dataclass(frozen=True, slots=True)
class _Refused:
    """A refusal that is being written down."""

    ticket: Ticket
    why: str


@dataclass(frozen=True, slots=True)
class _Waiting:
    """A decision that lends nothing before it is written down."""

    handle: Grant
    ticket: Ticket

    def wait(self) -> Grant:
        """The handle, once its row is durable."""
        handle = self.handle
        handle.decision = self.ticket.wait()
        if handle.purpose == "emergency":
            handle.gate.loud(handle.session, handle.resource, handle.decision)
        ALLOWED.inc()
        return handle


REFUSALS = {
    "no-role": "This key holds no role here any more.",
    "session-ended": "The session has ended. Sign in again.",
    "session-over": "The session is over. Sign in again.",
    "glass-without-reason": f"Breaking the glass needs a reason of at least {WHY_AT_LEAST} characters.",
    "glass-not-reviewed": "An earlier emergency access has not been reviewed in time.",
    "no-permit": "No rule allows it.",
    "no-dataset": "There is no such data set in custody.",
    "no-destination": "There is no such destination among those that this installation may call.",
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


def _rows(obligations: Obligations, ask: AccessRequest, session: Session, purpose: str, resource: str) -> Rows:
    if obligations.rows == "care":
        return Rows(care_of=session.who)
    if obligations.rows == "consent":
        return Rows(consent_to=(purpose, ask.label))
    if ask.type in PARTS:
        number = resource.rpartition("/")[2]
        return Rows(subject=int(number) if number.isdecimal() else -1)
    if obligations.rows == "own" or ask.type == "subject":
        return Rows(subject=int(resource.partition("/")[2] or -1))
    return Rows()
