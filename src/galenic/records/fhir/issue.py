"""What a check says of a resource."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class ValidationIssue:
    """One thing wrong. level: error (not FHIR) or warning (FHIR, but meaning may be lost). expression: FHIRPath of the element.
    rule: HL7's key or one of ours. It never holds a value from the resource."""

    level: str
    expression: str
    rule: str
    text: str
