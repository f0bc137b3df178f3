"""Emergency accesses as their reviewer sees them: reason, patient, records read, and earlier ones of the same person."""

import contextlib
import json
from dataclasses import dataclass
from typing import Any

from galenic import store
from galenic.errors import NotFoundError
from galenic.installation import Installation
from galenic.security import Fact, Session


@dataclass(frozen=True)
class EmergencyAccess:
    """One emergency access with its review. who: the account; patient: name and birth date; opened: versions of documents that were
    read; time: ISO 8601. reason and patient are empty where the patient was erased."""

    decision: int
    who: str
    time: str
    review: Fact
    reason: str = ""
    patient: str = ""
    opened: int = 0


def emergency_accesses(installation: Installation) -> list[EmergencyAccess]:
    """Every emergency access, newest first; without reason and patient, which take a decision each."""
    times = {e.seq: e.time for e in installation.audit.entries_of(("gate.break-glass",), 0, installation.audit.head()[0])}
    reviews = installation.gate.reviews.restore()
    found = [(int(f.key.removeprefix("glass-")), f) for f in reviews if f.key.startswith("glass-")]
    return [EmergencyAccess(n, f.who, times.get(n, ""), f) for n, f in sorted(found, key=lambda p: -p[0])]


def read_emergency(installation: Installation, session: Session, decision: int) -> EmergencyAccess:
    """One emergency access for its reviewer, under a decision about the patient. NotFoundError if there is none. Reviewers are privacy
    officers, and the security officer to whom the access is escalated."""
    access = next((a for a in emergency_accesses(installation) if a.decision == decision), None)
    if access is None:
        raise NotFoundError("there is no emergency access with this number.")
    opened = _rows_read(installation, decision)
    review, reviews = access.review, installation.gate.reviews
    entry = next(iter(installation.audit.entries_of(("gate.break-glass",), decision - 1, decision)), None)
    number = entry.resource.rpartition("/")[2] if entry is not None and entry.resource.startswith("record/") else ""
    if not number.isdecimal():
        return EmergencyAccess(decision, access.who, access.time, review, reviews.reason(review, None), "", opened)
    subject = int(number)
    purpose = "emergency-review" if reviews.is_asked(session, review) else "subject-access"
    with installation.gate.open(session, "access", f"subject/{subject}", purpose) as grant:
        patient = _patient_label(installation, grant, subject)
        reason = reviews.reason(review, grant)
    return EmergencyAccess(decision, access.who, access.time, review, reason, patient, opened)


def _rows_read(installation: Installation, decision: int) -> int:
    """Rows that were read under a decision: the number in the row that closed it."""
    size = installation.audit.head()[0]
    closed = installation.audit.entries_of(("gate.closed",), decision, size)
    return next((int(e.detail.get("rows", 0)) for e in closed if e.detail.get("decision") == decision), 0)


def _patient_label(installation: Installation, grant: Any, subject: int) -> str:
    """Name, birth date and id of the patient in the first data set that has them; empty for an erased patient."""
    for dataset in store.list_datasets(installation.db, grant.tenant):
        if dataset["kind"] != "fhir":
            continue
        for row in reversed(store.rows_of(installation.db, grant, dataset, subject)):
            with contextlib.suppress(ValueError, KeyError):
                if json.loads(str(row["about"]))[0] == "Patient":
                    return _label(json.loads(str(row["document"])))
    return ""


def _label(patient: dict[str, Any]) -> str:
    name: dict[str, Any] = next(iter(patient.get("name", ())), {})
    text = name.get("text") or " ".join([*name.get("given", ()), name.get("family", "")]).strip()
    parts = (text, f"born {patient['birthDate']}" if "birthDate" in patient else "", f"record {patient.get('id', '')}")
    return ", ".join(str(p) for p in parts if p)
