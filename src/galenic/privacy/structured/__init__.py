"""Identity out of records with fields: by rules for each type of element, free text scanned, references kept consistent."""

from galenic.privacy.structured.fhir import FhirRules, deidentify_resource

__all__ = ["FhirRules", "deidentify_resource"]
