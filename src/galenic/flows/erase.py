"""Erase a patient everywhere (GDPR article 17): keys, rows, derived copies, backups; with a receipt that says what is left."""

import shutil
import time
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from galenic import release, store
from galenic.errors import StoreError
from galenic.flows.custody import drop, find
from galenic.flows.fhir.bulk_job import drop_bulk
from galenic.flows.fhir.forget import forget_in_indexes
from galenic.flows.house import House, Progress, quiet
from galenic.security import Session, opens, sign_receipt


@dataclass(frozen=True)
class Erased:
    """What an erasure did. facts: the receipt's text; envelope: the same, signed."""

    name: str
    facts: dict[str, Any]
    envelope: str


def erase(house: House, session: Session, patient: str, progress: Progress = quiet) -> Erased:
    """Destroys a patient's key and rows, drops every derived copy, kills every older copy of the key tree, and signs for it.

    Interrupted, it is run again: each step may be repeated. Models made within a privacy budget are noted; others are marked
    for retraining. Copies outside are listed, not reached.
    """
    started = time.perf_counter()
    subject = find(house, session, patient)
    with house.gate.open(session, "erase", f"subject/{subject}", "erasure-request") as handle:
        at = datetime.now(UTC).isoformat(timespec="seconds")
        store.move_on(house.db, "erasures")  # whoever trains or exports now is cut off
        house.gate.versions.look_again()
        artefacts = store.artefacts_of(house.db, subject)
        progress("rows", 0.1)
        rows = store.forget(house.db, handle, subject, at)
        progress("derived copies", 0.3)
        dropped = [_forget_artefact(house, a) for a in artefacts]
        indexes = forget_in_indexes(house, handle, subject)
        dropped += [{"id": i, "kind": "index", "place": "inside", "fate": "made anew without the patient"} for i in indexes]
        store.forget_subject(house.db, subject)
        progress("key", 0.6)
        before = time.perf_counter()
        rewrapped = house.tree.forget([subject])
        key_seconds = time.perf_counter() - before
        house.escrow.sweep()
        progress("backups", 0.7)
        backups = [_backup(house, Path(str(b["folder"])), subject, session.tenant) for b in store.backups(house.db)]
        house.db.shrink()
        dead = not opens(store.read_all_nodes(house.db), house.tree.root(), subject)
        name = f"erasure-{handle.decision}"
        facts: dict[str, Any] = {
            "receipt": name,
            "erased_at": at,
            "decision": handle.decision,
            "rows": rows,
            "artefacts": dropped,
            "outside": [d["id"] for d in dropped if d["place"] == "outside"],
            "key": {"destroyed": dead, "keys_rewrapped": rewrapped, "milliseconds": round(1000 * key_seconds, 2)},
            "backups": backups,
            "last_escrowed_older_root_dies": house.escrow.last_older_root_dies(),
            "audit_head": list(house.audit.head()),
            "seconds": round(time.perf_counter() - started, 3),
        }
        envelope = sign_receipt(facts, house.keys.gate())
        store.add_receipt(house.db, name, envelope)
    house.audit.append("erased", name, actor=session.who, rows=rows, backups=len(backups), dead=dead)
    store.telemetry.ERASURES.inc()
    return Erased(name, facts, envelope)


def _forget_artefact(house: House, artefact: dict[str, Any]) -> dict[str, Any]:
    """What becomes of one artefact that the patient went into."""
    kind, name = artefact["kind"], str(artefact["id"])
    if artefact["place"] == "outside" or kind in ("export", "release"):
        fate = "outside: recall it, or ask its holders to delete"
        if kind == "release":
            fate = release.forget(house.db, name.partition("/")[2])
    elif kind in ("index", "shards"):
        drop(house, name)
        fate = "dropped; built again from what is left"
    elif kind == "bulk":
        drop_bulk(house, name.partition("/")[2])
        fate = "dropped; exported again from what is left"
    elif kind == "copy":
        shutil.rmtree(house.run(name.partition("/")[2]), ignore_errors=True)
        fate = "dropped; made again from what is left"
    elif kind == "model" and artefact["private"]:
        fate = "kept: made within a privacy budget, which bounds what it can tell of one patient"
    elif kind == "model":
        store.set_state(house.db, name, "retrain")
        fate = "marked for retraining without the patient"
    else:
        fate = "rows deleted"
    return {"id": name, "kind": kind, "place": artefact["place"], "fate": fate}


def _backup(house: House, folder: Path, subject: int, tenant: str) -> dict[str, Any]:
    """Proves that the keys as they lay beside a backup no longer open this patient, then puts those of today there."""
    try:
        yesterday = store.read_keys(folder)
    except StoreError:
        return {"folder": str(folder), "reached": False, "opens_with_todays_root": False}
    alive = opens(yesterday.nodes, house.tree.root(), subject)
    reached = store.refresh_keys(house.db, folder, tenant)
    return {"folder": str(folder), "reached": reached, "opens_with_todays_root": alive}


def retrain_tasks(house: House) -> list[dict[str, Any]]:
    """Models that hold an erased patient and were made without a privacy budget."""
    return [a for a in store.artefacts_in(house.db, "retrain") if a["kind"] == "model"]
