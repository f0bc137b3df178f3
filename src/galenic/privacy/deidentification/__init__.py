"""De-identification of files: one module per format, with a report of what was found and removed."""

from galenic.privacy.deidentification.fhir import identifiers_of_patient
from galenic.privacy.deidentification.report import deidentification_json, write_report
from galenic.privacy.deidentification.residual_search import search_residuals
from galenic.privacy.deidentification.rules.fhir import FhirRules, deidentify_resource
from galenic.privacy.deidentification.run import DeidentificationReport, DeidentificationRun
from galenic.privacy.deidentification.workflow import deidentify

__all__ = [
    "DeidentificationReport",
    "DeidentificationRun",
    "FhirRules",
    "deidentification_json",
    "deidentify",
    "deidentify_resource",
    "identifiers_of_patient",
    "search_residuals",
    "write_report",
]
