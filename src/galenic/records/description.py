"""Descriptions of columns as TOML that a person can read and edit."""

import tomllib
from dataclasses import fields
from pathlib import Path
from typing import Any

import tomli_w

from galenic.errors import DescriptionError
from galenic.schema import Column

HEADER = """\
# What each column holds. Edit this file: by passing it to galenic you declare the kinds and roles that stand here.
# kind: numeric, integer, category, ordinal, date, identifier, text.   role: value, patient, drop.
# Identifiers and free text are dropped before anything is learned.
# Origins: "declared" and "dictionary" are known without looking at these patients. "observed" was read from them: a
# private fit refuses it. Change it to "declared" if you know it from elsewhere, or delete the line and it is bought.

"""
_TUPLES = {"missing_tokens", "edges", "categories", "heaps"}


def to_toml(columns: tuple[Column, ...]) -> str:
    """The description as TOML; fields at their default are left out."""
    rows = []
    for column in columns:
        row: dict[str, Any] = {"name": column.name, "kind": column.kind}
        for f in fields(Column):
            value = getattr(column, f.name)
            if f.name in ("name", "kind") or value is None or value == f.default:
                continue
            row[f.name] = list(value) if f.name in _TUPLES else value
        if column.categories:
            row["categories_origin"] = column.categories_origin
        if column.low is not None or column.edges:
            row["bounds_origin"] = column.bounds_origin
        rows.append(row)
    return HEADER + tomli_w.dumps({"version": 1, "column": rows})


def from_toml(text: str, where: str = "description") -> tuple[Column, ...]:
    """The columns that a TOML description declares. DescriptionError names the column and field that is off."""
    try:
        data = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise DescriptionError(f"{where} is not TOML: {error}. Correct that line.") from None
    if data.get("version") != 1 or not isinstance(data.get("column"), list):
        raise DescriptionError(f"{where}: expected version = 1 and one [[column]] for each column.")
    known = {f.name for f in fields(Column)}
    columns = []
    for row in data["column"]:
        unknown = sorted(set(row) - known)
        name = row.get("name")
        if unknown or not isinstance(name, str):
            raise DescriptionError(f"{where}, column {name!r}: {unknown or ['name']} not known. Allowed: {sorted(known)}.")
        columns.append(_column({k: tuple(v) if k in _TUPLES and isinstance(v, list) else v for k, v in row.items()}, where))
    names = [column.name for column in columns]
    if len(set(names)) < len(names):
        raise DescriptionError(f"{where}: a column is described twice. Describe each once.")
    if sum(column.role == "patient" for column in columns) > 1:
        raise DescriptionError(f'{where}: more than one column has role = "patient". Keep one.')
    return tuple(columns)


_EXPECTED: dict[str, type | tuple[type, ...]] = {
    "missing": bool,
    "other": bool,
    "low": (int, float),
    "high": (int, float),
    "step": (int, float),
    "edges": tuple,
    "heaps": tuple,
    "categories": tuple,
    "missing_tokens": tuple,
}


def _column(row: dict[str, Any], where: str) -> Column:
    for key, value in row.items():
        expected = _EXPECTED.get(key, str)
        items = value if isinstance(value, tuple) else ()
        item = (int, float) if key in ("edges", "heaps") else str
        if not isinstance(value, expected) or not all(isinstance(i, item) for i in items):
            raise DescriptionError(f"{where}, column {row['name']!r}: {key} has the wrong type. Correct it.")
    return Column(**row)


def read_description(path: str | Path) -> tuple[Column, ...]:
    """The description in a TOML file."""
    path = Path(path)
    if not path.is_file():
        raise DescriptionError(f"{path} is not a file. Write one with: galenic describe TABLE --out {path}")
    return from_toml(path.read_text(encoding="utf-8"), str(path))


def undescribed(names: tuple[str, ...]) -> tuple[Column, ...]:
    """Columns of which nothing is declared."""
    return tuple(Column(name) for name in names)
