"""Removal of identifier and free-text columns from a table before a fit, according to their description."""

import shlex
from dataclasses import dataclass

from galenic.errors import RecordError
from galenic.privacy.deidentification import identifying_headers
from galenic.records import Source, suspicious
from galenic.schema import Column


@dataclass(frozen=True)
class DeidentifiedColumns:
    """columns: those that may be used for a fit, in order. dropped: names of the others, with the reason."""

    columns: tuple[Column, ...]
    dropped: dict[str, str]


def _refuse_undeclared(source: Source, undeclared: tuple[str, ...]) -> None:
    """RecordError if undeclared columns look like identifiers or free text, or announce them by their names."""
    if not undeclared:
        return
    found: dict[str, str] = {**suspicious(source, undeclared), **identifying_headers(undeclared)}
    if found:
        listed = ", ".join(f"{name} ({what})" for name, what in found.items())
        options = " ".join(f"--drop {shlex.quote(name)}" for name in found)
        raise RecordError(
            f"columns that look like identifiers or free text are not declared: {listed}. Leave them out: {options}. To learn one of "
            "them, describe it (galenic table describe TABLE --out columns.toml) and pass the description (--columns columns.toml)."
        )


def deidentify_columns(source: Source, columns: tuple[Column, ...], *, undeclared: tuple[str, ...] = ()) -> DeidentifiedColumns:
    """Columns that are neither the patient id, nor declared to be dropped, nor identifiers, nor free text.

    undeclared: columns without a declared kind. Raise RecordError if one of them looks like an identifier or free text, because
    the data owner must declare its kind before a fit.
    """
    _refuse_undeclared(source, undeclared)
    dropped = {}
    for column in columns:
        if column.role == "patient":
            dropped[column.name] = "identifies patients; used only for that"
        elif column.role == "drop":
            dropped[column.name] = "declared as dropped"
        elif column.kind in ("identifier", "text"):
            dropped[column.name] = f"declared as {column.kind}"
    learned = tuple(column for column in columns if column.name not in dropped)
    if not learned:
        raise RecordError("no column is left to learn: all are identifiers, free text or dropped. Keep at least one.")
    return DeidentifiedColumns(learned, dropped)
