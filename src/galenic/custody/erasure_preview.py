"""Preview of an erasure: what would be erased, and what is out of reach."""

from dataclasses import dataclass

from galenic import store
from galenic.custody.datasets import find_patient
from galenic.custody.erasure import backup_folders
from galenic.custody.fhir import count_references
from galenic.installation import Installation
from galenic.security import Session


@dataclass(frozen=True)
class ErasurePreview:
    """rows: number of stored rows by kind; artifacts: (id, kind, place: inside or outside) of runs, indexes and copies that contain
    the patient; backups: (folder, whether it can be reached now); references: other patients' documents that refer to the patient, by
    data set, None where that is unknown; copies: of the database, made before upgrades."""

    rows: dict[str, int]
    artifacts: tuple[tuple[str, str, str], ...]
    backups: tuple[tuple[str, bool], ...]
    references: dict[str, int | None]
    copies: tuple[str, ...] = ()


def preview_erasure(installation: Installation, session: Session, patient: str) -> ErasurePreview:
    """Counts what an erasure of a patient would reach; nothing is changed. The access check is that of the erasure itself."""
    return preview_erasure_of(installation, session, find_patient(installation, session, patient))


def preview_erasure_of(installation: Installation, session: Session, subject: int, action: str = "erase") -> ErasurePreview:
    """As `preview_erasure`, of the patient with a subject id. action: "approve" for the second person of an erasure."""
    with installation.gate.open(session, action, f"subject/{subject}", "erasure-request") as grant:
        references = count_references(installation, grant, subject)
        rows = store.rows_left(installation.db, subject, session.tenant)
        found = [(str(a["id"]), str(a["kind"]), str(a["place"])) for a in store.artefacts_of(installation.db, subject)]
    return ErasurePreview(
        rows, tuple(found), tuple(backup_folders(installation)), references, tuple(installation.db.upgrade_copies())
    )
