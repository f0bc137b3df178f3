"""Request context and response of an interaction, and the form in which the server sends resources."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

import orjson

from galenic.errors import AccessDeniedError
from galenic.security import Session, scopes_cover
from galenic.store import StoredDocument

Resource = dict[str, Any]
DECISION_EXTENSION = "https://galenic.dev/fhir/StructureDefinition/decision"  # number of the access decision behind an entry
SUBSETTED = {"system": "http://terminology.hl7.org/CodeSystem/v3-ObservationValue", "code": "SUBSETTED"}


@dataclass(frozen=True, slots=True)
class RequestContext:
    """Session and purpose of a request. base: URL of the FHIR endpoint, used in links; reason: stated for an emergency access;
    scopes: of the access token, None for a person in the console, who is limited only by the access policy."""

    session: Session
    purpose: str
    base: str
    reason: str = ""
    scopes: frozenset[str] | None = None

    def covers(self, resource_type: str, permissions: str = "rs") -> bool:
        """True if the scopes cover all permissions (c r u d s) for a type; "*": for any type."""
        return self.scopes is None or scopes_cover(self.scopes, resource_type, permissions)

    def require(self, resource_type: str, permissions: str) -> None:
        """Raise AccessDeniedError unless the scopes cover all permissions for a type."""
        if not self.covers(resource_type, permissions):
            raise AccessDeniedError(
                f"the token's scopes do not cover this. Needed: {resource_type}.{permissions} at the patient, user or "
                "system level."
            )


@dataclass(frozen=True, slots=True)
class FhirResponse:
    """Response of an interaction. body: a resource, empty for none; updated: µs since 1970; decision: number of the access
    decision, 0 if the response contains no patient data."""

    status: int
    body: bytes = b""
    version: int = 0
    updated: int = 0
    location: str = ""
    decision: int = 0
    headers: Mapping[str, str] = field(default_factory=dict)


def format_instant(micros: int) -> str:
    """An instant of R4, UTC, to the millisecond."""
    return datetime.fromtimestamp(micros / 1e6, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def with_server_meta(exact: Resource, resource_id: str, version: int, updated: int) -> Resource:
    """A resource with the id, version and time that the server assigns; the rest of its meta is kept."""
    meta = {**exact.get("meta", {}), "versionId": str(version), "lastUpdated": format_instant(updated)}
    rest = {k: v for k, v in exact.items() if k not in ("resourceType", "id", "meta")}
    return {"resourceType": exact["resourceType"], "id": resource_id, "meta": meta, **rest}


def last_updated(stored: StoredDocument, imported_at: str) -> int:
    """Time at which a version was written here, µs since 1970. For versions without a recorded time (imported before database
    version 0005), the time at which the data set was created."""
    written = stored.about.get("served", stored.about.get("written"))
    if written is not None:
        return int(written)
    return int(datetime.fromisoformat(imported_at).timestamp() * 1_000_000)


def serialize(stored: StoredDocument, imported_at: str) -> bytes:
    """A version as JSON, as it was written. An imported version gets the version number and time that the server assigns."""
    if "served" in stored.about:
        return stored.document.encode()
    from galenic.records.fhir import restore_resource, write_json  # noqa: PLC0415

    exact = restore_resource(stored.document, stored.about)
    return write_json(with_server_meta(exact, stored.id, stored.version, last_updated(stored, imported_at)))


def bundle_entry(context: RequestContext, name: str, resource: object, decision: int, mode: str = "match") -> Resource:
    """An entry of a searchset Bundle, with the number of its access decision. resource: a dict or an orjson.Fragment."""
    return {
        "extension": [{"url": DECISION_EXTENSION, "valueString": str(decision)}],
        "fullUrl": f"{context.base}/{name}",
        "resource": resource,
        "search": {"mode": mode},
    }


def outcome_issue(severity: str, code: str, text: str, expression: str = "") -> Resource:
    """One issue of an OperationOutcome."""
    found: Resource = {"severity": severity, "code": code, "diagnostics": text}
    if expression:
        found["expression"] = [expression]
    return found


def operation_outcome(*issues: Resource) -> bytes:
    """An OperationOutcome."""
    return orjson.dumps({"resourceType": "OperationOutcome", "issue": list(issues)})
