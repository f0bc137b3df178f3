"""Erasure of a patient everywhere (GDPR article 17): rows, derived copies, models, keys and backups, with a signed receipt."""

import time
from dataclasses import asdict
from datetime import UTC, datetime
from typing import Any

from galenic import custody, release, store
from galenic.custody import fhir
from galenic.installation import Installation
from galenic.schema import ErasureResult, Progress, no_progress
from galenic.security import ReceiptSubject, Session, receipt_subject, sign_receipt

FORGET = (custody.forget, release.forget, fhir.forget)  # one function of each package with state about patients


def erase(
    installation: Installation, session: Session, patient: str | ReceiptSubject, progress: Progress = no_progress
) -> ErasureResult:
    """Erases a patient and signs the receipt; interrupted, it is repeated. Copies outside are listed, not reached.

    patient: the identifier, or the patient as looked up before anything was erased."""
    started = time.perf_counter()
    if isinstance(patient, str):
        patient = receipt_subject(custody.find_patient(installation, session, patient), patient)
    subject = patient.number
    with installation.gate.open(session, "erase", f"subject/{subject}", "erasure-request") as grant:
        erased_at = datetime.now(UTC).isoformat(timespec="seconds")
        store.move_on(installation.db, "erasures")  # ends running training and exports
        installation.gate.versions.refresh()
        order = {str(a["id"]): i for i, a in enumerate(store.artefacts_of(installation.db, subject))}
        references = fhir.count_references(installation, grant, subject)
        progress("rows", 0.1)
        rows = store.forget(installation.db, grant, subject, erased_at)
        progress("derived copies", 0.3)
        found = [outcome for forget in FORGET for outcome in forget(installation, grant, subject)]
        outcomes = sorted(found, key=lambda o: order.get(o.id, len(order)))
        store.forget_subject(installation.db, subject)
        progress("key", 0.6)
        key = custody.destroy_key(installation, subject)
        progress("backups", 0.7)
        backups = custody.forget_in_backups(installation, subject, session.tenant)
        emptied = installation.db.shrink()
        name = f"erasure-{grant.decision}"
        facts: dict[str, Any] = {"receipt": name, "subject": patient.digest, "erased_at": erased_at}
        left = store.rows_left(installation.db, subject, session.tenant)
        facts |= {"decision": grant.decision, "rows": rows, "rows_left": left}
        facts |= {"artefacts": [asdict(o) for o in outcomes], "outside": [o.id for o in outcomes if o.place == "outside"]}
        facts |= {"references_in_others_documents": references, "key": key, "backups": backups, "log_emptied": emptied}
        facts |= {"last_escrowed_older_root_dies": installation.escrow.last_older_root_dies()}
        facts |= {"audit_head": list(installation.audit.head()), "seconds": round(time.perf_counter() - started, 3)}
        store.add_receipt(installation.db, name, envelope := sign_receipt(facts, installation.keys.gate()))
    installation.audit.append("erased", name, actor=session.who, rows=rows, backups=len(backups), dead=key["destroyed"])
    store.telemetry.ERASURES.inc()
    return ErasureResult(name, facts, envelope, patient.salt)
