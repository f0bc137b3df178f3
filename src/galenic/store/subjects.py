"""Subject ids: assigned to patients' identifiers by keyed tokens, and deleted at erasure."""

from typing import Any

import sqlalchemy as sa

from galenic.errors import StateError
from galenic.store.database import Database
from galenic.store.datasets import Dataset, resource
from galenic.store.erasable import forget_documents
from galenic.store.fact_rows import bump_version
from galenic.store.grant import AbstractGrant, require_grant
from galenic.store.tables import documents, facts, lineage, originals, subjects, tombstones, vault


def assign_subjects(
    db: Database, grant: AbstractGrant, known: Dataset, identifiers: list[str]
) -> tuple[dict[str, int], set[str]]:
    """(subject id of each identifier, created if missing; identifiers of erased patients, who get none)."""
    require_grant(grant, resource(str(known["name"])), "import")
    return assign_subjects_unchecked(db, grant, identifiers)


def assign_subjects_unchecked(db: Database, grant: AbstractGrant, identifiers: list[str]) -> tuple[dict[str, int], set[str]]:
    """As `assign_subjects`, for callers that have checked that the grant covers it."""
    names = list(set(identifiers))
    tokens = dict(zip(names, grant.tokens("patient", names), strict=True))  # may create a key: not allowed within a transaction
    with db.transaction(grant.tenant) as c:
        return _admitted(c, grant, tokens)


def _admitted(c: sa.Connection, grant: AbstractGrant, tokens: dict[str, bytes]) -> tuple[dict[str, int], set[str]]:
    gone = _known_tokens(c, tombstones, tombstones.c.subject, grant.tenant, list(tokens.values()))
    there = _known_tokens(c, subjects, subjects.c.id, grant.tenant, list(tokens.values()))
    erased = {name for name, token in tokens.items() if token in gone and token not in there}
    fresh = [n for n, t in tokens.items() if t not in there and n not in erased]
    if fresh:
        # counted separately from the rows, which a restore may revert: a subject id is never used again
        start = bump_version(c, "subjects", len(fresh)) - len(fresh) + 1
        # the counter is locked from here on: another process may have added some of them before
        there |= _known_tokens(c, subjects, subjects.c.id, grant.tenant, [tokens[n] for n in fresh])
        fresh = [n for n in fresh if tokens[n] not in there]
    if fresh:
        rows: list[dict[str, Any]] = [
            {"id": start + i, "tenant": grant.tenant, "token": tokens[n]} for i, n in enumerate(fresh)
        ]
        c.execute(subjects.insert(), rows)
        there |= {r["token"]: r["id"] for r in rows}
    found = {n: there[t] for n, t in tokens.items() if n not in erased}
    return found, erased


def _known_tokens(
    c: sa.Connection, table: sa.Table, column: sa.Column[int], tenant: str, tokens: list[bytes]
) -> dict[bytes, int]:
    found: dict[bytes, int] = {}
    for start in range(0, len(tokens), 500):
        where = (table.c.tenant == tenant) & table.c.token.in_(tokens[start : start + 500])
        found |= {bytes(r[0]): int(r[1]) for r in c.execute(sa.select(table.c.token, column).where(where))}
    return found


def require_subjects(c: sa.Connection, numbers: set[int]) -> None:
    """Raise StateError, within a write transaction, if one of these subjects was erased since the lookup, because its rows
    could never be erased again."""
    wanted, found = sorted(numbers - {0}), 0
    for start in range(0, len(wanted), 500):
        query = sa.select(subjects.c.id).where(subjects.c.id.in_(wanted[start : start + 500])).with_for_update(read=True)
        found += len(c.execute(query).all())
    if found < len(wanted):
        raise StateError("a patient was erased during this write. Nothing of this part was written. Run it again.")


def find_subject(db: Database, grant: AbstractGrant, identifier: str) -> int | None:
    """The subject id of a patient's identifier, or None."""
    if not isinstance(grant, AbstractGrant):
        require_grant(grant, "")
    grant.require_active()
    token = grant.token("patient", identifier)
    found = db.rows("SELECT id FROM subjects WHERE tenant = ? AND token = ?", (grant.tenant, token), grant.tenant)
    return int(found[0][0]) if found else None


def forget(db: Database, grant: AbstractGrant, subject: int, at: str) -> int:
    """Deletes a patient's rows and leaves a tombstone. Returns the number of deleted rows."""
    require_grant(grant, f"subject/{subject}", "erase")
    with db.transaction(grant.tenant) as c:
        # locked first, so that a writer who has seen the subject has written before the rows are deleted (PostgreSQL)
        own = sa.select(subjects.c.token).where(subjects.c.id == subject).with_for_update()
        token = c.execute(own).scalar_one_or_none()
        if token is not None:
            stands = c.execute(sa.select(tombstones.c.subject).where(tombstones.c.token == token)).first()
            if stands is None:
                row = {"tenant": grant.tenant, "token": token, "subject": subject, "erased_at": at}
                c.execute(tombstones.insert().values(**row))
        gone = forget_documents(c, subject)
        gone += c.execute(originals.delete().where(originals.c.subject == subject)).rowcount
        c.execute(vault.delete().where(vault.c.subject == subject))
        c.execute(facts.delete().where((facts.c.subject == subject) & facts.c.kind.in_(("care", "consent"))))
        c.execute(subjects.delete().where(subjects.c.id == subject))
    return int(gone)


def rows_left(db: Database, subject: int, tenant: str) -> dict[str, int]:
    """Number of rows about a subject by table, without the tombstone; all 0 after an erasure."""
    held = {"originals": originals, "documents": documents, "vault": vault, "lineage": lineage, "subjects": subjects}
    with db.reading(tenant) as c:
        counts = {
            name: sa.select(sa.func.count()).select_from(t).where((t.c.id if name == "subjects" else t.c.subject) == subject)
            for name, t in held.items()
        }
        return {name: int(c.execute(query).scalar_one()) for name, query in counts.items()}


def list_tombstones(db: Database, tenant: str | None = None) -> list[dict[str, Any]]:
    """Erased patients: keyed tokens and dates, no identifier."""
    with db.reading(tenant) as c:
        return [dict(r) for r in c.execute(sa.select(tombstones)).mappings()]
