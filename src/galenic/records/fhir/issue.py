"""Issue that validation finds in a resource."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class ValidationIssue:
    """One issue. level: error (not valid FHIR) or warning (valid, but meaning may be lost); expression: FHIRPath of the element;
    rule: HL7's key, or one of ours. An issue never holds a value of the resource."""

    level: str
    expression: str
    rule: str
    text: str
