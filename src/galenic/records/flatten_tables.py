"""Flat tables of related tables: each row with its ancestors, the row before it, and the number of its children.

Joins and windows run in DuckDB over Parquet files in a folder of the caller, so memory is bounded. Columns of the flat table of
T: T's own; `@after.X` days from T's date to another date X; `@gap` days since the row before, as a share of those until the
last one; `@age` days from the patient's date to the row before (of the first row: to itself); `@left` days from there to the
last row; `@more` rows that follow; `@link.K` 1 if K names a row; `@n.C`, `@first.C`, `@span.C` rows of a child table C, the day
of its first (from 1970 or the parent's date), and from there to its last; `P.X` of each ancestor P; `@previous.X` of the row
before.
"""

from collections.abc import Mapping
from pathlib import Path

import duckdb
import pyarrow.parquet as pq

from galenic.errors import RecordError
from galenic.records.reader import read
from galenic.records.source import Source
from galenic.schema import NTH, PATIENT, Column, Relation, ancestors, children

DAYS = ("@age", "@left")
MEMORY = "2GB"


def flatten(relations: tuple[Relation, ...], sources: Mapping[str, Source], folder: Path) -> dict[str, Source]:
    """Source over the flat table of each relation, parents first. Raise RecordError for duplicate keys, refused orphans, and
    rows without the date that orders them."""
    folder.mkdir(parents=True, exist_ok=True)
    with duckdb.connect(str(folder / "work.duckdb")) as db:
        db.execute(f"set memory_limit = '{MEMORY}'; set temp_directory = '{folder}'; set preserve_insertion_order = true")
        for r in relations:
            _load(db, r, sources[r.name], folder)
            _keep(db, r, relations)
        for r in relations:
            db.execute(f"copy ({_flat(r, relations)}) to '{folder / f'{r.name}.parquet'}' (format parquet)")
    (folder / "work.duckdb").unlink()
    return {r.name: read(folder / f"{r.name}.parquet") for r in relations}


def own_columns(r: Relation, relations: tuple[Relation, ...]) -> tuple[Column, ...]:
    """Columns of the flat table about the row itself. Counts have public bounds; days are learned from the patients."""
    columns = [_own(c, r) for c in r.values if c.name != r.order or not r.parent]
    days = [Column(f"@after.{c.name}", "integer", step=1.0, unit="d") for c in r.values if _is_late(c, r)]
    columns = [c for c in columns if f"@after.{c.name}" not in {d.name for d in days}] + days
    if r.parent and r.order:
        columns += [Column(name, "integer", step=1.0, unit="d") for name in DAYS]
        columns += [_count("@more", r.most), Column("@gap", "numeric", low=0.0, high=1.0)]
    columns += [Column(f"@link.{k}", "category", categories=("no", "yes"), missing=False) for k in r.links]
    for child in children(r, relations):
        columns.append(_count(f"@n.{child.name}", child.most))
        if child.order:
            columns += [Column(f"@{what}.{child.name}", "integer", step=1.0, unit="d") for what in ("first", "span")]
    return tuple(columns)


def _own(c: Column, r: Relation) -> Column:
    return c.but(role="value", anchor="") if not _is_late(c, r) else c


def _is_late(c: Column, r: Relation) -> bool:
    """True if a date is stored as days after the row's own date."""
    return c.kind == "date" and bool(r.order) and c.name != r.order


def _count(name: str, most: int) -> Column:
    return Column(name, "integer", step=1.0, edges=_count_edges(most), low=0, high=most, missing=False)


def _count_edges(most: int) -> tuple[float, ...]:
    """One bin for each number up to eight, then wider ones."""
    edges, at, width = [-0.5], 0, 1.0
    while edges[-1] < most:
        edges.append(min(edges[-1] + width, most + 0.5))
        at += 1
        width = 1.0 if at < 9 else max(1.0, round(edges[-1] / 6))
    return tuple(edges)


def ancestor_column(c: Column, r: Relation) -> Column:
    """A column of an ancestor as its descendants' flat tables name it."""
    return c.but(name=f"{r.name}.{c.name}")


