"""What an interaction asks and answers, and how a resource looks when it is served."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

import orjson

from galenic.security import Session
from galenic.store import StoredDocument

Resource = dict[str, Any]
DECISION_EXTENSION = "https://galenic.dev/fhir/StructureDefinition/decision"  # extension on an entry: the decision it left by
SUBSETTED = {"system": "http://terminology.hl7.org/CodeSystem/v3-ObservationValue", "code": "SUBSETTED"}


def covers_everything(_kind: str, _letters: str = "rs") -> bool:
    """Whoever came without scopes is bound by the policy alone."""
    return True


@dataclass(frozen=True, slots=True)
class RequestContext:
    """Who asks, for what purpose. base: the address of the server, by which it names resources in links; may: whether what the
    asker came with (an access token's scopes) covers a type, to read and search or by SMART's letters (c r u d s)."""

    session: Session
    purpose: str
    base: str
    why: str = ""
    may: Callable[..., bool] = covers_everything


@dataclass(frozen=True, slots=True)
class FhirResponse:
    """What is answered. body: a resource's bytes, empty for none; decision: by which it left, 0 where it holds nobody's data."""

    status: int
    body: bytes = b""
    version: int = 0
    updated: int = 0
    location: str = ""
    decision: int = 0
    headers: Mapping[str, str] = field(default_factory=dict)


def now_micros() -> int:
    """µs since 1970 now, in whole milliseconds: as precise as instants are written."""
    return int(datetime.now(UTC).timestamp() * 1000) * 1000


def format_instant(micros: int) -> str:
    """An instant of R4, UTC, to the millisecond."""
    return datetime.fromtimestamp(micros / 1e6, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def with_server_meta(exact: Resource, own: str, version: int, updated: int) -> Resource:
    """A resource with the id, version and time that the server gives it; what else its meta says stays."""
    meta = {**exact.get("meta", {}), "versionId": str(version), "lastUpdated": format_instant(updated)}
    rest = {k: v for k, v in exact.items() if k not in ("resourceType", "id", "meta")}
    return {"resourceType": exact["resourceType"], "id": own, "meta": meta, **rest}


def last_updated(kept: StoredDocument, imported_at: str) -> int:
    """When a version was written, µs since 1970; an imported one when its data set was."""
    served = kept.about.get("served")
    if served is not None:
        return int(served)
    return int(datetime.fromisoformat(imported_at).timestamp() * 1_000_000)


def serialize(kept: StoredDocument, imported_at: str) -> bytes:
    """A version as it is served: as it was written, or, imported, with its version and time."""
    if "served" in kept.about:
        return kept.document.encode()
    from galenic.records.fhir import restore_resource, write_json  # noqa: PLC0415

    return write_json(
        with_server_meta(restore_resource(kept.document, kept.about), kept.id, kept.version, last_updated(kept, imported_at))
    )


def outcome_issue(severity: str, code: str, text: str, expression: str = "") -> Resource:
    """One issue of an OperationOutcome."""
    found: Resource = {"severity": severity, "code": code, "diagnostics": text}
    if expression:
        found["expression"] = [expression]
    return found


def operation_outcome(*issues: Resource) -> bytes:
    """An OperationOutcome."""
    return orjson.dumps({"resourceType": "OperationOutcome", "issue": list(issues)})
