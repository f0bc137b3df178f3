"""Data sets: their columns, owner, label and kind. They contain no patient data."""

import json
from datetime import UTC, datetime

import pyarrow as pa
import sqlalchemy as sa

from galenic.errors import StateError, UnknownNameError
from galenic.store.database import Database
from galenic.store.grant import AbstractGrant, require_grant
from galenic.store.tables import datasets, originals

Dataset = dict[str, object]


def resource(dataset: str) -> str:
    """Name of a data set as a resource of access decisions."""
    return f"dataset/{dataset}"


def add_dataset(db: Database, grant: AbstractGrant, row: dict[str, object], schema: pa.Schema, kinds: dict[str, str]) -> None:
    """Adds a data set, or checks that the existing one has the same shape. kinds: of the columns (numeric, date, …)."""
    require_grant(grant, resource(str(row["name"])), "import")
    columns = json.dumps([[f.name, str(f.type), kinds.get(f.name, "category")] for f in schema])
    with db.transaction(grant.tenant) as c:
        stands = c.execute(sa.select(datasets).where(datasets.c.name == row["name"])).mappings().first()
        if stands is None:
            at = datetime.now(UTC).isoformat(timespec="seconds")
            c.execute(datasets.insert().values(**row, tenant=grant.tenant, columns=columns, next_row=0, imported_at=at))
        elif [c[:2] for c in json.loads(stands["columns"])] != [c[:2] for c in json.loads(columns)] or (
            stands["patient"] != row["patient"]
            or stands["tenant"] != grant.tenant
            or (stands["kind"], stands["ids"]) != (row.get("kind", "table"), row.get("ids", ""))
        ):
            raise StateError(
                f"a data set named {row['name']!r} exists with other columns, another patient column, another kind or "
                "source of ids, or another owner. Import under another name, or give the file the same columns."
            )


def dataset(db: Database, name: str, tenant: str | None = None) -> Dataset:
    """Metadata of a data set, without patient data. Raise UnknownNameError if there is none."""
    with db.reading(tenant) as c:
        row = c.execute(sa.select(datasets).where(datasets.c.name == name)).mappings().first()
        known = [str(r[0]) for r in c.execute(sa.select(datasets.c.name).order_by(datasets.c.name))] if row is None else []
    if row is None:
        raise UnknownNameError(
            f"there is no data set named {name!r} (known: {', '.join(known) or 'none yet'}). Import it: galenic records import"
        )
    return dict(row)


def list_datasets(db: Database, tenant: str | None = None) -> list[Dataset]:
    """Metadata of every data set, without patient data."""
    with db.reading(tenant) as c:
        return [dict(r) for r in c.execute(sa.select(datasets).order_by(datasets.c.name)).mappings()]


def count_rows(db: Database, tenant: str | None = None) -> dict[str, int]:
    """Current number of rows, or of versions of documents, by data set, without erased ones."""
    query = sa.select(originals.c.dataset, sa.func.count()).group_by(originals.c.dataset)
    with db.reading(tenant) as c:
        return {str(name): int(count) for name, count in c.execute(query)}


def count_patients(db: Database, name: str, tenant: str | None = None) -> int:
    """The number of patients who have rows in a data set now."""
    query = sa.select(sa.func.count(sa.distinct(originals.c.subject))).where(originals.c.dataset == name)
    with db.reading(tenant) as c:
        return int(c.execute(query).scalar_one())


def schema_of(known: Dataset) -> pa.Schema:
    """Arrow schema of a data set."""
    return pa.schema(
        [(name, pa.type_for_alias(kind) if kind != "date32[day]" else pa.date32()) for name, kind, _ in _columns(known)]
    )


def kinds_of(known: Dataset) -> dict[str, str]:
    """Kind of each column of a data set: numeric, integer, category, date, identifier, …"""
    return {name: kind for name, _, kind in _columns(known)}


def _columns(known: Dataset) -> list[tuple[str, str, str]]:
    return [(str(n), str(t), str(k)) for n, t, k in json.loads(str(known["columns"]))]
