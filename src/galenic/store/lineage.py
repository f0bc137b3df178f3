"""Lineage: patients whose records are in an artifact (tables, shards, indexes, exports, models, releases)."""

from collections.abc import Iterable
from datetime import UTC, datetime

import sqlalchemy as sa

from galenic.store.database import Database
from galenic.store.rows import Row
from galenic.store.tables import artefacts, lineage

KINDS = (
    "table", "shards", "index", "bulk", "quality", "model", "copy", "release",  # inside; a release is outside after it was written
    "export", "access", "page", "reveal", "download",  # outside
)  # fmt: skip
HOME_CONTENTS = {  # all files of an installation's folder, and the effect of an erasure on each
    "galenic.db": "rows deleted, free pages overwritten",
    "galenic.db-wal": "truncated",
    "galenic.db-shm": "holds no rows",
    "upgrades": "copies of the database before upgrades overwritten and deleted",
    "jobs.db": "holds no records",
    "jobs.db-wal": "holds no records",
    "jobs.db-shm": "holds no records",
    "builds": "indexes copied without the patient, exports and shards deleted",
    "quality": "pages of data sets with the patient deleted",
    "runs": "de-identified copies deleted; models within a privacy budget kept, others marked for retraining",
    "released": "as the runs that the releases are of",
    "recalls": "notices without records",
    "jobs": "progress without records",
    "exports": "a lock without content",
    "server.lock": "which process serves",
    "erasure.lock": "which process erases a patient",
    "worker.lock": "which process performs jobs",
    "incoming": "uploads, deleted at the end of the request; leftovers deleted by the erasure",
    "logs": "hold no records",
    "keys": "the patient's key destroyed; keys of people and of the installation",
    "root": "the root key, replaced",
    "escrow": "sealed root keys, each deleted on a stated day",
    "witness": "heads of the audit log",
    "tls": "certificate of the server",
    "terminology": "code systems",
}
LOST_WITH_RECORDS = ("table", "index", "shards")  # kinds that a restore of records replaces


def add_artefact(db: Database, row: Row, subjects: Iterable[int]) -> None:
    """Records an artifact with its subjects (those of its source, if it was made from another artifact)."""
    with db.transaction() as c:
        add_within(c, row, subjects)


def add_within(c: sa.Connection, row: Row, subjects: Iterable[int]) -> None:
    """As `add_artefact`, within an open transaction."""
    at = datetime.now(UTC).isoformat(timespec="seconds")
    stands = c.execute(sa.select(artefacts.c.id).where(artefacts.c.id == row["id"])).first()
    if stands is None:
        c.execute(artefacts.insert().values(**{"private": False, "place": "inside", "state": "live", "made_at": at, **row}))
    wanted = sorted(set(subjects))
    for start in range(0, len(wanted), 500):
        part = wanted[start : start + 500]
        where = (lineage.c.artefact == row["id"]) & lineage.c.subject.in_(part)
        known = {int(r[0]) for r in c.execute(sa.select(lineage.c.subject).where(where))}
        fresh = [{"artefact": row["id"], "subject": s} for s in part if s not in known]
        if fresh:
            c.execute(lineage.insert(), fresh)


def derive(db: Database, row: Row) -> None:
    """Records an artifact made from another one, with the same subjects. Does nothing if the source contains no stored
    patients."""
    with db.reading() as c:
        query = sa.select(lineage.c.subject).where(lineage.c.artefact == row["made_from"])
        subjects = [int(r[0]) for r in c.execute(query)]
    if subjects:
        add_artefact(db, row, subjects)


def artefacts_of(db: Database, subject: int) -> list[Row]:
    """Artifacts that contain a subject's records."""
    query = sa.select(artefacts).join(lineage, lineage.c.artefact == artefacts.c.id).where(lineage.c.subject == subject)
    with db.reading() as c:
        return [dict(r) for r in c.execute(query.order_by(artefacts.c.made_at, artefacts.c.id)).mappings()]


def artefacts_in(db: Database, state: str) -> list[Row]:
    """Every artifact in a state."""
    with db.reading() as c:
        query = sa.select(artefacts).where(artefacts.c.state == state).order_by(artefacts.c.made_at, artefacts.c.id)
        return [dict(r) for r in c.execute(query).mappings()]


def artefact(db: Database, name: str) -> Row | None:
    """The artifact with an id."""
    with db.reading() as c:
        found = c.execute(sa.select(artefacts).where(artefacts.c.id == name)).mappings().first()
    return dict(found) if found else None


def drop_artefact(db: Database, name: str) -> None:
    """Removes an artifact with its list of subjects, so that it can be made again with the same id."""
    with db.transaction() as c:
        c.execute(lineage.delete().where(lineage.c.artefact == name))
        c.execute(artefacts.delete().where(artefacts.c.id == name))


def count_subjects(db: Database, artefact: str) -> int:
    """Number of subjects of an artifact."""
    with db.reading() as c:
        query = sa.select(sa.func.count()).select_from(lineage).where(lineage.c.artefact == artefact)
        return int(c.execute(query).scalar_one())


def set_state(db: Database, artefact: str, state: str) -> None:
    """Sets the state of an artifact: live, gone or retrain."""
    with db.transaction() as c:
        c.execute(artefacts.update().where(artefacts.c.id == artefact).values(state=state))


def forget_subject(db: Database, subject: int) -> int:
    """Removes a subject from the list of every artifact; the erasure receipt names the artifacts."""
    with db.transaction() as c:
        return int(c.execute(lineage.delete().where(lineage.c.subject == subject)).rowcount)
