"""Access check: the only source of grants that decrypt. Keys require a decision, and a decision requires a durable audit row."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, NoReturn

from galenic.errors import AccessDeniedError, OptionError
from galenic.security.audit import AuditLog
from galenic.security.audit_queue import Ticket
from galenic.security.emergency_reviews import REVIEW_HOURS, EmergencyReviews, ReviewFinding
from galenic.security.fact_cache import FactCache, Stamp
from galenic.security.facts import Fact, FactReader, FactStore
from galenic.security.grants import Grant, GrantScope, Session
from galenic.security.keys import Key
from galenic.security.keytree import IDENTITY, KeyTree, subkey
from galenic.security.policy import AccessDecision, AccessRequest, Obligations
from galenic.security.policy_store import PolicyStore
from galenic.security.resource_types import resource_type, rows_of_subject
from galenic.security.standing import OUT_OF_USE, person_of, roles_of
from galenic.security.system_access import access_of
from galenic.security.versions import Versions
from galenic.store import Database, Rows, telemetry

SESSION_HOURS = 12
STEP_UP_MINUTES = 60
MOST_VISIBLE = 1_000  # number of cached combinations of account and purpose with their visible subjects
RELATIONS = frozenset({"care", "consent"})
SHORTEST_REASON = 15  # characters of a reason for emergency access
ALLOWED = telemetry.DECISIONS.labels("allowed")
REFUSALS = {
    "no-role": "This key no longer has a role here.",
    "session-ended": "The session has ended. Sign in again.",
    "session-over": "The session has expired. Sign in again.",
    "glass-without-reason": f"Emergency access needs a reason of at least {SHORTEST_REASON} characters.",
    "glass-not-reviewed": "An earlier emergency access of this account has not been reviewed in time. Ask a privacy officer to review it.",
    "no-permit": "No rule allows it.",
    "no-dataset": "This data set does not exist in the record store.",
    "no-destination": "This destination is not registered in this installation.",
}


@dataclass
class Gate:
    """Decides on access, records the decision, then provides keys. `open` is the only source of grants."""

    db: Database
    tree: KeyTree
    facts: FactStore
    policies: PolicyStore
    audit: AuditLog
    versions: Versions = field(init=False)
    cache: FactCache = field(init=False)
    reviews: EmergencyReviews = field(init=False)
    _visible: dict[tuple[str, int | None, str, str], tuple[Stamp, frozenset[int]]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.versions = self.facts.versions
        self.cache = FactCache(self.facts)
        self.reviews = EmergencyReviews(self.facts)

    def identity_key(self) -> bytes:
        """Key of identifier tokens. It survives changes of the root key, so that an erased patient is recognized at a new
        import."""
        if not self.tree.keys([IDENTITY]):
            self.tree.add([IDENTITY])
        return subkey(self.tree.key(IDENTITY), "token")

    # sessions

    def sign_in(self, key: Key, second: Key | None = None, *, tenant: str = "home", subject: int | None = None) -> Session:
        """Session of an unlocked key; `second` re-authenticates it. Raise AccessDeniedError if the key has no role here."""
        _roles, home = self.cache.roles(key.name)
        if not home or not any(f.get("fingerprint") == key.fingerprint for f in self.cache.about("grant", key.name)):
            raise AccessDeniedError(
                f"key {key.name!r} has no role in this installation. Grant one: galenic keys create {key.name} --role ROLE"
            )
        stepped_up_until = ""
        if second is not None:
            if second.fingerprint == key.fingerprint:
                raise OptionError("re-authentication needs a second key, not the same one. Name another key of yours.")
            person = person_of(self.facts, key.name)
            if not person or person != person_of(self.facts, second.name) or not roles_of(self.facts, second.name):
                raise AccessDeniedError(
                    f"key {second.name!r} is not a second key of the owner of {key.name!r}, or has no role now. "
                    "Re-authentication needs a second key of the same person: galenic keys create NAME --role ROLE --person "
                    "PERSON"
                )
            stepped_up_until = self.facts.clock.after(STEP_UP_MINUTES * 60)
        number = self.audit.append("session.opened", key.name, actor=key.name, fingerprint=key.fingerprint[:16])
        until = self.facts.clock.after(SESSION_HOURS * 3600)
        body = (("stepped_up_until", stepped_up_until),)
        fact = Fact("session", f"{key.name}-{number}", "open", key.name, subject, until=until, body=body)
        return self._start(fact, home, tenant)

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
        """Session of an authenticated account or client. how: method of authentication; name: its name, a digest of the secret
        that its holder presents; about: further details. A person may sign in without a role, but has no access; a client
        without a role is refused."""
        _roles, home = self.cache.roles(who)
        if not home and self.facts.one("person", who) is None:
            raise AccessDeniedError(f"{who} has no role in this installation. Ask a security officer for one.")
        number = self.audit.append("session.opened", who, actor=who, how=how, session=name)
        until = self.facts.clock.after(seconds)
        body = tuple(sorted((*about, ("how", how))))
        return self._start(
            Fact("session", name or f"{who}-{number}", "open", who, subject, until=until, body=body), home, "home"
        )

    def _start(self, fact: Fact, home: dict[str, str], tenant: str) -> Session:
        def plan(facts: FactReader) -> list[Fact]:
            person = facts.one("person", fact.who)
            if person is not None and person.state in OUT_OF_USE:
                raise AccessDeniedError(f"{fact.who} has left.")
            if person is None:
                _require_access(facts, fact)
            return [fact]

        self.facts.change(plan, quiet=True)
        self.versions.refresh()
        return Session(fact.key, fact.who, home.get("tenant", tenant), home.get("region", ""), fact.subject)

    def end(self, session: Session) -> None:
        """Ends a session, and with it its open grants."""
        self.facts.put(Fact("session", session.id, "ended", session.who))
        self.versions.refresh()

    def session(self, name: str) -> tuple[Session, Fact] | None:
        """Session with that name and its fact, if it is open and not expired; None otherwise."""
        fact = self.cache.session(name)
        if fact is None or not fact.stands("open", self.facts.now()):
            return None
        _roles, home = self.cache.roles(fact.who)
        return Session(name, fact.who, home.get("tenant", "home"), home.get("region", ""), fact.subject), fact

    # decisions

    def _request(self, session: Session, action: str, resource: str, purpose: str) -> AccessRequest | str:
        """Access request, or the id of the reason if it is refused before any rule is evaluated."""
        fact = self.cache.session(session.id)
        if fact is None or fact.state != "open" or fact.who != session.who:
            return "session-ended"
        now = self.facts.now()
        if fact.until <= now:
            return "session-over"
        roles, home = self.cache.roles(session.who)
        if not roles:
            return "no-role"
        kind, name = resource_type(resource)
        missing = kind.missing(name, action, self.cache)
        if missing:
            return missing
        dataset, subject = kind.dataset(name), kind.subject(name)
        label, flags = _dataset_flags(self.cache.dataset(dataset) if dataset else None, home)
        type_name = resource.partition("/")[0]
        if kind.has_relations and RELATIONS & self.policies.active().relevant_flags(action, type_name, roles):
            flags |= self._relation_flags(session, subject, purpose, label, now)
        if session.subject is not None and subject == str(session.subject):
            flags.add("own")
        if "service" in roles and any(f.stands("cleared", now) for f in self.cache.about("vendor", session.who)):
            flags.add("vendor")
        if action == "export" and self._is_qualified(session, resource, purpose, now):
            flags.add("qualified")
        assurance = 2 if str(fact.get("stepped_up_until", "")) > now else 1
        return AccessRequest(roles, action, type_name, purpose, label, assurance, frozenset(flags))

    def _is_qualified(self, session: Session, resource: str, purpose: str, now: str) -> bool:
        approvals = self.facts.of("qualification", who=session.who, label=resource)
        return any(f.stands("approved", now) and f.purpose == purpose for f in approvals)

    def _relation_flags(self, session: Session, subject: str, purpose: str, label: str, now: str) -> set[str]:
        """Flags for the account's care relation with the patient, and for the patient's consent to the purpose."""
        if not subject.isdecimal():
            return set()
        facts = [f for f in self.cache.relations(session.who, int(subject)) if f.stands("given", now)]
        flags = {"care"} if any(f.kind == "care" for f in facts) else set()
        if any(f.kind == "consent" and f.purpose == purpose and f.label == label for f in facts):
            flags.add("consent")
        return flags

    def decide(self, session: Session, action: str, resource: str, purpose: str) -> AccessDecision:
        """Decision without effect: nothing is opened or recorded."""
        return self._decision(self._request(session, action, resource, purpose))

    def _decision(self, request: AccessRequest | str) -> AccessDecision:
        return AccessDecision(False, request) if isinstance(request, str) else self.policies.active().decide(request)

    def visible_subjects(self, session: Session, dataset: str, purpose: str) -> frozenset[int] | None:
        """Subjects that a search may reveal: None for all, otherwise those with a record that the rules let this session read."""
        if self.decide(session, "search", f"record/{dataset}/everybody", purpose).allowed:
            return None
        stamp = self.cache.stamp()
        key = (session.who, session.subject, dataset, purpose)
        cached = self._visible.get(key)
        if cached is None or cached[0] != stamp:
            subjects = {f.subject for f in self.facts.of("care", who=session.who) if f.subject is not None}
            subjects |= {session.subject} if session.subject is not None else set()
            allowed = (s for s in subjects if self.decide(session, "search", f"record/{dataset}/{s}", purpose).allowed)
            if len(self._visible) > MOST_VISIBLE:
                self._visible.clear()
            cached = self._visible[key] = (stamp, frozenset(allowed))
        return cached[1]

    # grants

    def open(self, session: Session, action: str, resource: str, purpose: str, *, why: str = "") -> Grant:
        """Grant as long as the decision is valid. Use it as a context: with gate.open(...) as grant. Raise AccessDeniedError
        with the rule's id and reason if it is refused.

        why: the reason for emergency access; required if purpose is "emergency", and reviewed afterwards.
        """
        pending = self._open(session, action, resource, purpose, why)
        self.audit.post_all([pending.ticket])
        return pending.wait() if isinstance(pending, _PendingGrant) else self._deny(pending)

    def open_many(self, session: Session, action: str, resources: Sequence[str], purpose: str) -> list[Grant | None]:
        """Grant for each request, all recorded in one commit; None for a refusal, which is recorded as well."""
        pending = [self._open(session, action, r, purpose, "") for r in resources]
        self.audit.post_all([one.ticket for one in pending])
        grants: list[Grant | None] = []
        for one in pending:
            grants.append(one.wait() if isinstance(one, _PendingGrant) else None)
            if isinstance(one, _PendingRefusal):
                one.wait()
        return grants

    def _open(self, session: Session, action: str, resource: str, purpose: str, why: str) -> "_PendingGrant | _PendingRefusal":
        request = self._request(session, action, resource, purpose)
        decision = self._decision(request)
        if decision.allowed and purpose == "emergency":
            decision = self._emergency(session, decision, why)
        detail: dict[str, Any] = {"verb": action, "purpose": purpose, "reason": decision.reason, "session": session.id}
        if not isinstance(request, str):
            detail |= {
                "roles": sorted(request.roles),
                "label": request.label,
                "assurance": request.assurance,
                "flags": sorted(request.flags),
            }
        if not decision.allowed or isinstance(request, str):
            ticket = self.audit.ticket("gate.denied", resource, "denied", actor=session.who, **detail)
            return _PendingRefusal(ticket, self._refusal(session, action, resource, purpose, decision))
        rows = _rows(decision.obligations, request, session, resource)
        grant = Grant(self, GrantScope(session, action, resource, purpose, decision, rows))
        name = "gate.break-glass" if purpose == "emergency" else "gate.opened"
        return _PendingGrant(grant, self.audit.ticket(name, resource, "allowed", actor=session.who, **detail), why.strip())

    def _deny(self, refusal: "_PendingRefusal") -> NoReturn:
        refusal.wait()
        raise AccessDeniedError(refusal.why)

    def _refusal(self, session: Session, action: str, resource: str, purpose: str, decision: AccessDecision) -> str:
        rule = next((r for r in self.policies.active().rules if r.id == decision.reason), None)
        why = rule.reason if rule else REFUSALS.get(decision.reason, "No rule allows it.")
        return f"{session.who} may not {action} {resource} for {purpose or 'no stated purpose'} ({decision.reason}): {why}"

    # emergency access ("break-glass")

    def _emergency(self, session: Session, decision: AccessDecision, why: str) -> AccessDecision:
        if len(why.strip()) < SHORTEST_REASON:
            return AccessDecision(False, "glass-without-reason")
        return AccessDecision(False, "glass-not-reviewed") if self.reviews.overdue(session.who) else decision

    def report_emergency(self, grant: Grant, reason: str) -> None:
        """Raises the alarm of an emergency access and makes its review due."""
        until = self.facts.clock.after(REVIEW_HOURS * 3600)
        kind, name = resource_type(grant.resource)
        subject = kind.subject(name)
        self.reviews.open(grant, until, int(subject) if subject.isdecimal() else None, reason)
        telemetry.BROKEN_GLASS.inc()
        telemetry.log(
            "warning", "emergency access", who=grant.who, resource=grant.resource, decision=grant.decision, review_by=until
        )

    def review(self, session: Session, decision: int, finding: str, *, comment: str = "", to: str = "") -> None:
        """Closes or escalates the review of an emergency access (see `EmergencyReviews.close`)."""
        self.reviews.close(session, decision, ReviewFinding(finding, comment, to))


@dataclass(frozen=True, slots=True)
class _PendingRefusal:
    """Refusal that is being recorded."""

    ticket: Ticket
    why: str

    def wait(self) -> None:
        """Returns when the refusal is durable."""
        self.ticket.wait()
        telemetry.DECISIONS.labels("denied").inc()


@dataclass(frozen=True, slots=True)
class _PendingGrant:
    """Grant that provides nothing before the decision is recorded."""

    grant: Grant
    ticket: Ticket
    reason: str = ""

    def wait(self) -> Grant:
        """Returns the grant when the decision is durable."""
        grant = self.grant
        grant.decision = self.ticket.wait()
        if grant.purpose == "emergency":
            grant.gate.report_emergency(grant, self.reason)
        ALLOWED.inc()
        return grant


def _require_access(facts: FactReader, session: Fact) -> None:
    """Refuses a session of an account that has no role any more, or of a system beyond its approved access."""
    given = [f for f in facts.of("grant", who=session.who) if f.stands("given", facts.now())]
    if not given:
        raise AccessDeniedError(f"{session.who} has no role in this installation. Ask a security officer for one.")
    access = access_of(given, facts.now())
    if access is not None and not access.covers(session):
        raise AccessDeniedError(
            f"system {session.who} is no longer approved for all of this. Request a token with a narrower scope."
        )


def _dataset_flags(known: Fact | None, home: dict[str, str]) -> tuple[str, set[str]]:
    """(label of a data set, flags for the account's tenant and region)."""
    flags = {"same_tenant", "same_region"}
    if known and known.get("tenant") != home.get("tenant"):
        flags.discard("same_tenant")
    if known and home.get("region") and known.get("region") and known.get("region") != home["region"]:
        flags.discard("same_region")
    return known.label if known else "clinical", flags


def _rows(obligations: Obligations, request: AccessRequest, session: Session, resource: str) -> Rows:
    kind, name = resource_type(resource)
    if obligations.rows == "care":
        return Rows(care_of=session.who)
    if obligations.rows == "consent":
        return Rows(consent_to=(request.purpose, request.label))
    return rows_of_subject(kind.subject(name) or name) if obligations.rows == "own" else kind.rows(name)
