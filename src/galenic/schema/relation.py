"""Several tables of the same patients: parents, keys and order, as declared by people."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from galenic.errors import DescriptionError
from galenic.schema.column import Column
from galenic.schema.constraint import Constraint

MARK = "@"  # prefix of the names of computed columns
PATIENT = "@patient"
NTH = "@nth"  # rows of a patient in a table, numbered by their order: 1, 2 ...


@dataclass(frozen=True)
class Relation:
    """One table among several. The root (no parent) has one row per patient.

    since: reference date for the first row of each parent, "calendar" (an extract of some years) or "parent" (a life, a stay).
    key: column with a unique value in each row. parent, foreign_key: the parent table, and the column that refers to it. order:
    date by which rows of one parent follow each other. most: rows of one patient that are learned from, and made, at most.
    links: further columns that name a row of another table of the same patient, or nobody. orphans: treatment of rows without a
    parent row, refuse or drop. columns: every column of the file, described. constraints: must hold in each row; columns of an
    ancestor are named as TABLE.COLUMN.
    """

    name: str
    columns: tuple[Column, ...]
    key: str
    parent: str = ""
    foreign_key: str = ""
    order: str = ""
    most: int = 20
    links: Mapping[str, str] = field(default_factory=dict)
    orphans: str = "refuse"
    since: str = "calendar"
    constraints: tuple[Constraint, ...] = ()

    def __post_init__(self) -> None:
        names = [c.name for c in self.columns]
        where = f"table {self.name!r}"
        wanted = [self.key, *([self.foreign_key] if self.parent else []), *([self.order] if self.order else []), *self.links]
        absent = [n for n in wanted if n not in names]
        if absent:
            raise DescriptionError(f"{where}: columns {absent} do not exist; it has {names}. Correct the names.")
        if not self.name or MARK in self.name or "." in self.name:
            raise DescriptionError(f"{where}: a table's name must not contain {MARK!r} or a point. Rename it.")
        if self.most < 1 or (not self.parent and self.foreign_key):
            raise DescriptionError(
                f'{where}: "most" must be 1 or more, and only a table with a parent has a foreign key. Correct it.'
            )
        if self.orphans not in ("refuse", "drop") or self.since not in ("calendar", "parent"):
            raise DescriptionError(
                f'{where}: "orphans" must be refuse or drop, and "since" must be calendar or parent. Correct it.'
            )
        if self.order and next(c for c in self.columns if c.name == self.order).kind != "date":
            raise DescriptionError(f'{where}: {self.order!r} orders the rows, so it must be described with kind = "date".')
        marked = [n for n in names if n.startswith(MARK)]
        if marked:
            raise DescriptionError(
                f"{where}: columns {marked} begin with {MARK!r}, which is reserved for computed columns. Rename them."
            )

    @property
    def rows_of_a_patient(self) -> int:
        """Largest number of rows of one patient."""
        return self.most if self.parent else 1

    @property
    def values(self) -> tuple[Column, ...]:
        """Columns that describe the patient: neither keys, nor columns declared to be dropped, nor sums of others."""
        keys = {self.key, self.foreign_key, *self.links, *(c.columns[0] for c in self.constraints if c.kind == "sum")}
        return tuple(
            c for c in self.columns if c.name not in keys and c.role == "value" and c.kind not in ("identifier", "text")
        )


def in_order(relations: tuple[Relation, ...]) -> tuple[Relation, ...]:
    """Tables with parents before children. Raise DescriptionError, with the tables' names, for cycles, unknown parents, and any
    number of roots but one."""
    names = [r.name for r in relations]
    twice = sorted({n for n in names if names.count(n) > 1})
    if twice:
        raise DescriptionError(f"tables {twice} are declared twice. Keep one of each.")
    for r in relations:
        strangers = [t for t in (*([r.parent] if r.parent else []), *r.links.values()) if t not in names]
        if strangers:
            raise DescriptionError(f"table {r.name!r} refers to tables {strangers} that are not declared; there are {names}.")
    roots = [r.name for r in relations if not r.parent]
    done: list[Relation] = []
    while len(done) < len(relations):
        placed = {r.name for r in done}
        ready = [
            r for r in relations if r.name not in placed and (not r.parent or r.parent in placed) and not _early(r, placed)
        ]
        if not ready:
            circle = [n for n in names if n not in placed]
            raise DescriptionError(f"the foreign keys of tables {circle} form a cycle. Remove one of them.")
        done += ready
    if len(roots) != 1:
        raise DescriptionError(
            f"tables {roots} have no parent. Exactly one table holds the patients; give the others a parent."
        )
    return tuple(done)


def _early(r: Relation, placed: set[str]) -> bool:
    return any(t not in placed for t in r.links.values())


def ancestors(relation: Relation, relations: tuple[Relation, ...]) -> tuple[Relation, ...]:
    """The parent, its parent, and so on up to the root."""
    by_name = {r.name: r for r in relations}
    found: list[Relation] = []
    while relation.parent:
        relation = by_name[relation.parent]
        found.append(relation)
    return tuple(found)


def children(relation: Relation, relations: tuple[Relation, ...]) -> tuple[Relation, ...]:
    """Tables that have this one as parent."""
    return tuple(r for r in relations if r.parent == relation.name)
