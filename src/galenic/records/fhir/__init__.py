"""FHIR R4: what a resource must be, whether one is, how it is read, lowered to events and flattened."""

from galenic.records.fhir.bundle import Entry, Opened, open_bundle
from galenic.records.fhir.check import check
from galenic.records.fhir.definitions import r4
from galenic.records.fhir.issue import Issue
from galenic.records.fhir.kept import display, rename, reread
from galenic.records.fhir.lower import Lowered, lower, short_code
from galenic.records.fhir.parse import Document, Line, Number, is_ndjson, parse, parse_again, read_ndjson, read_whole, write
from galenic.records.fhir.query import Asked, Include, conditions_of, understand
from galenic.records.fhir.search import Parameter, parameters
from galenic.records.fhir.searched import Values, normal, searched, span
from galenic.records.fhir.slices import slices
from galenic.records.fhir.views import flatten
from galenic.records.fhir.whose import Whose, identifiers, plain, references, whose

__all__ = [
    "Asked",
    "Document",
    "Entry",
    "Include",
    "Issue",
    "Line",
    "Lowered",
    "Number",
    "Opened",
    "Parameter",
    "Values",
    "Whose",
    "check",
    "conditions_of",
    "display",
    "flatten",
    "identifiers",
    "is_ndjson",
    "lower",
    "normal",
    "open_bundle",
    "parameters",
    "parse",
    "parse_again",
    "plain",
    "r4",
    "read_ndjson",
    "read_whole",
    "references",
    "rename",
    "reread",
    "searched",
    "short_code",
    "slices",
    "span",
    "understand",
    "whose",
    "write",
]
