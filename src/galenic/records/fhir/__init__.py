"""FHIR R4: what a resource must be, whether one is, how it is read, lowered to events and flattened."""

from galenic.records.fhir.bundle import Entry, Opened, open_bundle
from galenic.records.fhir.check import check
from galenic.records.fhir.definitions import r4
from galenic.records.fhir.issue import Issue
from galenic.records.fhir.lower import Lowered, lower
from galenic.records.fhir.parse import Document, Line, Number, parse, read_ndjson, read_whole, write
from galenic.records.fhir.views import flatten

__all__ = [
    "Document",
    "Entry",
    "Issue",
    "Line",
    "Lowered",
    "Number",
    "Opened",
    "check",
    "flatten",
    "lower",
    "open_bundle",
    "parse",
    "r4",
    "read_ndjson",
    "read_whole",
    "write",
]
