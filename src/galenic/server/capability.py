"""The CapabilityStatement (R4): only what is done, and all of it."""

from functools import lru_cache
from typing import Any

import orjson

from galenic import __version__

INTERACTIONS = ("read", "vread", "history-instance", "create", "update", "patch", "delete", "search-type")
NOT_SERVED = ("AuditEvent", "Bundle", "Parameters", "OperationOutcome", "CapabilityStatement")


AUDIT = {
    "type": "AuditEvent",
    "profile": "http://hl7.org/fhir/StructureDefinition/AuditEvent",
    "documentation": "The audit chain of this installation, read-only.",
    "interaction": [{"code": "read"}, {"code": "search-type"}],
    "searchParam": [
        {"name": "action", "type": "token"},
        {"name": "date", "type": "date"},
        {"name": "outcome", "type": "token"},
        {"name": "_id", "type": "token"},
    ],
}


@lru_cache(8)
def capability(base: str) -> bytes:
    """The statement of the server at that address."""
    from galenic.records.fhir import r4  # noqa: PLC0415

    rest: dict[str, Any] = {
        "mode": "server",
        "security": {
            "cors": False,
            "service": [{"coding": [{
                "system": "http://terminology.hl7.org/CodeSystem/restful-security-service", "code": "SMART-on-FHIR"}]}],
            "description": "Every record leaves by a decision about one patient, which is on the audit chain.",
        },
        "resource": [AUDIT, *(_resource(kind) for kind in sorted(r4().resources) if kind not in NOT_SERVED)],
        "interaction": [{"code": "transaction"}, {"code": "batch"}],
        "operation": [{"name": "export", "definition": "http://hl7.org/fhir/uv/bulkdata/OperationDefinition/export"},
                      {"name": "patient-export", "definition": "http://hl7.org/fhir/uv/bulkdata/OperationDefinition/patient-export"},
                      {"name": "group-export", "definition": "http://hl7.org/fhir/uv/bulkdata/OperationDefinition/group-export"},
                      {"name": "everything", "definition": "http://hl7.org/fhir/OperationDefinition/Patient-everything"},
                      {"name": "validate", "definition": "http://hl7.org/fhir/OperationDefinition/Resource-validate"}],
    }  # fmt: skip
    return orjson.dumps(
        {
            "resourceType": "CapabilityStatement",
            "status": "active",
            "date": "2026-11-22",
            "kind": "instance",
            "software": {"name": "Galenic", "version": __version__},
            "implementation": {"description": "Galenic, FHIR R4 over records in custody", "url": base},
            "instantiates": ["http://hl7.org/fhir/uv/bulkdata/CapabilityStatement/bulk-data"],
            "fhirVersion": "4.0.1",
            "format": ["application/fhir+json"],
            "patchFormat": ["application/json-patch+json"],
            "rest": [rest],
        }
    )


def _resource(kind: str) -> dict[str, Any]:
    from galenic.records.fhir import search_parameters_of  # noqa: PLC0415

    own = search_parameters_of(kind)
    references = sorted(c for c, p in own.items() if p.type == "reference")
    found: dict[str, Any] = {
        "type": kind,
        "profile": f"http://hl7.org/fhir/StructureDefinition/{kind}",
        "interaction": [{"code": c} for c in INTERACTIONS],
        "versioning": "versioned-update",
        "readHistory": True,
        "updateCreate": True,
        "conditionalCreate": True,
        "conditionalRead": "not-match",
        "conditionalUpdate": True,
        "conditionalDelete": "single",
        "referencePolicy": ["literal", "local"],
        "searchParam": [{"name": c, "definition": p.url, "type": p.type} for c, p in sorted(own.items())],
    }
    if references:
        found["searchInclude"] = ["*", *(f"{kind}:{c}" for c in references)]
        found["searchRevInclude"] = ["*"]
    return found