def previous_column(c: Column) -> Column:
    """Name of a column of the previous row."""
    return c.but(name=f"@previous.{c.name}", missing=True)


def inherited(c: Column) -> bool:
    """True if descendants inherit an own column, that is, unless it only gives the position of a row."""
    return c.name not in ("@gap", "@left", "@more")


def previous_row(r: Relation, relations: tuple[Relation, ...]) -> tuple[str, ...]:
    """Own columns whose previous value is stored: all except computed ones, if rows have an order."""
    return tuple(c.name for c in own_columns(r, relations) if not c.name.startswith("@")) if r.parent and r.order else ()


def _load(db: duckdb.DuckDBPyConnection, r: Relation, source: Source, folder: Path) -> None:
    """The typed rows as Parquet, keys as text."""
    keys = [Column(name, "identifier") for name in dict.fromkeys((r.key, *([r.foreign_key] if r.parent else []), *r.links))]
    columns = (*keys, *(c.but(anchor="") for c in r.values))
    place = folder / f"typed-{r.name}.parquet"
    writer = None
    for table in source.tables(columns):
        writer = writer or pq.ParquetWriter(place, table.frame.schema)
        writer.write_table(table.frame)
    if writer is None:
        pq.write_table(source.table(columns).frame, place)
    else:
        writer.close()
    db.execute(f"create view {_q('raw ' + r.name)} as from read_parquet('{place}')")
    raw, key = _q("raw " + r.name), _q(r.key)
    rows, distinct = _one(db, f"select count(*), count(distinct {key}) from {raw}")
    if rows != distinct:
        raise RecordError(
            f"table {r.name!r}: {rows - distinct} rows have no key in {r.key!r}, or the same key as another row. Expected "
            "a unique key in each row."
        )
    if r.order and r.parent:
        (undated,) = _one(db, f"select count(*) from {raw} where {_q(r.order)} is null")
        if undated:
            raise RecordError(
                f"table {r.name!r}: {undated} rows have no {r.order!r}, which orders them. Fill it in, leave those "
                "rows out, or declare no order."
            )


def _keep(db: duckdb.DuckDBPyConnection, r: Relation, relations: tuple[Relation, ...]) -> None:
    """Used rows: rows with a used parent, and at most the first `most` of each patient."""
    raw, key = _q("raw " + r.name), _q(r.key)
    if not r.parent:
        base = f"date_diff('day', date '1970-01-01', {_q(r.order)})" if r.order else "0"
        db.execute(
            f'create table {_q(r.name)} as select {key} as {_q(PATIENT)}, {base} as "@day", {base} as "@root", t.* from {raw} t'
        )
        return
    parent, fk = next(p for p in relations if p.name == r.parent), _q(r.foreign_key)
    (orphans,) = _one(
        db,
        f"select count(*) from {raw} t where {fk} is null or {fk} not in (select {_q(parent.key)} from {_q('raw ' + parent.name)})",
    )
    if orphans and r.orphans == "refuse":
        raise RecordError(
            f"table {r.name!r}: the foreign key {r.foreign_key!r} of {orphans} rows has no matching row in {r.parent!r}. "
            'Add the missing rows, or drop rows without a parent: orphans = "drop".'
        )
    day = f"date_diff('day', date '1970-01-01', t.{_q(r.order)})" if r.order else 'p."@day"'
    order = f"{_q('@day')}, {key}" if r.order else key
    db.execute(
        f'create table {_q(r.name)} as select * from (select p.{_q(PATIENT)}, {day} as "@day", p."@root", t.* from {raw} t '
        f"join {_q(parent.name)} p on t.{fk} = p.{_q(parent.key)}) "
        f"qualify row_number() over (partition by {_q(PATIENT)} order by {order}) <= {r.most}"
    )


