"""Access to the record store: initialization, keys and roles, consents, care relations, export approvals."""

from dataclasses import dataclass
from datetime import UTC, datetime

from galenic import store
from galenic.custody.datasets import patient_identifier
from galenic.errors import AccessDeniedError, OptionError, StateError, UnknownNameError
from galenic.installation import Installation
from galenic.security import (
    ADMINISTERS,
    APPROVERS,
    Fact,
    FactReader,
    Key,
    Session,
    are_different_people,
    display_name,
    grant_fact,
    known_purposes,
    require_another_administrator,
    roles_of,
    shipped_policy,
)


@dataclass(frozen=True)
class RoleScope:
    """Tenant and region that limit a role; an empty region means no limit."""

    tenant: str = "home"
    region: str = ""


HOME = RoleScope()


def initialize(installation: Installation) -> dict[str, str]:
    """Initializes the encrypted record store: root key, escrow, the installation's own keys, audit log and witness.

    Repeating it changes nothing. Returns where each part is, by label.
    """
    installation.tree.initialize()
    installation.gate.identity_key()
    installation.audit.append("house.founded", "house", policy=shipped_policy().digest)
    return {
        "home": str(installation.home),
        "private key for the recovery copy of the root key (move it off this machine)": str(installation.escrow.private),
        "first audit key (move it off this machine)": str(installation.audit.first_key),
        "public key of the access check (for auditors)": installation.keys.gate().public,
        "witness": ", ".join(map(str, installation.audit.witness.files)) or "syslog",
    }


def make_key(installation: Installation, name: str, role: str, *, person: str = "") -> Key:
    """Creates a key, records it in the audit log and grants it a role. person: the key's owner (default: this system's user)."""
    if person:
        display_name(person)  # raises OptionError before the key is made
    taken = any(f.get("client") == "yes" for f in installation.facts.of("grant", who=name))
    if taken or installation.facts.one("person", name) is not None:
        raise StateError("a person or a system already has this name. Choose another name for the key.")
    key = installation.keys.create(name, role)
    installation.audit.append("key.made", name, role=role, key=key.fingerprint)
    grant_role(installation, name, role, person=person)
    return key


def grant_role(
    installation: Installation, key: str, role: str, *, person: str = "", scope: RoleScope = HOME, until: str = ""
) -> None:
    """Grants a registered key a role. person: the key's owner (default: this system's user)."""
    fingerprint = installation.keys.get(key).fingerprint
    body = (
        ("fingerprint", fingerprint),
        ("person", person or installation.actor),
        ("region", scope.region),
        ("tenant", scope.tenant),
    )
    installation.facts.put(Fact("grant", f"{key}/{role}", "given", key, label=role, until=until, body=body))
    installation.gate.versions.refresh()


def give_role_to_account(installation: Installation, name: str, role: str) -> None:
    """Gives an active account a role that approves, on behalf of a person with access to the home folder. Raise StateError
    while two such accounts are active: they decide in the console."""
    if role not in APPROVERS:
        raise OptionError(
            f"only the roles {' and '.join(sorted(APPROVERS))} can be given on the command line. Propose other roles "
            "in the console."
        )
    by = f"command line: {installation.actor}"

    def plan(facts: FactReader) -> list[Fact]:
        person = facts.one("person", name)
        if person is None or person.state != "active":
            raise UnknownNameError(
                f"there is no active account named {name!r}. Invite the person in the console, then repeat this command."
            )
        approve = [p for p in facts.of("person") if p.state == "active" and APPROVERS & roles_of(facts, p.key)]
        if len(approve) > 1:
            raise StateError(
                "two active accounts can approve this: propose the role in the console, and let a second person approve it."
            )
        return [grant_fact(name, person.label, role, by=by, approved="person with access to the home folder")]

    installation.facts.change(plan)
    installation.gate.versions.refresh()


def withdraw_role(installation: Installation, key: str, role: str) -> None:
    """Withdraws a role from a key. Streams that were opened with this role end."""

    def plan(facts: FactReader) -> list[Fact]:
        fact = facts.one("grant", f"{key}/{role}")
        if fact is None:
            held = sorted(f.label for f in facts.of("grant", who=key) if f.state == "given")
            raise UnknownNameError(f"key {key!r} does not hold the role {role!r}. It holds: {', '.join(held) or 'none'}.")
        if role == ADMINISTERS and facts.one("person", key) is not None:
            require_another_administrator(facts, key)
        return [Fact("grant", fact.key, "withdrawn", fact.who, label=fact.label, body=fact.body)]

    installation.facts.change(plan)
    installation.gate.versions.refresh()


def record_consent(
    installation: Installation, session: Session, name: str, patients: list[str], purpose: str, *, until: str = ""
) -> int:
    """Records that patients of a data set consented to a purpose; returns the number of consents. until: the last day, or a time."""
    _require_purpose(installation, purpose)
    consent = Fact("consent", "", "given", purpose=purpose, until=_end_of(until))
    return _put_consents(installation, session, name, patients, consent)


