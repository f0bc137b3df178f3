"""Erasure of a patient on a request that a second person approved."""

from galenic.errors import StateError
from galenic.flows.erasure import erase
from galenic.flows.erasure_result import ErasureResult
from galenic.installation import Installation
from galenic.schema import Progress, no_progress
from galenic.security import Session


def erase_requested(installation: Installation, session: Session, name: str, progress: Progress = no_progress) -> ErasureResult:
    """Erases the patient of an approved request, once, and records the receipt with it."""
    requests = installation.erasure_requests
    request = requests.get(name).request
    subject = request.subject
    if subject is None:
        raise StateError("this erasure request names no patient. Make a new one.")
    requests.begin(session, name)
    with installation.gate.open(session, "access", f"subject/{subject}", "subject-access") as grant:
        patient = grant.unseal(subject, f"{request.key}/patient", str(request.get("patient", "")))
    result = erase(installation, session, patient, progress, known=subject)
    requests.finish(session, name, result.name)
    return result
