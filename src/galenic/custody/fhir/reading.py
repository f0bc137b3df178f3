"""FHIR read and vread: one resource of one patient, under one access decision."""

from galenic import store
from galenic.custody.fhir.messages import FhirResponse, RequestContext, last_updated, serialize
from galenic.custody.fhir.repository import FhirRepository
from galenic.errors import AccessDeniedError, GoneError, NotFoundError
from galenic.security import Grant

NOT_FOUND = "this resource does not exist, or you may not know whether it does."


def read(repository: FhirRepository, context: RequestContext, resource_type: str, resource_id: str) -> FhirResponse:
    """Newest version. Raise NotFoundError if there is none or access is denied; both cases take the same work."""
    location = repository.locate(f"{resource_type}/{resource_id}")
    with open_for_reading(repository, context, location) as grant:
        assert location is not None
        documents = store.read_rows(repository.installation.db, repository.dataset, {location.subject: grant}, [location.row])
        stored = documents.get(location.row)
        if stored is None:
            raise NotFoundError(NOT_FOUND)
        if not location.is_live:
            raise GoneError(
                f"the {resource_type} was deleted. Its earlier versions can still be read: {resource_type}/[id]/_history"
            )
        return _response(repository, grant, stored)


def read_version(
    repository: FhirRepository, context: RequestContext, resource_type: str, resource_id: str, number: str
) -> FhirResponse:
    """One version. Versions that belonged to another patient are not found."""
    location = repository.locate(f"{resource_type}/{resource_id}")
    with open_for_reading(repository, context, location) as grant:
        assert location is not None
        versions = _versions(repository, grant, f"{resource_type}/{resource_id}", location)
        stored = next((v for v in versions if str(v.version) == number), None)
        if stored is None:
            raise NotFoundError(NOT_FOUND)
        if stored.about.get("deleted"):
            raise GoneError("this version is a deletion and has no content. Read an earlier version.")
        return _response(repository, grant, stored)


def open_for_reading(repository: FhirRepository, context: RequestContext, location: store.ResourceLocation | None) -> Grant:
    """Grant to read one subject's resources. Raise NotFoundError if access is denied or there is no resource."""
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


def _response(repository: FhirRepository, grant: Grant, stored: store.StoredDocument) -> FhirResponse:
    updated = last_updated(stored, repository.imported_at)
    return FhirResponse(200, serialize(stored, repository.imported_at), stored.version, updated, decision=grant.decision)
