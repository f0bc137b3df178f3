"""FHIR R4: what a resource must be, whether one is, and how it is read from bytes."""

from galenic.records.fhir.check import check
from galenic.records.fhir.definitions import r4
from galenic.records.fhir.issue import Issue
from galenic.records.fhir.lower import Lowered, lower
from galenic.records.fhir.parse import Document, Line, parse, read_ndjson

__all__ = ["Document", "Issue", "Line", "Lowered", "check", "lower", "parse", "r4", "read_ndjson"]
