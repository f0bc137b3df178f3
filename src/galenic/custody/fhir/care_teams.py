"""Care relations from FHIR: participants of CareTeam, Encounter and EpisodeOfCare, whose staff identifiers name one account.

The rule is documented in docs/how-to/care-relations.md. Nothing is granted by an identifier of a system that two people did not approve,
by an identifier that several Practitioners or accounts have, or by a version that a person wrote or imported from a file: it can only end
relations, and the others stay as the last version of a system gave them.
"""

from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Any

from galenic import store
from galenic.errors import GalenicError
from galenic.installation import Installation
from galenic.security import Fact, FactReader, User, comparable_id, is_active, roles_of

CARE_TYPES = frozenset({"CareTeam", "Encounter", "EpisodeOfCare"})
ACTIVE = {
    "CareTeam": frozenset({"active"}),
    "Encounter": frozenset({"arrived", "triaged", "in-progress", "onleave"}),
    "EpisodeOfCare": frozenset({"active", "onhold"}),
}  # states in which participants treat the patient
CARE_ROLES = frozenset({"clinician", "nurse", "pharmacist"})
IMPORTS = "integration-engineer"
OPEN_DAYS = 365  # of a participation without an end, from the writing of the resource
SOURCE = "FHIR"
FAR = "9999"  # year that systems write for an open end
NEVER, OVER = "9999-12-31T00:00:00+00:00", "1970-01-01T00:00:00+00:00"
FAILURES = (
    GalenicError,
    ValueError,
    OverflowError,
    KeyError,
    TypeError,
    AttributeError,
)  # of one resource, which may be malformed
RESERVED = frozenset("|,\\$")  # characters with a meaning in a search


@dataclass(frozen=True)
class Participation:
    """A participant of a resource. reference: to the Practitioner or PractitionerRole; start, end: ISO 8601, empty for open."""

    reference: dict[str, Any]
    start: str
    end: str


def participations(resource: dict[str, Any]) -> list[Participation]:
    """The participants of a resource who treat its patient; none unless its status is an active one."""
    kind = str(resource.get("resourceType"))
    if resource.get("status") not in ACTIVE.get(kind, ()):
        return []
    whole = resource.get("period", {})
    if kind == "EpisodeOfCare":
        parts: list[tuple[Any, dict[str, Any]]] = [(resource.get("careManager"), {})]
    else:
        name = "member" if kind == "CareTeam" else "individual"
        parts = [(p.get(name), p.get("period", {})) for p in resource.get("participant", ())]
    found = []
    for reference, own in parts:
        if isinstance(reference, dict):
            start = max(_instant(whole.get("start"), first=True), _instant(own.get("start"), first=True))
            ends = [e for e in (_instant(whole.get("end")), _instant(own.get("end"))) if e]
            found.append(Participation(reference, start, min(ends, default="")))
    return found


def _instant(text: object, *, first: bool = False) -> str:
    """A FHIR date or dateTime as ISO 8601 in UTC: the end of a partial date (first: its beginning); empty for none."""
    if not isinstance(text, str) or not text:
        return ""
    if not first and text.startswith(FAR):
        return ""
    try:
        if len(text) > len("2026-01-31"):
            moment = datetime.fromisoformat(text)
            moment = moment if moment.tzinfo else moment.replace(tzinfo=UTC)
        else:
            year, month, day = (*map(int, text.split("-")), 0, 0)[:3]
            begin = datetime(year, month or 1, day or 1, tzinfo=UTC)
            after = begin + timedelta(days=1 if day else 32 if month else 366)
            end = after if day else after.replace(day=1) if month else datetime(year + 1, 1, 1, tzinfo=UTC)
            moment = begin if first else end - timedelta(seconds=1)
        return moment.astimezone(UTC).isoformat(timespec="seconds")
    except (ValueError, OverflowError):  # the second: outside the years 1 to 9999 in UTC
        return NEVER if first else OVER  # a period that cannot be read grants nothing


