"""Descriptions of columns as TOML that a person can read and edit."""

import tomllib
from dataclasses import fields
from pathlib import Path
from typing import Any

import tomli_w

from galenic.errors import DescriptionError
from galenic.schema import Column, Constraint

HEADER = """\
# Description of the columns of a table. Check it, correct it, and pass it to galenic.
# kind: numeric, integer, category, ordinal, date, identifier, text.   role: value, patient, drop.
# Identifiers and free text are dropped before anything is learned.
#
# Origins: sources of facts. kind_origin: of kind, format, step, missing and role. bounds_origin: of low, high and edges.
# categories_origin: of categories.
# "declared" or "dictionary": known without looking at these patients; a fact without an origin counts as declared.
# "observed": read from these patients. A private fit does not use it; with --buy, it spends budget to learn it instead. A
# column that looks like an identifier only because of its rows needs your decision: then write "declared".
# Change an origin to "declared" only if you know the fact from elsewhere, such as a form or a data dictionary.

"""
# a sentence in the header of files that `galenic table describe` wrote before kinds had an origin
_OLD_HEADER = "by passing it to galenic you declare the kinds and roles that stand here"
_TUPLES = {"missing_tokens", "edges", "categories", "heaps", "hierarchy"}


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
    """Columns that a TOML description declares. Raise DescriptionError that names the wrong column and field."""
    try:
        data = tomllib.loads(text)
    except (ValueError, RecursionError) as error:
        raise DescriptionError(f"{where} is not valid TOML: {error}. Correct that line.") from None
    if data.get("others", "refuse") not in ("refuse", "drop"):
        raise DescriptionError(
            f'{where}: "others" must be "refuse" or "drop". It says how to treat columns that are not described. Correct it.'
        )
    if data.get("version") != 1 or not isinstance(data.get("column"), list):
        raise DescriptionError(f"{where}: expected version = 1 and one [[column]] for each column.")
    known = {f.name for f in fields(Column)}
    columns = []
    unstated = _unstated_kind_origin(text, data["column"])
    for row in data["column"]:
        unknown = sorted(set(row) - known)
        name = row.get("name")
        if unknown or not isinstance(name, str):
            raise DescriptionError(
                f"{where}, column {name!r}: {unknown or ['name']} is unknown or missing. Allowed: {sorted(known)}."
            )
        values = {k: tuple(v) if k in _TUPLES and isinstance(v, list) else v for k, v in row.items()}
        columns.append(_column({"kind_origin": unstated, **values}, where))
    names = [column.name for column in columns]
    if len(set(names)) < len(names):
        raise DescriptionError(f"{where}: a column is described twice. Describe each once.")
    if sum(column.role == "patient" for column in columns) > 1:
        raise DescriptionError(f'{where}: more than one column has role = "patient". Keep one.')
    return tuple(columns)


def _unstated_kind_origin(text: str, rows: list[Any]) -> str:
    """Origin of kinds that state none. In a file that `galenic table describe` wrote before kinds had an origin it is "observed": by the
    sentence in its header, or because other origins in it are observed while no kind states one."""
    stated = [row for row in rows if isinstance(row, dict)]
    others = any("observed" in (row.get("bounds_origin"), row.get("categories_origin")) for row in stated)
    old = _OLD_HEADER in text or (others and not any("kind_origin" in row for row in stated))
    return "observed" if old else "declared"


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
    "hierarchy": tuple,
}


def _column(row: dict[str, Any], where: str) -> Column:
    for key, value in row.items():
        expected = _EXPECTED.get(key, str)
        items = value if isinstance(value, tuple) else ()
        item = (int, float) if key in ("edges", "heaps") else int if key == "hierarchy" else str
        if not isinstance(value, expected) or not all(isinstance(i, item) for i in items):
            raise DescriptionError(f"{where}, column {row['name']!r}: {key} has the wrong type. Correct it.")
    return Column(**row)


def read_description(path: str | Path) -> tuple[Column, ...]:
    """The description in a TOML file."""
    path = Path(path)
    if not path.is_file():
        raise DescriptionError(f"{path} is not a file. Create one: galenic table describe TABLE --out {path}")
    return from_toml(path.read_text(encoding="utf-8"), str(path))


def drops_others(path: str | Path) -> bool:
    """True if a description leaves out columns that it does not describe (others = "drop")."""
    return bool(tomllib.loads(Path(path).read_text(encoding="utf-8")).get("others") == "drop")


def read_constraints(path: str | Path) -> tuple[Constraint, ...]:
    """Constraints in a TOML file with columns; none if it declares none."""
    path = Path(path)
    if not path.is_file():
        raise DescriptionError(f"{path} is not a file. Create one: galenic table describe TABLE --out {path}")
    return constraints_from_toml(path.read_text(encoding="utf-8"), str(path))


def constraints_from_toml(text: str, where: str = "description") -> tuple[Constraint, ...]:
    """[[constraint]] tables of a TOML description. Raise DescriptionError that names the wrong constraint and field."""
    try:
        data = tomllib.loads(text)
    except (ValueError, RecursionError) as error:
        raise DescriptionError(f"{where} is not valid TOML: {error}. Correct that line.") from None
    return constraints_of(data.get("constraint", []), where)


def constraints_of(rows: object, where: str) -> tuple[Constraint, ...]:
    """Constraints in parsed TOML. Raise DescriptionError that names the wrong constraint and field."""
    if not isinstance(rows, list) or not all(isinstance(row, dict) for row in rows):
        raise DescriptionError(f"{where}: each constraint needs its own [[constraint]] table. Correct it.")
    return tuple(_constraint(row, place + 1, where) for place, row in enumerate(rows))


def _constraint(row: dict[str, Any], place: int, where: str) -> Constraint:
    known = {f.name: f for f in fields(Constraint)}
    about = f"{where}, constraint {row.get('name') or place}"
    unknown = sorted(set(row) - set(known))
    if unknown or "kind" not in row:
        raise DescriptionError(f"{about}: {unknown or ['kind']} is unknown or missing. Allowed: {sorted(known)}.")
    types: dict[str, Any] = {"columns": list, "strict": bool, "when": dict, "then": dict}
    types |= dict.fromkeys(("low", "high", "tolerance"), (int, float))
    wrong = [k for k, v in row.items() if not isinstance(v, types.get(k, str)) or (isinstance(v, bool) and k != "strict")]
    if wrong:
        raise DescriptionError(f"{about}: {wrong} has the wrong type. See docs/how-to/constraints.md for examples.")
    values: dict[str, Any] = dict(row)
    values["columns"] = tuple(str(c) for c in row.get("columns", ()))
    for side in ("when", "then"):
        values[side] = {c: tuple(str(v) for v in (vs if isinstance(vs, list) else [vs])) for c, vs in row.get(side, {}).items()}
    return Constraint(**values)


def undescribed(names: tuple[str, ...]) -> tuple[Column, ...]:
    """Columns without any declaration."""
    return tuple(Column(name) for name in names)
