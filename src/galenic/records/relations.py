"""Related tables of the same patients: their declaration in a TOML file, and a synthetic version of them."""

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field, fields, replace
from functools import cached_property
from pathlib import Path
from typing import Any

from galenic.errors import DescriptionError
from galenic.records.description import constraints_of
from galenic.records.flatten_tables import flatten
from galenic.records.source import Source, in_memory
from galenic.schema import Column, Constraint, Relation, Table

_TYPES: dict[str, type] = {"most": int, "links": dict, "kinds": dict, "drop": list, "keep": list, "constraint": list}


@dataclass(frozen=True)
class TableDeclaration:
    """Declaration of one table. file, columns: paths, relative to the file of declarations. format: of the date in `order`.
    kinds: kinds of columns that `columns` does not describe. keep: the only columns to learn from (none: all); drop: columns
    to leave out. patient: key of the table without a parent, if another column repeats like patients. constraint: rules for
    every row, in addition to those in `columns`. Other fields as in schema.Relation."""

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
    patient: str = ""
    constraint: tuple[Constraint, ...] = ()


@dataclass(frozen=True)
class SyntheticTables:
    """Synthetic tables of new patients. relations: parents first. tables: by name. flat_columns: learned columns of each flat
    table. folder: folder for rows while they are joined."""

    relations: tuple[Relation, ...]
    tables: Mapping[str, Table]
    flat_columns: Mapping[str, tuple[Column, ...]]
    folder: Path

    @cached_property
    def flat(self) -> dict[str, Source]:
        """Flat tables, made in the same way as those of the real patients."""
        relations = tuple(replace(r, columns=self.tables[r.name].columns) for r in self.relations)
        return flatten(relations, {n: in_memory(t.frame, n) for n, t in self.tables.items()}, self.folder)


def read_relations(path: str | Path) -> tuple[TableDeclaration, ...]:
    """Tables that a TOML file declares. Raise DescriptionError that names the table and the wrong field."""
    path = Path(path)
    if not path.is_file():
        raise DescriptionError(f"{path} is not a file. Create it as docs/how-to/related-tables.md shows.")
    try:
        data = tomllib.loads(path.read_text(encoding="utf-8"))
    except (ValueError, RecursionError) as error:
        raise DescriptionError(f"{path} is not valid TOML ({type(error).__name__}). Correct it.") from None
    rows = data.get("table")
    if data.get("version") != 1 or not isinstance(rows, list) or not rows or not all(isinstance(r, dict) for r in rows):
        raise DescriptionError(f"{path}: expected version = 1 and a [[table]] for each table.")
    return tuple(_declaration(row, place + 1, path) for place, row in enumerate(rows))


def _declaration(row: dict[str, Any], place: int, path: Path) -> TableDeclaration:
    known = [f.name for f in fields(TableDeclaration)]
    about = f"{path}, table {row.get('name') or place}"
    unknown = sorted(set(row) - set(known))
    absent = [n for n in ("name", "file", "key") if n not in row]
    if unknown or absent:
        raise DescriptionError(f"{about}: {unknown or absent} is unknown or missing. Allowed: {known}.")
    wrong = [k for k, v in row.items() if not isinstance(v, _TYPES.get(k, str)) or isinstance(v, bool)]
    wrong += [k for k in ("drop", "keep") if not all(isinstance(n, str) for n in row.get(k, []))]
    if not wrong:
        wrong = [k for k in ("links", "kinds") if not all(isinstance(t, str) for t in row.get(k, {}).values())]
    if wrong:
        raise DescriptionError(
            f"{about}: {sorted(set(wrong))} has the wrong type. See docs/how-to/related-tables.md for examples."
        )
    values: dict[str, Any] = {k: tuple(v) if isinstance(v, list) else v for k, v in row.items()}
    values["constraint"] = constraints_of(row.get("constraint", []), about)
    for name in ("file", "columns"):
        if values.get(name):
            values[name] = str(path.parent / values[name])
    return TableDeclaration(**values)
