"""Care relations in bulk: recorded and ended in one step, by two people where a person widens their own access or many at once."""

import secrets
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta

from galenic import store
from galenic.errors import AccessDeniedError, OptionError, StateError
from galenic.installation import Installation
from galenic.security import APPROVERS, Fact, FactReader, Session, are_different_people, has_stepped_up, is_active, roles_of

CARE_ROLES = frozenset({"clinician", "nurse", "pharmacist"})  # roles that a care relation opens a record to
RECORDS = "integration-engineer"  # the role that records care relations
MOST_ALONE = 100  # relations that one person may record within a day, by all accounts
MOST_CARE_ROWS = 2_000  # relations of one step
LONGEST_DAYS = 3_650
PURPOSE = "care-relation"


@dataclass(frozen=True)
class CareChange:
    """One relation to record or to end. account: of the clinician; subject: of the patient; until: ISO 8601."""

    account: str
    subject: int
    until: str = ""
    ended: bool = False


@dataclass(frozen=True)
class CareResult:
    """Result of a step. recorded: relations that were written; proposal: its key where a second person has to approve, empty otherwise."""

    recorded: int
    proposal: str = ""


def end_of_relation(installation: Installation, text: str) -> str:
    """The end of a relation: the end of a day (YYYY-MM-DD), within ten years from now."""
    now = datetime.fromisoformat(installation.facts.now())
    try:
        end = datetime.fromisoformat(f"{text.strip()}T23:59:59").replace(tzinfo=UTC)
    except ValueError:
        raise OptionError("the last day of the care relation is not a date. Write it as YYYY-MM-DD.") from None
    if not now < end <= now + timedelta(days=LONGEST_DAYS):
        raise OptionError("the last day of the care relation is in the past, or more than 10 years away. Choose another day.")
    return end.isoformat(timespec="seconds")


def require_care_account(installation: Installation, name: str) -> None:
    """OptionError unless an account in use holds a role that a care relation opens a record to."""
    if not is_active(installation.facts, name) or not CARE_ROLES & roles_of(installation.facts, name):
        raise OptionError(
            "no active account with this name is a clinician, nurse or pharmacist. Check the name, or add the role under People."
        )


def require_no_accounts(installation: Installation) -> None:
    """StateError while people have active accounts: then two of them erase a patient, in the console."""
    if _has_accounts(installation):
        raise StateError(
            "people have accounts here, so an erasure takes two of them. Request and approve it in the console: Consent, Erasure requests."
        )


def require_other_person(installation: Installation, session: Session, who: str) -> None:
    """StateError for a care relation of one's own, or of an unknown person, while people have active accounts."""
    if _has_accounts(installation) and not are_different_people(installation.facts, session.who, who):
        raise StateError(
            "a care relation of your own takes a second person. Propose it in the console under Care relations, or let a key of another "
            "person record it."
        )


def _has_accounts(installation: Installation) -> bool:
    return any(p.state == "active" for p in installation.people.all())


def change_care_relations(
    installation: Installation, session: Session, dataset: str, changes: Sequence[CareChange], source: str
) -> CareResult:
    """Records all relations in one step, or none. Where a person would widen their own access, or records more than 100
    relations within 24 hours, they are proposed and a second person approves. source: how they were entered (form, CSV)."""
    if not 0 < len(changes) <= MOST_CARE_ROWS:
        raise OptionError(f"enter 1 to {MOST_CARE_ROWS:,} care relations at once.")
    with installation.gate.open(session, "import", store.resource(dataset), PURPOSE):
        for account in {c.account for c in changes if not c.ended}:
            require_care_account(installation, account)
        if _takes_two(installation.facts, session.who, changes):
            return CareResult(0, _propose(installation, session, dataset, changes, source))

        def plan(facts: FactReader) -> list[Fact]:
            if _takes_two(facts, session.who, changes):
                raise StateError("roles changed meanwhile, and these care relations now take a second person. Send them again.")
            _require_present(facts, changes)
            written = _facts_of(facts, changes, (("by", session.who), ("source", source)))
            return [*written, *_tally(facts, session.who, sum(not c.ended for c in changes))]

        written = installation.facts.change(plan, actor=session.who)
    return CareResult(sum(f.kind == "care" for f in written))


def _takes_two(facts: FactReader, who: str, changes: Sequence[CareChange]) -> bool:
    given = [c for c in changes if not c.ended]
    if given and len(given) + _given_lately(facts, who) > MOST_ALONE:
        return True
    return any(not are_different_people(facts, who, a) for a in {c.account for c in given})


def _require_present(facts: FactReader, changes: Sequence[CareChange]) -> None:
    for change in changes:
        pair = facts.of("care", who=change.account, subject=change.subject) if change.ended else []
        if change.ended and not any(f.stands("given", facts.now()) for f in pair):
            raise StateError("no care relation of this account with this patient is in force. Load the list again.")


def _given_lately(facts: FactReader, who: str) -> int:
    """Number of relations that the person behind an account recorded alone within the last 24 hours."""
    own = [f for f in facts.of("care-change", state="counted") if not are_different_people(facts, who, f.who)]
    return sum(count for f in own for _, count in _entries(f, facts.now()))


