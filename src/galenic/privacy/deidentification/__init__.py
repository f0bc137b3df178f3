"""De-identification of files: one module per format, with a report of what was found and removed."""

from galenic.privacy.deidentification.fhir import stated
from galenic.privacy.deidentification.report import deidentification_json, write_deidentification
from galenic.privacy.deidentification.residual_search import stated_left
from galenic.privacy.deidentification.run import DeidentificationReport, DeidentificationRun
from galenic.privacy.deidentification.workflow import deidentify

__all__ = [
    "DeidentificationReport",
    "DeidentificationRun",
    "deidentification_json",
    "deidentify",
    "stated",
    "stated_left",
    "write_deidentification",
]
