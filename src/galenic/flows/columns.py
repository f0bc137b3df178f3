"""What is declared about a table's columns, put together from a description, options and the header."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from galenic import records
from galenic.errors import DescriptionError
from galenic.generators.tables import check_balance, check_given
from galenic.privacy import refuse_observed, without_observed
from galenic.records import Source
from galenic.schema import Column, Constraint, check_kinds, check_names

DescriptionLike = str | Path | tuple[Column, ...] | None


@dataclass(frozen=True)
class TableDescription:
    """columns: one for each column of the source. undeclared: those of which nothing but the name is known.
    patient: the column that tells patients apart, None where each row is its own unit. constraints: what must hold of rows."""

    columns: tuple[Column, ...]
    undeclared: tuple[str, ...]
    patient: str | None
    constraints: tuple[Constraint, ...] = ()


@dataclass(frozen=True)
class ColumnOptions:
    """What the caller says about columns. unit: patient or row. buy: pay for what a description only observed. constraints: beside
    those that stand in the description's file."""

    description: DescriptionLike = None
    patient: str | None = None
    unit: str = "patient"
    drop: Sequence[str] = ()
    buy: bool = False
    constraints: tuple[Constraint, ...] = ()


def describe_table(source: Source, column_options: ColumnOptions, *, private: bool) -> TableDescription:
    """Columns as the caller declared them. Without a description a private fit knows names only (and buys the rest); a fit
    without privacy describes the table itself."""
    columns, undeclared = _base(source, column_options.description, private=private)
    patient = _patient(source, columns, column_options)
    unknown = [name for name in column_options.drop if name not in source.names]
    if unknown:
        raise DescriptionError(f"--drop names columns {unknown} that are absent; the data has {list(source.names)}.")
    columns = tuple(_with_role(c, patient, column_options.drop) for c in columns)
    undeclared = tuple(name for name in undeclared if name != patient and name not in column_options.drop)
    if private and column_options.buy:
        columns = without_observed(columns)
    elif private:
        refuse_observed(columns)
    return TableDescription(columns, undeclared, patient, _constraints(columns, column_options))


def refuse_unknown(
    columns: tuple[Column, ...],
    *,
    named: Mapping[str, Sequence[str]],
    given: Mapping[str, object],
    balance: str | None,
) -> None:
    """DescriptionError where a run asks for what its declared columns can not give, before anything is spent. What only bought bounds
    and categories can tell is refused when they are known.

    columns: those that are learned. named: option -> the columns that it names. given, balance: as asked of the model.
    """
    by_name = {c.name: c for c in columns}
    asked = {**named, "--given": tuple(given), "--balance": () if balance is None else (balance,)}
    for option, names in asked.items():
        absent = [n for n in names if n not in by_name]
        if absent:
            raise DescriptionError(
                f"{option} names {absent}, which no model will know. Columns that are learned: {sorted(by_name)}."
            )
    if given and balance is not None:
        raise DescriptionError(
            "--given and --balance can not be had together: a given value would undo the balance. Ask for one."
        )
    check_given(tuple(c for c in columns if c.edges or (c.categories and not c.hierarchy)), given)
    if balance is not None:
        check_balance(by_name[balance])


def _constraints(columns: tuple[Column, ...], column_options: ColumnOptions) -> tuple[Constraint, ...]:
    stated = column_options.description if isinstance(column_options.description, str | Path) else None
    found = (*column_options.constraints, *(records.read_constraints(stated) if stated is not None else ()))
    check_names(found, tuple(c.name for c in columns if c.role == "value" and c.kind not in ("identifier", "text")))
    check_kinds(found, {c.name: c.kind for c in columns})
    return found


def _base(source: Source, description: DescriptionLike, *, private: bool) -> tuple[tuple[Column, ...], tuple[str, ...]]:
    if description is None and private:
        return records.undescribed(source.names), source.names
    if description is None:
        columns = records.describe(source)
        unclear = records.ambiguous_dates(columns)
        if unclear:
            raise DescriptionError(
                f"columns {list(unclear)} hold dates that may be day first or month first. Describe them with a format, such as "
                'format = "%d/%m/%Y" (galenic describe TABLE --out columns.toml).'
            )
        return columns, ()
    columns = description if isinstance(description, tuple) else records.read_description(description)
    missing = [name for name in source.names if name not in {c.name for c in columns}]
    if missing and isinstance(description, str | Path) and records.drops_others(description):
        return (*columns, *(Column(name, role="drop") for name in missing)), ()
    if missing:
        raise DescriptionError(
            f"columns {missing[:10]} of {source.name} are not described: nothing may be learned from a column that nobody declared. "
            'Describe them, declare role = "drop", or write others = "drop" at the top of the description.'
        )
    return columns, ()


def _patient(source: Source, columns: tuple[Column, ...], column_options: ColumnOptions) -> str | None:
    if column_options.unit not in ("patient", "row"):
        raise DescriptionError(f"the unit is {column_options.unit!r}. Expected patient or row.")
    if column_options.unit == "row":
        return None
    if column_options.patient is not None:
        if column_options.patient not in source.names:
            raise DescriptionError(
                f"the patient column {column_options.patient!r} is absent; the data has {list(source.names)}."
            )
        return column_options.patient
    found = next((c.name for c in columns if c.role == "patient"), None) or records.patient_column(source.names)
    if found is None:
        raise DescriptionError(
            "no column is known to tell patients apart. Name it (--patient COLUMN), or say that each row is one patient (--unit "
            "row); with several rows per patient the latter would protect visits, not people."
        )
    return found


def _with_role(column: Column, patient: str | None, drop: Sequence[str]) -> Column:
    if column.name == patient:
        return column.but(role="patient")
    if column.name in drop or column.role == "patient":
        return column.but(role="drop")
    return column
