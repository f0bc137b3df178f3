"""De-identification of files: one de-identifier per format, and a report of findings, replacements and refusals."""

from galenic.privacy.deidentification.fhir import identifiers_of_patient
from galenic.privacy.deidentification.identifying_columns import identifying_headers, without_identifying
from galenic.privacy.deidentification.options import MINUTES_PER_FILE, DeidentificationOptions
from galenic.privacy.deidentification.planted_recall import PlantedRecall, PlantedStratum
from galenic.privacy.deidentification.planting.measurement import measure_planted_resources
from galenic.privacy.deidentification.planting.resources import MOST_RESOURCES
from galenic.privacy.deidentification.registry import DEIDENTIFIERS, Deidentifier
from galenic.privacy.deidentification.report import deidentification_json, write_report
from galenic.privacy.deidentification.residual_search import search_residuals
from galenic.privacy.deidentification.rules.fhir import deidentify_resource
from galenic.privacy.deidentification.rules.fhir_rules import FhirRules
from galenic.privacy.deidentification.run import DeidentificationReport, DeidentificationRun, ResidualSearch, start_run
from galenic.privacy.deidentification.workflow import deidentify

__all__ = [
    "DEIDENTIFIERS",
    "MINUTES_PER_FILE",
    "MOST_RESOURCES",
    "DeidentificationOptions",
    "DeidentificationReport",
    "DeidentificationRun",
    "Deidentifier",
    "FhirRules",
    "PlantedRecall",
    "PlantedStratum",
    "ResidualSearch",
    "deidentification_json",
    "deidentify",
    "deidentify_resource",
    "identifiers_of_patient",
    "identifying_headers",
    "measure_planted_resources",
    "search_residuals",
    "start_run",
    "without_identifying",
    "write_report",
]
