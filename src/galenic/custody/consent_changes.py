"""Changes of consents: given or withdrawn, with a last day and evidence; all of a step are recorded, or none."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from galenic import store
from galenic.errors import OptionError
from galenic.installation import Installation
from galenic.security import Fact, FactReader, Session, known_purposes

LONGEST_EVIDENCE = 400  # characters
NOT_CONSENTED = frozenset(
    {
        "consent",
        "care-relation",
        "emergency-review",
        "erasure-request",
        "subject-access",
        "sign-in",
        "administration",
        "audit",
        "",
    }
)


@dataclass(frozen=True)
class ConsentChange:
    """A consent that a patient gave or withdrew. subject: of the patient; until: ISO 8601, empty for no end; evidence: where the
    patient's decision is documented, kept under the patient's key."""

    subject: int
    purpose: str
    given: bool
    until: str = ""
    evidence: str = ""


def consent_purposes(installation: Installation) -> list[str]:
    """The purposes that a patient can consent to."""
    return sorted(known_purposes(installation.policies.active()) - NOT_CONSENTED)


def end_of_consent(installation: Installation, text: str) -> str:
    """The end of a consent: the end of a day (YYYY-MM-DD) in the future, or empty for no end."""
    if not text.strip():
        return ""
    try:
        end = datetime.fromisoformat(f"{text.strip()}T23:59:59").replace(tzinfo=UTC).isoformat(timespec="seconds")
    except ValueError:
        raise OptionError("the last day of the consent is not a date. Write it as YYYY-MM-DD.") from None
    if end <= installation.facts.now():
        raise OptionError("the last day of the consent is in the past. Choose a later day, or record a withdrawal.")
    return end


def require_consent_purpose(installation: Installation, purpose: str) -> None:
    """OptionError unless a patient can consent to the purpose."""
    known = consent_purposes(installation)
    if purpose not in known:
        raise OptionError(f"this is not a purpose that a patient can consent to. Expected one of {', '.join(known)}.")


def change_consents(installation: Installation, session: Session, dataset: str, changes: Sequence[ConsentChange]) -> int:
    """Records all changes for one data set's class of data, or none; open exports and training follow within a second."""
    label = str(store.dataset(installation.db, dataset, session.tenant)["label"])
    for change in changes:
        require_consent_purpose(installation, change.purpose)
        if len(change.evidence) > LONGEST_EVIDENCE:
            raise OptionError(f"the evidence has more than {LONGEST_EVIDENCE} characters. Shorten it.")
    at, written = installation.facts.now(), {}
    with installation.gate.open(session, "import", store.resource(dataset), "consent") as grant:
        for change in changes:
            key = f"{change.subject}/{change.purpose}/{label}"
            evidence = grant.seal(change.subject, key, change.evidence.strip())
            body = tuple(sorted({"at": at, "by": session.who, "evidence": evidence}.items()))
            written[key] = Fact(
                "consent", key, "given" if change.given else "withdrawn", subject=change.subject, purpose=change.purpose,
                label=label, until=change.until if change.given else "", body=body,
            )  # fmt: skip

        def plan(_facts: FactReader) -> list[Fact]:
            return list(written.values())

        installation.facts.change(plan, actor=session.who)
    return len(written)
