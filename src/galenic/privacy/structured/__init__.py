"""Identity out of records with fields: by rules for each type of element, free text scanned, references kept consistent."""

from galenic.privacy.structured.dicom import DicomRules, deidentify_dicom
from galenic.privacy.structured.fhir import FhirRules, deidentify_resource

__all__ = ["DicomRules", "FhirRules", "deidentify_dicom", "deidentify_resource"]
