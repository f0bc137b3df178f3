"""Description of a table for learning: declared columns, the privacy unit and constraints, from a file, options and the header."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from galenic import records
from galenic.errors import DescriptionError, OptionError, UnknownNameError
from galenic.privacy.domain import refuse_observed, refuse_observed_drops, without_observed
from galenic.privacy.unit_of_privacy import PrivacyUnit, recognized_patient
from galenic.records import Source
from galenic.schema import Column, Constraint, check_kinds, check_names

DescriptionLike = str | Path | tuple[Column, ...] | None
UNITS = ("patient", "row")


@dataclass(frozen=True)
class ColumnOptions:
    """Options of the caller about columns. unit: patient or row. buy: spend budget on kinds and values that a description only
    observed. constraints: in addition to those in the description file."""

    description: DescriptionLike = None
    patient: str | None = None
    unit: str = "patient"
    drop: Sequence[str] = ()
    buy: bool = False
    constraints: tuple[Constraint, ...] = ()


@dataclass(frozen=True)
class TableDescription:
    """columns: one for each column of the source. undeclared: columns known only by name. patient: column that identifies
    patients, None if each row is a separate unit. constraints: rules for every row."""

    columns: tuple[Column, ...]
    undeclared: tuple[str, ...]
    patient: str | None
    constraints: tuple[Constraint, ...] = ()


def privacy_unit(source: Source, options: ColumnOptions, cap: int) -> PrivacyUnit:
    """Unit of privacy of a run before it starts. Raise DescriptionError, with the columns in question, if it is unclear."""
    description = options.description
    columns = records.read_description(description) if isinstance(description, str | Path) else description or ()
    return PrivacyUnit(_patient_column(source, columns, options), cap)


def describe_table(source: Source, options: ColumnOptions, *, private: bool) -> TableDescription:
    """Columns as declared by the caller. Without a description, a private fit knows only names (and pays for the rest); a fit
    without privacy infers the description from the table."""
    columns, undeclared = _declared_columns(source, options.description, private=private)
    patient = _patient_column(source, columns, options)
    unknown = [name for name in options.drop if name not in source.names]
    if unknown:
        raise UnknownNameError(
            f"--drop names columns {unknown}, which do not exist; the data has {list(source.names)}. Correct the names."
        )
    columns = tuple(_with_role(c, patient, options.drop) for c in columns)
    undeclared = tuple(name for name in undeclared if name != patient and name not in options.drop)
    if private:
        columns = tuple(c.but(strays="missing") for c in _without_observed_facts(columns, buy=options.buy))
        bought = {c.name for c in columns if c.kind == "unknown" and c.role == "value"}
        undeclared = tuple(name for name in source.names if name in undeclared or name in bought)
    return TableDescription(columns, undeclared, patient, _constraints(columns, options))


def _without_observed_facts(columns: tuple[Column, ...], *, buy: bool) -> tuple[Column, ...]:
    """The columns of a private fit: nothing that was only read from rows decides anything."""
    refuse_observed_drops(columns)
    if buy:
        return without_observed(columns)
    refuse_observed(columns)
    return columns


def _constraints(columns: tuple[Column, ...], options: ColumnOptions) -> tuple[Constraint, ...]:
    path = options.description if isinstance(options.description, str | Path) else None
    constraints = (*options.constraints, *(records.read_constraints(path) if path is not None else ()))
    check_names(constraints, tuple(c.name for c in columns if c.role == "value" and c.kind not in ("identifier", "text")))
    check_kinds(constraints, {c.name: c.kind for c in columns})
    return constraints


def _declared_columns(
    source: Source, description: DescriptionLike, *, private: bool
) -> tuple[tuple[Column, ...], tuple[str, ...]]:
    """(columns, names of undeclared ones)."""
    if description is None and private:
        return records.undescribed(source.names), source.names
    if description is None:
        return _inferred_columns(source), ()
    columns = description if isinstance(description, tuple) else records.read_description(description)
    missing = [name for name in source.names if name not in {c.name for c in columns}]
    if missing and isinstance(description, str | Path) and records.drops_others(description):
        return (*columns, *(Column(name, role="drop") for name in missing)), ()
    if missing:
        raise DescriptionError(
            f"columns {missing[:10]} of {source.name} are not described. Nothing may be learned from undeclared columns. "
            'Describe them, set role = "drop", or set others = "drop" at the top of the description.'
        )
    return columns, ()


def _inferred_columns(source: Source) -> tuple[Column, ...]:
    columns = records.describe(source)
    unclear = records.ambiguous_dates(columns)
    if unclear:
        raise DescriptionError(
            f"columns {list(unclear)} hold dates that may be day first or month first. Describe them with a format, such as "
            'format = "%d/%m/%Y" (galenic table describe TABLE --out columns.toml).'
        )
    return columns


def _patient_column(source: Source, columns: tuple[Column, ...], options: ColumnOptions) -> str | None:
    if options.unit not in UNITS:
        raise OptionError(f"the unit of privacy is {options.unit!r}. Expected patient or row.")
    if options.unit == "row":
        return None
    if options.patient is not None:
        if options.patient not in source.names:
            raise UnknownNameError(
                f"the patient column {options.patient!r} does not exist; the data has {list(source.names)}. Name one of these."
            )
        return options.patient
    described = next((c for c in columns if c.role == "patient" and options.description is not None), None)
    if described is not None and described.kind_origin != "observed":
        return described.name
    return recognized_patient(source, described.name if described is not None else None)


def _with_role(column: Column, patient: str | None, drop: Sequence[str]) -> Column:
    if column.name == patient:
        return column.but(role="patient", kind_origin="declared")
    if column.name in drop or column.role == "patient":
        return column.but(role="drop", kind_origin="declared")
    return column
