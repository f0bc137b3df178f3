"""Identity out of records with fields: by rules for each type of element, free text scanned, references kept consistent."""

from galenic.privacy.structured.ccda import CcdaRules, ccda_identity, deidentify_ccda
from galenic.privacy.structured.columns import ColumnRules, may_be_known
from galenic.privacy.structured.dicom import DicomRules, deidentify_dicom, dicom_identity
from galenic.privacy.structured.fhir import FhirRules, deidentify_resource
from galenic.privacy.structured.pixels import Mask

__all__ = [
    "CcdaRules",
    "ColumnRules",
    "DicomRules",
    "FhirRules",
    "Mask",
    "ccda_identity",
    "deidentify_ccda",
    "deidentify_dicom",
    "deidentify_resource",
    "dicom_identity",
    "may_be_known",
]
