"""Takes identifiers and free text out of a table before anything is learned from it, by declaration."""

from dataclasses import dataclass

from galenic.errors import RecordError
from galenic.records import Source, suspicious
from galenic.schema import Column


@dataclass(frozen=True)
class DeidentifiedColumns:
    """columns: what may be learned from, in order. dropped: names that were left out, with why."""

    columns: tuple[Column, ...]
    dropped: dict[str, str]


def deidentify_columns(source: Source, columns: tuple[Column, ...], *, undeclared: tuple[str, ...] = ()) -> DeidentifiedColumns:
    """Columns that are neither declared to be dropped, nor the patient, nor identifiers, nor free text.

    undeclared: columns whose kind nobody declared. RecordError if one of them looks like an identifier or free text:
    its owner must say so (or that it is neither) before anything is learned.
    """
    found = suspicious(source, undeclared)
    if found:
        listed = ", ".join(f"{name} ({kind})" for name, kind in found.items())
        raise RecordError(
            f"columns that look like identifiers or free text are not declared: {listed}. Drop them (--drop NAME), or describe "
            "them (galenic describe TABLE --out columns.toml) and pass the description (--columns columns.toml)."
        )
    dropped = {}
    for column in columns:
        if column.role == "patient":
            dropped[column.name] = "tells patients apart; used for that only"
        elif column.role == "drop":
            dropped[column.name] = "declared to be dropped"
        elif column.kind in ("identifier", "text"):
            dropped[column.name] = f"declared as {column.kind}"
    kept = tuple(column for column in columns if column.name not in dropped)
    if not kept:
        raise RecordError("no column is left to learn from: all are identifiers, free text or dropped. Keep at least one.")
    return DeidentifiedColumns(kept, dropped)
