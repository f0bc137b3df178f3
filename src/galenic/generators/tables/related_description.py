"""Description of related tables from a file of declarations: relations, their sources, and columns that are left out."""

from pathlib import Path

from galenic import records
from galenic.errors import DescriptionError, RecordError
from galenic.generators.tables.related_constraints import check_relation_constraints
from galenic.privacy import ColumnOptions, deidentify_columns, describe_table
from galenic.records import Source, TableDeclaration
from galenic.schema import Column, Relation, in_order


def describe_relations(
    path: str | Path, *, private: bool, buy: bool = False
) -> tuple[tuple[Relation, ...], dict[str, Source], dict[str, str]]:
    """(the declared tables, parents first; their sources; columns left out, with the reason)."""
    sources: dict[str, Source] = {}
    relations: list[Relation] = []
    dropped: dict[str, str] = {}
    for declaration in records.read_relations(path):
        source = records.read(declaration.file)
        _check_patient(declaration, source)
        relation, left_out = _relation(declaration, source, private=private, buy=buy)
        sources[declaration.name] = source
        relations.append(relation)
        dropped |= {f"{declaration.name}.{name}": why for name, why in left_out.items()}
    ordered = in_order(tuple(relations))
    check_relation_constraints(ordered)
    return ordered, sources, dropped


def _check_patient(declaration: TableDeclaration, source: Source) -> None:
    """DescriptionError, or RecordError by its rows, if the key of the table without a parent may number visits: then one patient's rows
    would not be protected together."""
    if declaration.parent or declaration.key not in source.names:
        return
    if declaration.patient not in ("", declaration.key):
        raise DescriptionError(
            f"table {declaration.name!r}: patient is {declaration.patient!r} and the key {declaration.key!r}. The key of the table without a "
            "parent tells patients apart: make it the key of a table with one row for each patient."
        )
    repeated = records.repeated_instead(source, declaration.key) if not declaration.patient else None
    if repeated is not None:
        raise RecordError(
            f"table {declaration.name!r}: its key {declaration.key!r} has another value in every row, while values of {repeated!r} repeat as "
            f"patients do who have several rows. If {repeated!r} tells patients apart, add a table of patients with it as the key, and name "
            f"it as the parent of this one. Otherwise declare patient = {declaration.key!r}."
        )


def _relation(declaration: TableDeclaration, source: Source, *, private: bool, buy: bool) -> tuple[Relation, dict[str, str]]:
    keys = {declaration.key, declaration.foreign_key, *declaration.links} - {""}
    options = ColumnOptions(declaration.columns or None, unit="row", drop=_dropped_columns(declaration, source, keys), buy=buy)
    described = describe_table(source, options, private=private)
    columns = tuple(_declared_kind(c, declaration) for c in described.columns)
    undeclared = tuple(n for n in described.undeclared if n != declaration.order and n not in declaration.kinds)
    known: set[str] = set()
    dropped: dict[str, str] = {}
    if any(c.role == "value" for c in columns):
        kept = deidentify_columns(source, columns, undeclared=undeclared)
        known, dropped = {c.name for c in kept.columns}, {n: w for n, w in kept.dropped.items() if n not in keys}
    relation = Relation(
        name=declaration.name,
        columns=tuple(_column(c, keys, known) for c in columns),
        key=declaration.key,
        parent=declaration.parent,
        foreign_key=declaration.foreign_key,
        order=declaration.order,
        most=declaration.most,
        links=declaration.links,
        orphans=declaration.orphans,
        since=declaration.since,
        constraints=(*described.constraints, *declaration.constraint),
    )
    return relation, dropped


def _dropped_columns(declaration: TableDeclaration, source: Source, keys: set[str]) -> tuple[str, ...]:
    """Keys, and columns that are declared to be left out, in the order of the source."""
    named = (*declaration.keep, *declaration.drop, *declaration.kinds)
    unknown = [n for n in named if n not in source.names]
    if unknown:
        raise DescriptionError(f"table {declaration.name!r}: columns {unknown} are absent; it has {list(source.names)}.")
    kept = (*declaration.keep, declaration.order, *keys) if declaration.keep else source.names
    return tuple(n for n in source.names if n in keys or n in declaration.drop or n not in kept)


def _column(column: Column, keys: set[str], known: set[str]) -> Column:
    """The column as a relation describes it: a key is an identifier, a column that may not be learned is dropped."""
    if column.name in keys:
        return column.but(kind="identifier", role="value", edges=(), categories=())
    return column if column.name in known else column.but(role="drop")


def _declared_kind(column: Column, declaration: TableDeclaration) -> Column:
    """The column with the kind that the file of tables declares: the one that orders rows is a date."""
    if column.name == declaration.order and column.kind != "date":
        form = column.format or declaration.format
        return column.but(kind="date", format=form, role="value", edges=(), categories=())
    kind = declaration.kinds.get(column.name)
    if kind is None or kind == column.kind:
        return column
    return column.but(kind=kind, edges=(), categories=(), low=None, high=None, step=None, other=kind == "category")
