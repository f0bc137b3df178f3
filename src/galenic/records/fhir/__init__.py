"""FHIR R4: what a resource must be, and whether one is."""

from galenic.records.fhir.check import check
from galenic.records.fhir.definitions import r4
from galenic.records.fhir.issue import Issue

__all__ = ["Issue", "check", "r4"]
