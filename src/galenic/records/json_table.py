"""Reading of flat JSON: an array of objects, or one object per line (JSON Lines), as a table of text."""

import json
from collections.abc import Iterator
from typing import Any

import pyarrow as pa

from galenic.errors import RecordError
from galenic.records.file_content import FileContent
from galenic.records.source import NESTED, Source, in_memory

LARGEST = 512 << 20  # bytes; JSON is read whole


def read_json(content: FileContent) -> Source:
    """The rows of the objects; a name that an object lacks is missing there. RecordError if they are not flat objects."""
    with content.open() as file:
        raw = file.read(LARGEST + 1)
    if len(raw) > LARGEST:
        raise RecordError(f"{content.path} is too large to be read as JSON. Convert it to Parquet or CSV.")
    rows = list(_objects(content, raw))
    if not rows:
        raise RecordError(f"{content.path} holds no objects. Expected at least one row of values.")
    if "resourceType" in rows[0]:
        raise RecordError(f"{content.path} holds FHIR resources, not a table. Use: galenic records import {content.path}")
    names = list(dict.fromkeys(name for row in rows for name in row))
    return in_memory(pa.Table.from_arrays([_column([r.get(n) for r in rows]) for n in names], names=names), str(content.path))


def _objects(content: FileContent, raw: bytes) -> Iterator[dict[str, Any]]:
    where = content.path
    try:
        text = raw.decode("utf-8-sig")
        stripped = text.lstrip()
        rows = _parse(text) if stripped.startswith("[") else [_parse(line) for line in text.splitlines() if line.strip()]
    except (ValueError, RecursionError) as error:
        line = f", line {error.lineno}" if isinstance(error, json.JSONDecodeError) else ""
        raise RecordError(
            f"{where}{line} is not JSON that holds a table. Expected an array of objects, or one object per line. Export it again."
        ) from None
    for place, row in enumerate(rows):
        if not isinstance(row, dict):
            raise RecordError(f'{where}, entry {place + 1}: not an object. Expected names and values, such as {{"age": 54}}.')
        yield row


def _parse(text: str) -> Any:
    return json.loads(text, parse_float=str, parse_int=str, object_pairs_hook=_unique)


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    if len({name for name, _ in pairs}) < len(pairs):
        raise ValueError("a name appears twice in one object")
    return dict(pairs)


def _column(values: list[Any]) -> pa.Array:
    if any(isinstance(v, dict | list) for v in values):
        return pa.array([None if v is None else {"json": json.dumps(v)} for v in values], NESTED)
    return pa.array([None if v is None else str(v).lower() if isinstance(v, bool) else v for v in values], pa.string())
