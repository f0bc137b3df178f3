"""Terminologies: lookup, validation and subsumption of codes; shipped tables, and loaders for licensed ones."""

from galenic.records.terminology.installed import load_terminology, terminology
from galenic.records.terminology.loaders import LOADERS, load
from galenic.records.terminology.shipped import hl7_codes, shipped_words
from galenic.records.terminology.tables import LABELS, CodeValidation, Concept, Terminology
from galenic.records.terminology.vocabulary import capitalized_words, icd10_categories, icd10_codes, ordinary_words

__all__ = [
    "LABELS",
    "LOADERS",
    "CodeValidation",
    "Concept",
    "Terminology",
    "capitalized_words",
    "hl7_codes",
    "icd10_categories",
    "icd10_codes",
    "load",
    "load_terminology",
    "ordinary_words",
    "shipped_words",
    "terminology",
]
