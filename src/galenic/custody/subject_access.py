"""Subject access request: all data about one patient, and all accesses to it (GDPR articles 15 and 20; EHDS article 9)."""

import json
from pathlib import Path
from typing import Any

from galenic import store
from galenic.custody.datasets import find_patient
from galenic.errors import StoreError
from galenic.installation import Installation
from galenic.security import AuditEntry, Grant, Session

ACCESS_ACTIONS = ("gate.opened", "gate.break-glass", "gate.settled")  # of the audit log
ABOUT_ONE = (
    "consent",
    "care-relation",
)  # purposes of decisions that record facts of single patients; the facts have rows of their own
RECORDED = {"fact.care": "care relation", "fact.consent": "consent"}


def own_record(installation: Installation, session: Session, patient: str) -> dict[str, Any]:
    """All data about one patient: rows of every data set, artifacts that contain the patient, consents and accesses.

    The result is recorded as a copy outside the installation.
    """
    return own_record_of(installation, session, find_patient(installation, session, patient))


def own_record_of(installation: Installation, session: Session, subject: int) -> dict[str, Any]:
    """As `own_record`, of the patient with a subject id."""
    with installation.gate.open(session, "access", f"subject/{subject}", "subject-access") as grant:
        return _recorded(installation, grant, subject)


def subject_overview(installation: Installation, session: Session, subject: int) -> dict[str, Any]:
    """As `own_record`, with numbers of rows in place of the rows: nothing is copied outside."""
    with installation.gate.open(session, "access", f"subject/{subject}", "subject-access") as grant:
        overview = _record(installation, grant, subject)
        consents = [{**c, "evidence": grant.unseal(subject, c["key"], c["evidence"])} for c in _consents(installation, subject)]
    return {**overview, "consents": consents, "rows": {name: len(rows) for name, rows in overview["rows"].items() if rows}}


def write_own_record(installation: Installation, session: Session, patient: str, place: Path) -> None:
    """Writes the result of `own_record` to a file. If it cannot be written, no copy is recorded."""
    subject = find_patient(installation, session, patient)
    with installation.gate.open(session, "access", f"subject/{subject}", "subject-access") as grant:
        try:
            with store.file_aside(place) as temporary:
                temporary.write_text(record_text(_recorded(installation, grant, subject)) + "\n", encoding="utf-8")
        except StoreError:
            store.drop_artefact(installation.db, _copy_name(grant))
            raise


def record_text(record: dict[str, Any]) -> str:
    """The record of one patient as JSON."""
    return json.dumps(record, indent=1, default=str)


def _copy_name(grant: Grant) -> str:
    return f"access/{grant.decision}"


def _recorded(installation: Installation, grant: Grant, subject: int) -> dict[str, Any]:
    """The record of a patient, which is recorded as a copy outside."""
    record = _record(installation, grant, subject)
    copy: store.Row = {"id": _copy_name(grant), "kind": "access", "made_from": "", "place": "outside"}
    store.add_artefact(installation.db, copy, [subject])
    return record


def _record(installation: Installation, grant: Grant, subject: int) -> dict[str, Any]:
    rows: dict[str, Any] = {}
    for dataset in store.list_datasets(installation.db, grant.tenant):
        stored = store.rows_of(installation.db, grant, dataset, subject)
        rows[str(dataset["name"])] = stored if dataset["kind"] == "table" else [_document(row) for row in stored]
    consents = [{k: c[k] for k in ("purpose", "class", "state", "until")} for c in _consents(installation, subject)]
    return {
        "rows": rows,
        "went into": [
            {k: a[k] for k in ("id", "kind", "place", "state", "made_at")} for a in store.artefacts_of(installation.db, subject)
        ],
        "consents": consents,
        "looked at by": _accesses(installation, subject, {f"dataset/{name}" for name in rows if rows[name]}),
        "watermark": grant.watermark,
    }


def _consents(installation: Installation, subject: int) -> list[dict[str, Any]]:
    """Consents of a patient. by, at, evidence: of those recorded in the console; evidence is sealed."""
    return [
        {
            "key": f.key, "purpose": f.purpose, "class": f.label, "state": f.state, "until": f.until,
            "by": str(f.get("by", "")), "at": str(f.get("at", "")), "evidence": str(f.get("evidence", "")),
        }
        for f in installation.facts.of("consent", subject=subject)
    ]  # fmt: skip


def _document(row: dict[str, object]) -> dict[str, Any]:
    """A stored document with its type, id and digest."""
    kind, resource_id, digest, beside = json.loads(str(row["about"]))
    about = {"beside": beside} if beside else {}
    return {"type": kind, "id": resource_id, "sha256": digest, **about, "document": json.loads(str(row["document"]))}


def _accesses(installation: Installation, subject: int, datasets: set[str]) -> list[dict[str, Any]]:
    """Access decisions that covered the patient (on the subject, on the subject's records, or on a data set with the patient), and
    recorded care relations and consents of the patient. Those of other patients are left out."""
    records = {d.replace("dataset/", "record/", 1) + f"/{subject}" for d in datasets}
    resources = {*datasets, f"subject/{subject}", *records}
    found = []
    for entry in installation.audit.entries():
        purpose = entry.detail.get("purpose")
        opened = entry.action in ACCESS_ACTIONS and entry.resource in resources and purpose not in ABOUT_ONE
        if not opened and not _is_fact_about(entry, subject):
            continue
        fact = RECORDED.get(entry.action)
        verb = f"{fact}: {entry.outcome}" if fact else entry.detail.get("verb") or "write"  # gate.settled: a new patient
        found.append({"decision": entry.seq, "time": entry.time, "who": entry.actor, "action": verb, "purpose": purpose or ""})
    return found


def _is_fact_about(entry: AuditEntry, subject: int) -> bool:
    """Whether a row of the audit log records a care relation (key: account/subject) or a consent (key: subject/…) of the patient."""
    parts = entry.resource.split("/")
    place = {"fact.care": 1, "fact.consent": 0}.get(entry.action)
    return place is not None and len(parts) > place and parts[place] == str(subject)