def _flat(r: Relation, relations: tuple[Relation, ...]) -> str:
    """The query of one flat table."""
    line = f'partition by t.{_q(r.foreign_key)} order by t."@day", t.{_q(r.key)}' if r.parent else ""
    nth = f'row_number() over (partition by t.{_q(PATIENT)} order by t."@day", t.{_q(r.key)}) as {_q(NTH)}'
    selected = [
        f"t.{_q(PATIENT)}",
        nth,
        *(f"{sql} as {_q(name)}" for name, sql in _column_sql(r, relations, "t", line).items()),
    ]
    joins = []
    for up in ancestors(r, relations):
        child = next(c for c in (r, *ancestors(r, relations)) if c.parent == up.name)
        alias = "t" if child is r else _q(f"of {child.name}")
        here = _q(f"of {up.name}")
        above = f'partition by o.{_q(up.foreign_key)} order by o."@day", o.{_q(up.key)}' if up.parent else ""
        columns = ", ".join(f"{sql} as {_q(name)}" for name, sql in _column_sql(up, relations, "o", above).items())
        fk = f', o.{_q(up.foreign_key)} as "@up"' if up.parent else ""
        joins.append(
            f'join (select o.{_q(up.key)} as "@key"{fk}, {columns} from {_q(up.name)} o) {here} on '
            f'{here}."@key" = {alias}.{_q(r.foreign_key) if child is r else _q("@up")}'
        )
        selected += [
            f"{here}.{_q(c.name)} as {_q(ancestor_column(c, up).name)}" for c in own_columns(up, relations) if inherited(c)
        ]
    selected += [f"lag(t.{_q(name)}) over ({line}) as {_q('@previous.' + name)}" for name in previous_row(r, relations)]
    return f"select {', '.join(selected)} from {_q(r.name)} t {' '.join(joins)}"


def _column_sql(r: Relation, relations: tuple[Relation, ...], t: str, line: str) -> dict[str, str]:
    """SQL of each own column."""
    found = {}
    for c in own_columns(r, relations):
        kind, _, about = c.name.partition(".")
        if c.name == "@gap":
            gone, left = (
                f'{d} - lag({t}."@day") over ({line})'
                for d in (f'{t}."@day"', f'max({t}."@day") over (partition by {t}.{_q(r.foreign_key)})')
            )
            found[c.name] = f"({gone}) / nullif({left}, 0)::double"
        elif c.name == "@age":
            found[c.name] = f'coalesce(lag({t}."@day") over ({line}), {t}."@day") - {t}."@root"'
        elif c.name == "@left":
            found[c.name] = (
                f'max({t}."@day") over (partition by {t}.{_q(r.foreign_key)}) - coalesce(lag({t}."@day") over ({line}), {t}."@day")'
            )
        elif c.name == "@more":
            found[c.name] = f"count(*) over (partition by {t}.{_q(r.foreign_key)}) - row_number() over ({line})"
        elif kind == "@after":
            found[c.name] = f"date_diff('day', date '1970-01-01', {t}.{_q(about)}) - {t}.\"@day\""
        elif kind == "@link":
            other = next(o for o in relations if o.name == r.links[about])
            found[c.name] = (
                f"case when exists (from {_q(other.name)} l where l.{_q(other.key)} = {t}.{_q(about)} and "
                f"l.{_q(PATIENT)} = {t}.{_q(PATIENT)}) then 'yes' else 'no' end"
            )
        elif kind in ("@n", "@first", "@span"):
            child = next(o for o in relations if o.name == about)
            first = 'min(k."@day")' + ("" if child.since == "calendar" else f' - {t}."@day"')
            what = {"@n": "count(*)", "@first": first, "@span": 'max(k."@day") - min(k."@day")'}[kind]
            found[c.name] = f"(select {what} from {_q(child.name)} k where k.{_q(child.foreign_key)} = {t}.{_q(r.key)})"
        else:
            found[c.name] = f"{t}.{_q(c.name)}"
    return found


def _q(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'


def _one(db: duckdb.DuckDBPyConnection, sql: str) -> tuple[int, ...]:
    found: tuple[int, ...] = db.execute(sql).fetchall()[0]
    return found
