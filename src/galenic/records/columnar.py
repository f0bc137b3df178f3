"""Rows of a table as one document: columns of text in JSON, exact and small. OMOP and MEDS rows of a patient are stored in this
form."""

from collections.abc import Iterator

import orjson
import pyarrow as pa
import pyarrow.compute as pc

from galenic.errors import RecordError


def pack(table: pa.Table) -> str:
    """Columns of text as JSON, null for a missing value.

    unpack(pack(t), t.schema) == t for numbers, text, times and lists of text.
    """
    return orjson.dumps({name: _texts(table[name]) for name in table.column_names}).decode()


def _texts(column: pa.ChunkedArray) -> list[object]:
    kind = column.type
    if pa.types.is_timestamp(kind) or pa.types.is_date64(kind) or pa.types.is_duration(kind):
        column = column.cast(pa.int64())
    elif pa.types.is_date32(kind) or pa.types.is_time32(kind):
        column = column.cast(pa.int32())
    elif pa.types.is_nested(kind):
        return list(column.to_pylist())
    elif pa.types.is_dictionary(kind):
        column = column.cast(kind.value_type)
    return list(column.cast(pa.string()).to_pylist())


def unpack(text: str, schema: pa.Schema | None = None) -> pa.Table:
    """The rows of `pack`; without a schema every column is text."""
    columns = orjson.loads(text)
    if schema is None:
        return pa.table({name: pa.array(values, pa.string()) for name, values in columns.items()})
    return pa.table([_typed(columns[f.name], f.type) for f in schema], schema=schema)


def unpack_all(texts: list[str]) -> pa.Table:
    """Rows of many documents of one table, as text. A column that a document lacks is null in its rows."""
    columns: dict[str, list[object]] = {}
    count = 0
    for text in texts:
        found = orjson.loads(text)
        for name, values in found.items():
            columns.setdefault(name, [None] * count).extend(values)
        count += max(map(len, found.values()), default=0)
        for values in columns.values():
            if len(values) < count:
                values.extend([None] * (count - len(values)))
    return pa.table({name: pa.array(values, pa.string()) for name, values in columns.items()})


def _typed(values: list[object], kind: pa.DataType) -> pa.Array:
    if pa.types.is_nested(kind):
        return pa.array(values, kind)
    array = pa.array(values, pa.string())
    if pa.types.is_timestamp(kind) or pa.types.is_date64(kind) or pa.types.is_duration(kind):
        return array.cast(pa.int64()).cast(kind)
    if pa.types.is_date32(kind) or pa.types.is_time32(kind):
        return array.cast(pa.int32()).cast(kind)
    return array.cast(kind)


def by_subject(table: pa.Table, column: str) -> Iterator[tuple[str, pa.Table]]:
    """(subject as text, its rows) of a table that is sorted by a column. Raise RecordError if a row has no value in it."""
    if table[column].null_count:
        raise RecordError(f"a row has no value in {column}. Every row needs one: fill it in, or leave the row out.")
    runs = pc.run_end_encode(table[column].combine_chunks())
    start = 0
    for value, end in zip(runs.values.cast(pa.string()).to_pylist(), runs.run_ends.to_pylist(), strict=True):
        yield str(value), table.slice(start, end - start)
        start = end


def type_of(name: str) -> pa.DataType:
    """The Arrow type with a name, as str(type) writes it."""
    named = {
        "date32[day]": pa.date32(),
        "date64[ms]": pa.date64(),
        "float": pa.float32(),
        "double": pa.float64(),
        "halffloat": pa.float16(),
    }
    if name in named:
        return named[name]
    if name.startswith(("list<", "large_list<")):
        inside = name[name.index("<") + 1 : -1].partition(": ")[2].removesuffix(" not null")
        return pa.list_(type_of(inside))
    if name.startswith("timestamp["):
        unit, _, zone = name[10:-1].partition(", tz=")
        return pa.timestamp(unit, zone or None)
    if name.startswith("dictionary<"):
        return pa.string()
    return pa.type_for_alias(name)
