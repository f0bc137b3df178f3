"""Terminologies: lookup, validation and subsumption of codes; shipped tables, and loaders for those that a site licenses."""

from galenic.records.terminology.installed import load_terminology, terminology
from galenic.records.terminology.loaders import LOADERS, load
from galenic.records.terminology.tables import LABELS, CodeValidation, Concept, Terminology

__all__ = [
    "LABELS",
    "LOADERS",
    "CodeValidation",
    "Concept",
    "Terminology",
    "load",
    "load_terminology",
    "terminology",
]
