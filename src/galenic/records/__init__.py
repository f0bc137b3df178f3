"""Patient records in and out: files to typed tables, descriptions, splits by patient."""

from galenic.records.describe import ambiguous_dates, describe, patient_column, suspicious
from galenic.records.description import (
    constraints_from_toml,
    drops_others,
    from_toml,
    read_constraints,
    read_description,
    to_toml,
    undescribed,
)
from galenic.records.flat import before, flatten, handed_down, lagged, own_columns, shown
from galenic.records.mapping import read_mapping
from galenic.records.parse import DATE_FORMATS, INTEGER, LEADING_ZERO, NUMBER, cleaned, dates, matches
from galenic.records.read import read
from galenic.records.relations import StatedTable, read_relations
from galenic.records.source import Source, in_memory
from galenic.records.split import Split, Units, capped, split_as_given, split_by_patient, units
from galenic.records.write import defused, write, write_frame, write_stream

__all__ = [
    "DATE_FORMATS",
    "INTEGER",
    "LEADING_ZERO",
    "NUMBER",
    "Source",
    "Split",
    "StatedTable",
    "Units",
    "ambiguous_dates",
    "before",
    "capped",
    "cleaned",
    "constraints_from_toml",
    "dates",
    "defused",
    "describe",
    "drops_others",
    "flatten",
    "from_toml",
    "handed_down",
    "in_memory",
    "lagged",
    "matches",
    "own_columns",
    "patient_column",
    "read",
    "read_constraints",
    "read_description",
    "read_mapping",
    "read_relations",
    "shown",
    "split_as_given",
    "split_by_patient",
    "suspicious",
    "to_toml",
    "undescribed",
    "units",
    "write",
    "write_frame",
    "write_stream",
]
