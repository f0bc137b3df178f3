"""The types that pass between rooms: no I/O, no cleverness."""

from galenic.schema.coding import Codes, Floats, beginning, bin_codes, encode, numbers
from galenic.schema.column import BINNED, KINDS, MISSING_TOKENS, OTHER, Column, Kind, Origin
from galenic.schema.constraint import Constraint, all_hold, check_kinds, check_names, concerns, decides, holds
from galenic.schema.erasure import ErasureOutcome
from galenic.schema.note import TextSpan
from galenic.schema.progress import Progress, no_progress
from galenic.schema.relation import MARK, NTH, PATIENT, Relation, ancestors, children, in_order
from galenic.schema.report import Finding, NotMeasured, Report, from_json, to_json
from galenic.schema.table import ARROW_TYPES, Table
from galenic.schema.timeline import BIRTH, DEATH, TIMELINE, Event, timeline_table

__all__ = [
    "ARROW_TYPES",
    "BINNED",
    "BIRTH",
    "DEATH",
    "KINDS",
    "MARK",
    "MISSING_TOKENS",
    "NTH",
    "OTHER",
    "PATIENT",
    "TIMELINE",
    "Codes",
    "Column",
    "Constraint",
    "ErasureOutcome",
    "Event",
    "Finding",
    "Floats",
    "Kind",
    "NotMeasured",
    "Origin",
    "Progress",
    "Relation",
    "Report",
    "Table",
    "TextSpan",
    "all_hold",
    "ancestors",
    "beginning",
    "bin_codes",
    "check_kinds",
    "check_names",
    "children",
    "concerns",
    "decides",
    "encode",
    "from_json",
    "holds",
    "in_order",
    "no_progress",
    "numbers",
    "timeline_table",
    "to_json",
]
