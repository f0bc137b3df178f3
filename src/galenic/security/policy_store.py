"""Active access policy. Two people activate a version, after seeing the decisions of the last 30 days that it would have
changed."""

import threading
from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta

from galenic.errors import AccessDeniedError, StateError, StoreError
from galenic.security.audit import AuditedActions, AuditLog, plain
from galenic.security.facts import Fact, FactReader, FactStore
from galenic.security.keys import Key
from galenic.security.policy import AccessPolicy, AccessRequest, parse_policy, shipped_policy
from galenic.security.standing import are_different_people, is_active, roles_of
from galenic.store import Database

REPLAY_DAYS = 30
APPROVERS = frozenset({"security-officer", "privacy-officer"})


@dataclass(frozen=True)
class Replay:
    """Decisions that a policy would have changed: counts, and numbers of audit rows as examples (at most 20 each)."""

    decisions: int
    newly_allowed: int
    newly_denied: int
    allowed_examples: tuple[int, ...]
    denied_examples: tuple[int, ...]


class PolicyStore:
    """The policies of one installation."""

    def __init__(self, db: Database, facts: FactStore, audit: AuditLog) -> None:
        self.db, self.facts, self.audit = db, facts, audit
        self._in_force: tuple[dict[str, int], AccessPolicy] | None = None  # with the versions at which it was read
        self._standing: tuple[tuple[str, str], ...] | None = None  # (name, time) of the policies that two people activated
        self._turn = threading.RLock()
        self._activated = AuditedActions(audit, "policy.activated")

    def active(self) -> AccessPolicy:
        """Active policy; the shipped one until two people activate another. It is read again when facts have changed, and once
        per second. Raise StoreError if the activated policy in the audit log does not exist."""
        numbers, known = self.facts.versions.get(), self._in_force
        if known is not None and (numbers is known[0] or numbers == known[0]):
            return known[1]
        with self._turn:
            policy = self._load()
            self._in_force = numbers, policy
        return policy

    def _load(self) -> AccessPolicy:
        standing = _active(self.facts)
        found = tuple((f.key, str(f.get("at"))) for f in standing)
        if self._in_force is not None and found == self._standing:
            return self._in_force[1]
        self._in_force = None  # nothing is allowed while the active policy is uncertain
        activated = [e.resource for e in sorted(self._activated.all(), key=lambda e: str(e.detail.get("at", "")))]
        if activated and all(plain(name) != activated[-1] for name, _at in found):
            raise StoreError(
                f"the active access policy {activated[-1]!r} is not in the database: it was removed or replaced outside "
                "Galenic. No access is possible without it. Contact the security officer, and activate a policy: galenic "
                "policy propose FILE --key NAME"
            )
        self._standing = found
        return parse_policy(str(standing[-1].get("text"))) if standing else shipped_policy()

    def different_people(self, a: str, b: str) -> bool:
        """True if two keys belong to two people. A person with two accounts is one person."""
        return are_different_people(self.facts, a, b)

    def replay(self, policy: AccessPolicy) -> Replay:
        """Decides every request of the last 30 days again."""
        count, allowed, denied = 0, [], []
        for seq, request, was in _requests(self.audit):
            count += 1
            now = policy.decide(request).allowed
            if now and not was:
                allowed.append(seq)
            elif was and not now:
                denied.append(seq)
        return Replay(count, len(allowed), len(denied), tuple(allowed[:20]), tuple(denied[:20]))

    def propose(self, policy: AccessPolicy, key: Key) -> tuple[str, Replay]:
        """Proposes a policy. Returns its id and the decisions that it would change, which are part of the approval."""
        _require_approver(self.facts, key.name)
        found = self.replay(policy)
        name = f"{policy.name}-{policy.version}-{policy.digest[:8]}"
        at = self.facts.clock.moment()
        signature = key.sign(f"propose {name} {policy.digest}".encode())
        body = (("at", at), ("proposed_by", key.name), ("signature", signature), ("text", policy.text))

        def plan(facts: FactReader) -> list[Fact]:
            _require_approver(facts, key.name)
            standing = _active(facts)
            if standing and standing[-1].key == name:  # a proposal in its place would deactivate it
                raise StateError("this policy is already in force. Change its version or its rules, then propose it.")
            before = facts.one("policy", name)
            if before is not None and before.state == "proposed" and before.who != key.name and _approves(facts, before.who):
                raise StateError("this policy is already proposed. Approve it.")
            return [Fact("policy", name, "proposed", key.name, body=body)]

        self.facts.change(plan, actor=key.name)
        self.audit.append(
            "policy.proposed", name, actor=key.name, newly_allowed=found.newly_allowed, newly_denied=found.newly_denied
        )
        return name, found

    def approve(self, name: str, key: Key) -> AccessPolicy:
        """Approves a policy as the second person and activates it. Raise AccessDeniedError for the person who proposed it, from
        any account."""

        def plan(facts: FactReader) -> list[Fact]:
            fact = _proposed(facts, name, key.name)
            digest = parse_policy(str(fact.get("text"))).digest
            standing = _active(facts)
            at = _later(self.facts.clock.moment(), str(standing[-1].get("at")) if standing else "")
            more = {"at": at, "approved_by": key.name, "approval": key.sign(f"approve {name} {digest}".encode())}
            return [replace(fact, state="active", body=tuple(sorted({**dict(fact.body), **more}.items())))]

        (fact,) = self.facts.change(plan, actor=key.name)
        policy = parse_policy(str(fact.get("text")))
        self.audit.append(
            "policy.activated", name, actor=key.name, digest=policy.digest, proposed_by=fact.who, at=fact.get("at")
        )
        return policy