def _entries(fact: Fact, now: str) -> list[tuple[str, int]]:
    since = datetime.fromisoformat(now) - timedelta(days=1)
    return [(str(at), int(n)) for at, n in fact.get("entries", ()) if datetime.fromisoformat(at) > since]


def _tally(facts: FactReader, who: str, count: int) -> list[Fact]:
    """The number of relations that an account recorded, with the time."""
    key, now = f"counted/{who}", facts.now()
    before = facts.one("care-change", key)
    entries = [list(e) for e in (_entries(before, now) if before else [])] + [[now, count]]
    return [Fact("care-change", key, "counted", who, body=(("entries", entries),))] if count else []


def _facts_of(facts: FactReader, changes: Sequence[CareChange], body: tuple[tuple[str, str], ...]) -> list[Fact]:
    """The facts of changes: a new relation, or every relation of the pair as ended."""
    written: dict[str, Fact] = {}
    for change in changes:
        key = f"{change.account}/{change.subject}"
        if not change.ended:
            written[key] = Fact("care", key, "given", change.account, change.subject, until=change.until, body=body)
            continue
        for fact in facts.of("care", who=change.account, subject=change.subject):
            if fact.state != "given":
                continue
            written[fact.key] = replace(fact, state="ended", body=tuple(sorted({**dict(fact.body), **dict(body)}.items())))
    return list(written.values())


# two people


def _propose(installation: Installation, session: Session, dataset: str, changes: Sequence[CareChange], source: str) -> str:
    key = secrets.token_hex(8)
    rows = [[c.account, c.subject, c.until, c.ended] for c in changes]
    body = (("at", installation.facts.now()), ("rows", rows), ("source", source))
    installation.facts.put(Fact("care-change", key, "proposed", session.who, label=dataset, body=body), actor=session.who)
    return key


def proposed_care(installation: Installation) -> list[tuple[Fact, list[CareChange]]]:
    """Proposed care relations that wait for a second person."""
    return [(f, _changes_in(f)) for f in installation.facts.of("care-change") if f.state == "proposed"]


def _changes_in(fact: Fact) -> list[CareChange]:
    return [CareChange(str(a), int(s), str(u), bool(e)) for a, s, u, e in fact.get("rows", ())]


def approve_care(installation: Installation, session: Session, key: str) -> int:
    """Records proposed relations as the second person, who is neither the proposer nor a clinician among them; returns how many."""

    def plan(facts: FactReader) -> list[Fact]:
        fact = _proposed(facts, session, key)
        changes = _changes_in(fact)
        if RECORDS not in roles_of(facts, fact.who) or not is_active(facts, fact.who):
            raise StateError("the person who proposed this no longer records care relations. Reject it.")
        for change in changes:
            _require_still_valid(facts, change)
        concerned = [fact.who, *{c.account for c in changes if not c.ended}]
        if not all(are_different_people(facts, session.who, name) for name in concerned):
            raise AccessDeniedError(
                "these care relations take two people: neither their proposer nor a clinician among them may approve them."
            )
        body = (("approved_by", session.who), ("by", fact.who), ("source", str(fact.get("source"))))
        return [replace(fact, state="approved", body=_decided(fact, session)), *_facts_of(facts, changes, body)]

    return len(installation.facts.change(plan, actor=session.who)) - 1


def _require_still_valid(facts: FactReader, change: CareChange) -> None:
    """StateError if a relation that was proposed could no longer be recorded."""
    is_valid = is_active(facts, change.account) and CARE_ROLES & roles_of(facts, change.account) and change.until > facts.now()
    if not change.ended and not is_valid:
        raise StateError(
            "an account is no longer an active clinician, nurse or pharmacist, or a last day is over. Reject this."
        )


def reject_care(installation: Installation, session: Session, key: str) -> None:
    """Rejects proposed relations."""

    def plan(facts: FactReader) -> list[Fact]:
        fact = _proposed(facts, session, key)
        return [replace(fact, state="rejected", body=_decided(fact, session))]

    installation.facts.change(plan, actor=session.who)


def _decided(fact: Fact, session: Session) -> tuple[tuple[str, object], ...]:
    kept = {k: v for k, v in fact.body if k != "rows"}  # the relations are facts of their own from now on
    return tuple(sorted({**kept, "count": len(fact.get("rows", ())), "decided_by": session.who}.items()))


def _proposed(facts: FactReader, session: Session, key: str) -> Fact:
    fact = facts.one("care-change", key)
    if fact is None or fact.state != "proposed":
        raise StateError("these care relations are not proposed, or were decided already.")
    may = (APPROVERS | {RECORDS}) & roles_of(facts, session.who)
    if not may or not is_active(facts, session.who) or not has_stepped_up(facts, session.id, session.who):
        raise AccessDeniedError(
            "proposed care relations are decided by a privacy officer, security officer or integration engineer who has just "
            "confirmed their identity."
        )
    return fact


def current_care(installation: Installation, *, account: str = "", subject: int | None = None) -> list[Fact]:
    """Care relations in force, of one account or one patient."""
    equal: dict[str, object] = {"who": account} if account else {}
    equal |= {"subject": subject} if subject is not None else {}
    now = installation.facts.now()
    return [f for f in installation.facts.of("care", **equal) if f.stands("given", now)]
