"""The access policy in force: two people activate a version, after seeing what it would have changed in the last 30 days."""

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
        """The policy in force; the shipped one until two people activate another. It is read again when facts have changed, and
        once a second. StoreError if the policy that the audit log calls activated is not there."""
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
        self._in_force = None  # nothing is in force while it is in doubt
        activated = [e.resource for e in sorted(self._activated.all(), key=lambda e: str(e.detail.get("at", "")))]
        if activated and all(plain(name) != activated[-1] for name, _at in found):
            raise StoreError(
                f"the access policy {activated[-1]!r}, which two people activated, is not in the database: it was removed or "
                "replaced outside of Galenic. Nothing is decided without it. Call the security officer, and activate a policy: "
                "galenic policy propose FILE --key NAME"
            )
        self._standing = found
        return parse_policy(str(standing[-1].get("text"))) if standing else shipped_policy()

    def different_people(self, a: str, b: str) -> bool:
        """Whether two keys belong to two people; one person with two accounts is one person."""
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
        """Proposes a policy; returns its id and what it would change. The replay is part of what is approved."""
        _require_approver(self.facts, key.name)
        found = self.replay(policy)
        name = f"{policy.name}-{policy.version}-{policy.digest[:8]}"
        at = self.facts.clock.moment()
        signature = key.sign(f"propose {name} {policy.digest}".encode())
        body = (("at", at), ("proposed_by", key.name), ("signature", signature), ("text", policy.text))

        def plan(facts: FactReader) -> list[Fact]:
            _require_approver(facts, key.name)
            standing = _active(facts)
            if standing and standing[-1].key == name:  # a proposal in its place would take it out of force
                raise StateError("this policy is in force already. Change its version or its rules, then propose it.")
            before = facts.one("policy", name)
            if before is not None and before.state == "proposed" and before.who != key.name and _approves(facts, before.who):
                raise StateError("this policy is proposed already. Approve it.")
            return [Fact("policy", name, "proposed", key.name, body=body)]

        self.facts.change(plan, actor=key.name)
        self.audit.append(
            "policy.proposed", name, actor=key.name, newly_allowed=found.newly_allowed, newly_denied=found.newly_denied
        )
        return name, found

    def approve(self, name: str, key: Key) -> AccessPolicy:
        """Approves a policy as the second person and activates it. AccessDeniedError for the proposer, by any account."""

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
    """The policies that two people activated, in that order; the last is in force."""
    return sorted((f for f in facts.of("policy") if f.state == "active"), key=lambda f: str(f.get("at")))


def _later(now: str, last: str) -> str:
    """The time now, or the next millisecond after the last one: of two activations at one moment, the later one is in force."""
    return now if now > last else (datetime.fromisoformat(last) + timedelta(milliseconds=1)).isoformat(timespec="milliseconds")


def _approves(facts: FactReader, account: str) -> bool:
    return is_active(facts, account) and bool(APPROVERS & roles_of(facts, account))


def _require_approver(facts: FactReader, account: str) -> None:
    if not _approves(facts, account):
        raise AccessDeniedError(f"{account} may not change the policy; a security officer or a privacy officer may.")


def _proposed(facts: FactReader, name: str, approver: str) -> Fact:
    """A proposed policy that the approver may put in force: both people are in use and hold what is needed."""
    _require_approver(facts, approver)
    fact = facts.one("policy", name)
    if fact is None or fact.state != "proposed":
        raise StateError(f"no policy {name!r} is proposed. Propose it first: galenic policy propose FILE --key NAME")
    if not are_different_people(facts, fact.who, approver):
        raise AccessDeniedError("a policy takes two people; its proposer cannot approve it, by this or any other account.")
    if not _approves(facts, fact.who):
        raise StateError("whoever proposed this policy may not change the policy any more. Propose it again.")
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
