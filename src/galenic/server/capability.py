"""CapabilityStatement (R4), built from the declarations of the endpoints."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from typing import Any

import orjson
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from galenic.server.authentication import require_json
from galenic.version import __version__

INTERACTIONS = ("read", "vread", "history-instance", "create", "update", "patch", "delete", "search-type")
NOT_SERVED = ("AuditEvent", "Bundle", "Parameters", "OperationOutcome", "CapabilityStatement")
JSON = "application/fhir+json; fhirVersion=4.0"
Part = dict[str, Any]


@dataclass(frozen=True)
class CapabilityPart:
    """Part of the statement that one endpoint adds."""

    security: Part | None = None
    resources: tuple[Part, ...] = ()
    interactions: tuple[str, ...] = ()
    operations: tuple[tuple[str, str], ...] = ()  # name, URL of the definition
    instantiates: tuple[str, ...] = ()


def metadata_route(url: str, declare: Callable[[], tuple[CapabilityPart, ...]]) -> Route:
    """Route of the statement; no sign-in is needed. url: base URL of the FHIR endpoint; declare: called at the first request."""
    statement = cache(lambda: capability_statement(url, declare()))

    async def metadata(request: Request) -> Response:
        require_json(request)
        return Response(statement(), media_type=JSON)

    return Route("/fhir/metadata", metadata, methods=["GET"])


def capability_statement(url: str, parts: tuple[CapabilityPart, ...]) -> bytes:
    """The statement of the server whose FHIR endpoint is at a base URL."""
    rest: Part = {
        "mode": "server",
        "security": next(p.security for p in parts if p.security is not None),
        "resource": [r for p in parts for r in p.resources],
        "interaction": [{"code": code} for p in parts for code in p.interactions],
        "operation": [{"name": name, "definition": definition} for p in parts for name, definition in p.operations],
    }
    return orjson.dumps(
        {
            "resourceType": "CapabilityStatement",
            "status": "active",
            "date": "2026-11-22",
            "kind": "instance",
            "software": {"name": "Galenic", "version": __version__},
            "implementation": {"description": "Galenic, FHIR R4 access to the encrypted record store", "url": url},
            "instantiates": [url for p in parts for url in p.instantiates],
            "fhirVersion": "4.0.1",
            "format": ["application/fhir+json"],
            "patchFormat": ["application/json-patch+json"],
            "rest": [rest],
        }
    )


def resource_capability(resource_type: str) -> Part:
    """The interactions and search parameters of a type that is served in full."""
    from galenic.records.fhir import search_parameters_of  # noqa: PLC0415

    parameters = search_parameters_of(resource_type)
    references = sorted(c for c, p in parameters.items() if p.type == "reference")
    part: Part = {
        "type": resource_type,
        "profile": f"http://hl7.org/fhir/StructureDefinition/{resource_type}",
        "interaction": [{"code": c} for c in INTERACTIONS],
        "versioning": "versioned-update",
        "readHistory": True,
        "updateCreate": True,
        "conditionalCreate": True,
        "conditionalRead": "not-match",
        "conditionalUpdate": True,
        "conditionalDelete": "single",
        "referencePolicy": ["literal", "local"],
        "searchParam": [{"name": c, "definition": p.url, "type": p.type} for c, p in sorted(parameters.items())],
    }
    if references:
        part["searchInclude"] = ["*", *(f"{resource_type}:{c}" for c in references)]
        part["searchRevInclude"] = ["*"]
    return part
