"""Codes and what they mean: lookup, validate, subsumes; tables that are shipped, and loaders for those that a site licenses."""

from galenic.records.terminology.load import LOADERS, load
from galenic.records.terminology.tables import LABELS, Concept, Terminology, Verdict

__all__ = ["LABELS", "LOADERS", "Concept", "Terminology", "Verdict", "load"]
