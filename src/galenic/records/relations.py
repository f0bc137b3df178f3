"""A file that says which tables belong together: one [[table]] for each, in TOML."""

import tomllib
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any

from galenic.errors import DescriptionError
from galenic.records.description import constraints_of
from galenic.schema import Constraint

_TYPES: dict[str, type] = {"most": int, "links": dict, "kinds": dict, "drop": list, "keep": list, "constraint": list}


@dataclass(frozen=True)
class TableDeclaration:
    """What a file states of one table. file, columns: paths, relative to the file that states them. format: of the date in `order`.
    kinds: kinds of columns, where `columns` does not describe them. keep: the only columns to learn from (none: all); drop: columns to
    leave out. constraint: what must hold of each row, beside what `columns` states. The rest as in schema.Relation."""

    name: str
    file: str
    key: str
    parent: str = ""
    foreign_key: str = ""
    order: str = ""
    format: str = "%Y-%m-%d"
    columns: str = ""
    most: int = 20
    links: dict[str, str] = field(default_factory=dict)
    kinds: dict[str, str] = field(default_factory=dict)
    orphans: str = "refuse"
    since: str = "calendar"
    drop: tuple[str, ...] = ()
    keep: tuple[str, ...] = ()
    constraint: tuple[Constraint, ...] = ()


def read_relations(path: str | Path) -> tuple[TableDeclaration, ...]:
    """The tables that a TOML file states. DescriptionError names the table and field that is off."""
    path = Path(path)
    if not path.is_file():
        raise DescriptionError(f"{path} is not a file. Write one as docs/how-to/related-tables.md shows.")
    try:
        data = tomllib.loads(path.read_text(encoding="utf-8"))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise DescriptionError(f"{path} is not TOML ({type(error).__name__}). Correct it.") from None
    rows = data.get("table")
    if data.get("version") != 1 or not isinstance(rows, list) or not rows or not all(isinstance(r, dict) for r in rows):
        raise DescriptionError(f"{path}: expected version = 1 and a [[table]] for each table.")
    return tuple(_stated(row, place + 1, path) for place, row in enumerate(rows))


def _stated(row: dict[str, Any], place: int, path: Path) -> TableDeclaration:
    known = [f.name for f in fields(TableDeclaration)]
    about = f"{path}, table {row.get('name') or place}"
    unknown = sorted(set(row) - set(known))
    absent = [n for n in ("name", "file", "key") if n not in row]
    if unknown or absent:
        raise DescriptionError(f"{about}: {unknown or absent} not known or absent. Allowed: {known}.")
    wrong = [k for k, v in row.items() if not isinstance(v, _TYPES.get(k, str)) or isinstance(v, bool)]
    wrong += [k for k in ("drop", "keep") if not all(isinstance(n, str) for n in row.get(k, []))]
    if not wrong:
        wrong = [k for k in ("links", "kinds") if not all(isinstance(t, str) for t in row.get(k, {}).values())]
    if wrong:
        raise DescriptionError(
            f"{about}: {sorted(set(wrong))} have the wrong type. Compare with docs/how-to/related-tables.md."
        )
    values: dict[str, Any] = {k: tuple(v) if isinstance(v, list) else v for k, v in row.items()}
    values["constraint"] = constraints_of(row.get("constraint", []), about)
    for name in ("file", "columns"):
        if values.get(name):
            values[name] = str(path.parent / values[name])
    return TableDeclaration(**values)
