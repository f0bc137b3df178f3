"""FHIR read, vread and history: one resource of one patient, under one access decision."""

import orjson

from galenic import store
from galenic.custody.fhir.messages import (
    DECISION_EXTENSION,
    FhirResponse,
    RequestContext,
    Resource,
    format_instant,
    last_updated,
    serialize,
)
from galenic.custody.fhir.repository import FhirRepository
from galenic.errors import AccessDeniedError, GoneError, NotFoundError
from galenic.security import Grant

NOT_FOUND = "there is no such resource here, or none that you may know of."
MOST_VERSIONS = 200


def read(repository: FhirRepository, context: RequestContext, resource_type: str, resource_id: str) -> FhirResponse:
    """The newest version. NotFoundError where there is none or access is denied; both answers take the same work."""
    location = repository.locate(f"{resource_type}/{resource_id}")
    with open_for_reading(repository, context, location) as grant:
        assert location is not None
        documents = store.read_rows(repository.installation.db, repository.dataset, {location.subject: grant}, [location.row])
        stored = documents.get(location.row)
        if stored is None:
            raise NotFoundError(NOT_FOUND)
        if not location.is_live:
            raise GoneError(f"the {resource_type} was deleted. Its versions can be read: {resource_type}/[id]/_history")
        return _response(repository, grant, stored)


def read_version(
    repository: FhirRepository, context: RequestContext, resource_type: str, resource_id: str, number: str
) -> FhirResponse:
    """One version. Versions that belonged to another patient before are not found."""
    location = repository.locate(f"{resource_type}/{resource_id}")
    with open_for_reading(repository, context, location) as grant:
        assert location is not None
        versions = _versions(repository, grant, f"{resource_type}/{resource_id}", location)
        stored = next((v for v in versions if str(v.version) == number), None)
        if stored is None:
            raise NotFoundError(NOT_FOUND)
        if stored.about.get("deleted"):
            raise GoneError("this version is a deletion, which has no content.")
        return _response(repository, grant, stored)


def read_history(repository: FhirRepository, context: RequestContext, resource_type: str, resource_id: str) -> FhirResponse:
    """Every version, newest first, as a Bundle."""
    location = repository.locate(f"{resource_type}/{resource_id}")
    with open_for_reading(repository, context, location) as grant:
        assert location is not None
        versions = _versions(repository, grant, f"{resource_type}/{resource_id}", location)[:MOST_VERSIONS]
        if not versions:
            raise NotFoundError(NOT_FOUND)
        entries = [_entry(repository, context, grant, v) for v in versions]
    head: Resource = {"resourceType": "Bundle", "type": "history", "total": len(entries)}
    head["link"] = [{"relation": "self", "url": f"{context.base}/{resource_type}/{resource_id}/_history"}]
    return FhirResponse(200, orjson.dumps({**head, "entry": entries}), decision=grant.decision)


def open_for_reading(repository: FhirRepository, context: RequestContext, location: store.ResourceLocation | None) -> Grant:
    """A grant to read one subject's resources. NotFoundError where access is denied or there is no resource."""
    subject, is_patient = (location.subject, location.is_patient) if location else ("unknown", True)
    resource = repository.decision_resource(subject, is_patient)
    try:
        grant = repository.installation.gate.open(context.session, "read", resource, context.purpose, why=context.reason)
    except AccessDeniedError as refused:
        raise NotFoundError(NOT_FOUND) from refused
    if location is None:
        with grant:
            raise NotFoundError(NOT_FOUND)
    return grant


def _versions(
    repository: FhirRepository, grant: Grant, name: str, location: store.ResourceLocation
) -> list[store.StoredDocument]:
    return store.read_versions(repository.installation.db, grant, repository.dataset, [name], location.subject)


def _entry(repository: FhirRepository, context: RequestContext, grant: Grant, stored: store.StoredDocument) -> Resource:
    name, is_deletion = f"{stored.type}/{stored.id}", bool(stored.about.get("deleted"))
    method, status = ("DELETE", "204") if is_deletion else ("PUT", "200") if stored.version > 1 else ("POST", "201")
    updated = format_instant(last_updated(stored, repository.imported_at))
    entry: Resource = {
        "extension": [{"url": DECISION_EXTENSION, "valueString": str(grant.decision)}],
        "fullUrl": f"{context.base}/{name}",
    }
    if not is_deletion:
        entry["resource"] = orjson.Fragment(serialize(stored, repository.imported_at))
    entry["request"] = {"method": method, "url": stored.type if method == "POST" else name}
    return {**entry, "response": {"status": status, "etag": f'W/"{stored.version}"', "lastModified": updated}}


def _response(repository: FhirRepository, grant: Grant, stored: store.StoredDocument) -> FhirResponse:
    updated = last_updated(stored, repository.imported_at)
    return FhirResponse(200, serialize(stored, repository.imported_at), stored.version, updated, decision=grant.decision)