def _require_purpose(installation: Installation, purpose: str) -> None:
    known = known_purposes(installation.policies.active())
    if purpose not in known:
        raise OptionError(f"purpose {purpose!r} is not known. Expected one of {', '.join(sorted(known))}.")


def _end_of(until: str) -> str:
    """End of a fact: the end of a last day (YYYY-MM-DD), or a time (ISO 8601); empty for no end."""
    try:
        day = len(until) == len("2026-01-31")
        end = datetime.fromisoformat(f"{until}T23:59:59" if day else until) if until else None
    except ValueError:
        raise OptionError(f"the last day {until!r} is not a valid date. Expected YYYY-MM-DD.") from None
    return (end if end.tzinfo else end.replace(tzinfo=UTC)).astimezone(UTC).isoformat(timespec="seconds") if end else ""


def withdraw_consent(installation: Installation, session: Session, name: str, patients: list[str], purpose: str) -> int:
    """Records that patients withdrew a consent. Open streams leave them out from the next batch."""
    return _put_consents(installation, session, name, patients, Fact("consent", "", "withdrawn", purpose=purpose))


def _put_consents(installation: Installation, session: Session, name: str, patients: list[str], consent: Fact) -> int:
    """Writes one fact per patient; `consent` has its state, purpose and end."""
    dataset = store.dataset(installation.db, name, session.tenant)
    label, purpose = str(dataset["label"]), consent.purpose
    with installation.gate.open(session, "import", store.resource(name), "consent") as grant:
        facts: list[Fact] = []
        for patient in patients:
            subject = store.find_subject(installation.db, grant, patient_identifier(dataset, patient))
            if subject is None:
                raise UnknownNameError(
                    f"one of the {len(patients)} patients (number {len(facts) + 1}) is not in the record store. Import "
                    "the patient's records first."
                )
            key = f"{subject}/{purpose}/{label}"
            fact = Fact("consent", key, consent.state, subject=subject, purpose=purpose, label=label, until=consent.until)
            facts.append(fact)
    installation.facts.put_many(facts, actor=session.who)
    installation.gate.versions.refresh()
    return len(facts)


def record_care_relation(
    installation: Installation, session: Session, name: str, patient: str, who: str, *, days: int = 30
) -> None:
    """Records that a clinician treats a patient, from now for a number of days."""
    _put_care_relation(
        installation, session, name, patient, Fact("care", "", "given", who, until=_days_from_now(installation, days))
    )


def end_care_relation(installation: Installation, session: Session, name: str, patient: str, who: str) -> None:
    """Records that a clinician no longer treats a patient."""
    _put_care_relation(
        installation, session, name, patient, Fact("care", "", "ended", who, until=_days_from_now(installation, 30))
    )


def _days_from_now(installation: Installation, days: int) -> str:
    return installation.facts.clock.after(days * 86_400)


def _put_care_relation(installation: Installation, session: Session, name: str, patient: str, relation: Fact) -> None:
    dataset = store.dataset(installation.db, name, session.tenant)
    with installation.gate.open(session, "import", store.resource(name), "care-relation") as grant:
        subject = store.find_subject(installation.db, grant, patient_identifier(dataset, patient))
    if subject is None:
        raise UnknownNameError(
            "this patient is not in the record store. Check the identifier, or import the patient first: galenic records import"
        )
    who = relation.who
    fact = Fact("care", f"{who}/{subject}", relation.state, who, subject, until=relation.until)
    installation.facts.put(fact, actor=session.who)
    installation.gate.versions.refresh()


def record_approval(
    installation: Installation, session: Session, name: str, who: str, purpose: str, *, until: str = ""
) -> None:
    """Records that the ethics board approves the export of a data set by a person. Nobody can approve their own export. until:
    the last day, or a time."""
    _require_purpose(installation, purpose)
    until = _end_of(until)
    _put_approval(installation, session, name, Fact("qualification", "", "approved", who, purpose=purpose, until=until))


def withdraw_approval(installation: Installation, session: Session, name: str, who: str, purpose: str) -> None:
    """Withdraws an approval of an export."""
    _put_approval(installation, session, name, Fact("qualification", "", "withdrawn", who, purpose=purpose))


def _put_approval(installation: Installation, session: Session, name: str, approval: Fact) -> None:
    store.dataset(installation.db, name, session.tenant)  # raises UnknownNameError if there is none
    who, purpose = approval.who, approval.purpose
    key = f"{who}/{name}/{purpose}"
    fact = Fact("qualification", key, approval.state, who, purpose=purpose, label=store.resource(name), until=approval.until)

    def plan(facts: FactReader) -> list[Fact]:
        if not are_different_people(facts, session.who, who):
            raise AccessDeniedError(
                f"{who} is not registered here, or is the person who approves. Name another member of the ethics board."
            )
        if not roles_of(facts, session.who):
            raise AccessDeniedError(f"{session.who} no longer has any role. Ask a security officer for one.")
        return [fact]

    with installation.gate.open(session, "approve", store.resource(name), purpose):
        installation.facts.change(plan, actor=session.who)
    installation.gate.versions.refresh()