def _active(facts: FactReader) -> list[Fact]:
    """Policies that two people activated, in order; the last is active."""
    return sorted((f for f in facts.of("policy") if f.state == "active"), key=lambda f: str(f.get("at")))


def _later(now: str, last: str) -> str:
    """Current time, or the next millisecond after the last one, so that the later of two simultaneous activations is active."""
    return now if now > last else (datetime.fromisoformat(last) + timedelta(milliseconds=1)).isoformat(timespec="milliseconds")


def _approves(facts: FactReader, account: str) -> bool:
    return is_active(facts, account) and bool(APPROVERS & roles_of(facts, account))


def _require_approver(facts: FactReader, account: str) -> None:
    if not _approves(facts, account):
        raise AccessDeniedError(f"{account} may not change the policy. Ask a security officer or a privacy officer.")


def _proposed(facts: FactReader, name: str, approver: str) -> Fact:
    """Proposed policy that the approver may activate. Both people are active and have the required roles."""
    _require_approver(facts, approver)
    fact = facts.one("policy", name)
    if fact is None or fact.state != "proposed":
        raise StateError(f"no policy {name!r} is proposed. Propose it first: galenic policy propose FILE --key NAME")
    if not are_different_people(facts, fact.who, approver):
        raise AccessDeniedError("a policy needs two people: the person who proposed it cannot approve it, from any account.")
    if not _approves(facts, fact.who):
        raise StateError("the person who proposed this policy may no longer change the policy. Propose it again.")
    return fact


def _requests(audit: AuditLog) -> Iterator[tuple[int, AccessRequest, bool]]:
    since = (datetime.now(UTC) - timedelta(days=REPLAY_DAYS)).isoformat(timespec="milliseconds")
    for entry in audit.entries():
        detail = entry.detail
        if (
            entry.time < since
            or "flags" not in detail
            or entry.action not in ("gate.opened", "gate.denied", "gate.break-glass")
        ):
            continue
        request = AccessRequest(
            frozenset(detail["roles"]),
            detail["verb"],
            entry.resource.partition("/")[0],
            detail["purpose"],
            detail["label"],
            detail["assurance"],
            frozenset(detail["flags"]),
        )
        yield entry.seq, request, entry.outcome == "allowed"
