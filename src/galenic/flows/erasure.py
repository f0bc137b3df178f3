"""Erase a patient everywhere (GDPR article 17): keys, rows, derived copies, backups; with a receipt that says what is left."""

import time
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from galenic import release, store
from galenic.custody import drop_bulk, drop_index, find_patient
from galenic.custody.fhir import forget_in_indexes
from galenic.errors import StoreError
from galenic.installation import Installation
from galenic.schema import Progress, no_progress
from galenic.security import Session, opens, sign_receipt


@dataclass(frozen=True)
class ErasureResult:
    """What an erasure did. facts: the receipt's text; envelope: the same, signed."""

    name: str
    facts: dict[str, Any]
    envelope: str


def erase(installation: Installation, session: Session, patient: str, progress: Progress = no_progress) -> ErasureResult:
    """Destroys a patient's key and rows, drops every derived copy, kills every older copy of the key tree, and signs for it.

    Interrupted, it is run again: each step may be repeated. Models made within a privacy budget are noted; others are marked
    for retraining. Copies outside are listed, not reached.
    """
    started = time.perf_counter()
    subject = find_patient(installation, session, patient)
    with installation.gate.open(session, "erase", f"subject/{subject}", "erasure-request") as grant:
        at = datetime.now(UTC).isoformat(timespec="seconds")
        store.move_on(installation.db, "erasures")  # whoever trains or exports now is cut off
        installation.gate.versions.refresh()
        artefacts = store.artefacts_of(installation.db, subject)
        progress("rows", 0.1)
        rows = store.forget(installation.db, grant, subject, at)
        progress("derived copies", 0.3)
        done = {o.id: asdict(o) for o in release.forget(installation, grant, subject)}
        dropped = [done.get(str(a["id"])) or _forget_artefact(installation, a) for a in artefacts]
        indexes = forget_in_indexes(installation, grant, subject)
        dropped += [{"id": i, "kind": "index", "place": "inside", "fate": "made anew without the patient"} for i in indexes]
        store.forget_subject(installation.db, subject)
        progress("key", 0.6)
        before = time.perf_counter()
        rewrapped = installation.tree.forget([subject])
        key_seconds = time.perf_counter() - before
        installation.escrow.sweep()
        progress("backups", 0.7)
        backups = [
            _backup(installation, Path(str(b["folder"])), subject, session.tenant) for b in store.backups(installation.db)
        ]
        installation.db.shrink()
        dead = not opens(store.read_all_nodes(installation.db), installation.tree.root(), subject)
        name = f"erasure-{grant.decision}"
        facts: dict[str, Any] = {
            "receipt": name,
            "erased_at": at,
            "decision": grant.decision,
            "rows": rows,
            "artefacts": dropped,
            "outside": [d["id"] for d in dropped if d["place"] == "outside"],
            "key": {"destroyed": dead, "keys_rewrapped": rewrapped, "milliseconds": round(1000 * key_seconds, 2)},
            "backups": backups,
            "last_escrowed_older_root_dies": installation.escrow.last_older_root_dies(),
            "audit_head": list(installation.audit.head()),
            "seconds": round(time.perf_counter() - started, 3),
        }
        envelope = sign_receipt(facts, installation.keys.gate())
        store.add_receipt(installation.db, name, envelope)
    installation.audit.append("erased", name, actor=session.who, rows=rows, backups=len(backups), dead=dead)
    store.telemetry.ERASURES.inc()
    return ErasureResult(name, facts, envelope)


def _forget_artefact(installation: Installation, artefact: dict[str, Any]) -> dict[str, Any]:
    """What becomes of one artefact that the patient went into."""
    kind, name = artefact["kind"], str(artefact["id"])
    if kind in ("index", "shards"):
        drop_index(installation, name)
        fate = "dropped; built again from what is left"
    elif kind == "bulk":
        drop_bulk(installation, name.partition("/")[2])
        fate = "dropped; exported again from what is left"
    else:
        fate = "rows deleted"
    return {"id": name, "kind": kind, "place": artefact["place"], "fate": fate}


def _backup(installation: Installation, folder: Path, subject: int, tenant: str) -> dict[str, Any]:
    """Proves that the keys as they lay beside a backup no longer open this patient, then puts those of today there."""
    try:
        yesterday = store.read_keys(folder)
    except StoreError:
        return {"folder": str(folder), "reached": False, "opens_with_todays_root": False}
    alive = opens(yesterday.nodes, installation.tree.root(), subject)
    reached = store.refresh_keys(installation.db, folder, tenant)
    return {"folder": str(folder), "reached": reached, "opens_with_todays_root": alive}


def retrain_tasks(installation: Installation) -> list[dict[str, Any]]:
    """Models that hold an erased patient and were made without a privacy budget."""
    return [a for a in store.artefacts_in(installation.db, "retrain") if a["kind"] == "model"]