class StaffDirectory:
    """Accounts by the staff identifiers of Practitioners. lookup: the Practitioner of a reference (its resource, or None); count: the
    number of Practitioners with an identifier (system, value), 2 for more."""

    def __init__(self, installation: Installation, lookup: Any, count: Any) -> None:
        self.installation, self._lookup, self._count = installation, lookup, count
        facts = installation.facts
        self.systems = {f.key for f in facts.of("staff-system") if f.state == "active"}
        importers = {f.who for f in facts.of("grant", label=IMPORTS) if f.state == "given"}
        people: list[User] = installation.people.all() if self.systems else []
        barred = {comparable_id(p.human) for p in people if p.name in importers}
        barred |= {comparable_id(str(f.get("person", ""))) for f in facts.of("grant", label=IMPORTS) if f.state == "given"}
        self._accounts: dict[str, list[str]] = {}
        for person in people:
            if is_active(facts, person.name) and CARE_ROLES & roles_of(facts, person.name):
                identity = comparable_id(person.human)
                if identity not in barred:
                    self._accounts.setdefault(identity, []).append(person.name)

    def account_of(self, resource: dict[str, Any], reference: dict[str, Any]) -> str:
        """The one account of a participant; empty for none, and for an ambiguous one."""
        found = set()
        for system, value in self._identifiers(resource, reference):
            if system not in self.systems or RESERVED & set(system + value):
                continue
            if self._count(system, value) > 1:
                return ""
            accounts = self._accounts.get(comparable_id(value), [])
            if len(accounts) > 1:
                return ""
            found |= set(accounts)
        return found.pop() if len(found) == 1 else ""

    def accounts_named_by(self, practitioner: dict[str, Any]) -> set[str]:
        """Every account that an identifier of a Practitioner names, also ambiguously."""
        pairs = [(str(i.get("system", "")), str(i.get("value", ""))) for i in practitioner.get("identifier", ())]
        return {a for system, value in pairs if system in self.systems for a in self._accounts.get(comparable_id(value), ())}

    def _identifiers(self, resource: dict[str, Any], reference: dict[str, Any]) -> list[tuple[str, str]]:
        listed = [reference["identifier"]] if isinstance(reference.get("identifier"), dict) else []
        name = str(reference.get("reference", ""))
        if name.startswith("#"):
            inside: dict[str, Any] = next((c for c in resource.get("contained", ()) if c.get("id") == name[1:]), {})
            target = inside if inside.get("resourceType") == "Practitioner" else None
        else:
            target = self._lookup(name)
        listed += list((target or {}).get("identifier", ()))
        return [(str(i.get("system", "")), str(i.get("value", ""))) for i in listed if i.get("value")]


def relations_of(
    installation: Installation,
    staff: StaffDirectory,
    stored: store.StoredDocument,
    resource: dict[str, Any] | None,
    updated: int,
) -> list[Fact]:
    """The facts that one version of a resource calls for: care relations given, and earlier ones of it ended. updated: when the
    version was written, µs since 1970."""
    facts, name, now = installation.facts, f"{stored.type}/{stored.id}", installation.facts.now()
    wanted: dict[str, Fact] = {}
    if resource is not None and stored.subject != store.NO_SUBJECT:
        written = datetime.fromtimestamp(updated / 1_000_000, UTC)
        latest = (written + timedelta(days=OPEN_DAYS)).isoformat(timespec="seconds")
        for part in participations(resource):
            account, until = staff.account_of(resource, part.reference), part.end or latest
            if account and part.start <= now < until:
                key = f"{account}/{stored.subject}/{name}"
                body = (("by", "galenic-server"), ("source", f"{SOURCE} {name}"))
                wanted[key] = Fact("care", key, "given", account, stored.subject, label=name, until=until, body=body)
    before = {f.key: f for f in facts.of("care", label=name)}
    if not is_system(
        facts, str(stored.about.get("writer", ""))
    ):  # adds and extends nothing; keeps what a system's version gave
        given = {k: f for k, f in before.items() if f.state == "given"}
        wanted = {k: replace(given[k], until=min(given[k].until, f.until)) for k, f in wanted.items() if k in given}
    changed = [f for k, f in wanted.items() if before.get(k) != f and not _ended_by_hand(before.get(k), f)]
    over = [Fact("care", f.key, "ended", f.who, f.subject, label=name, until=f.until, body=f.body)
            for k, f in before.items() if k not in wanted and f.state == "given"]  # fmt: skip
    return [*changed, *over]


def _ended_by_hand(before: Fact | None, wanted: Fact) -> bool:
    """Whether a person ended this relation, and the resource still says the same."""
    return (
        before is not None and before.state == "ended" and before.until == wanted.until and before.get("by") != "galenic-server"
    )


def write_relations(installation: Installation, facts: Iterable[Fact]) -> int:
    """Writes the facts of care relations; returns how many."""
    written = list(facts)
    if written:
        installation.facts.put_many(written, actor="galenic-server")
    return len(written)


def is_system(facts: FactReader, writer: str) -> bool:
    """Whether a version was written by a registered system, and not by a person, a key of the command line or a file import."""
    own = facts.of("grant", who=writer) if writer else []
    return bool(own) and all(f.get("client") == "yes" for f in own) and facts.one("person", writer) is None


def report_failure(error: Exception) -> None:
    """Logs that care relations could not be brought up to date: the write itself stands."""
    store.telemetry.log("error", "care relations were not updated", error=type(error).__name__)
