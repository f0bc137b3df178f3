"""FHIR create, update, patch and delete, and their conditional forms: each is checked first, then written under an access
decision."""

import copy
import uuid
from dataclasses import replace
from urllib.parse import parse_qsl

from galenic import store
from galenic.custody.fhir.commit import StagedChange, commit
from galenic.custody.fhir.messages import FhirResponse, RequestContext, last_updated, serialize, with_server_meta
from galenic.custody.fhir.reading import NOT_FOUND
from galenic.custody.fhir.repository import FhirRepository, is_in_scope
from galenic.custody.fhir.resource_checks import parse_resource, patch_resource
from galenic.errors import AccessDeniedError, ConflictError, GoneError, NotFoundError, RecordError
from galenic.schema import SearchHit, SearchRequest
from galenic.security import Grant


def create(
    repository: FhirRepository, context: RequestContext, resource_type: str, raw: bytes, *, if_none_exist: str = ""
) -> FhirResponse:
    """Creates a resource with a new id; a conditional create only if no resource matches."""
    exact = parse_resource(raw, resource_type, context.base)
    new = StagedChange(resource_type, str(uuid.uuid4()), exact, is_new=True)
    if not if_none_exist:
        return _commit_one(repository, context, new)
    with repository.write_lock:  # no other writer creates it between the search and the write
        match = match_condition(repository, context, resource_type, if_none_exist)
        if match is not None:
            return FhirResponse(200, location=f"{context.base}/{match.name}")
        return _commit_one(repository, context, new)


def update(
    repository: FhirRepository,
    context: RequestContext,
    resource_type: str,
    resource_id: str,
    raw: bytes,
    *,
    if_match: int | None = None,
) -> FhirResponse:
    """Writes a new version, or the first one if the caller may assign ids."""
    exact = parse_resource(raw, resource_type, context.base)
    if exact.get("id") != resource_id:
        raise RecordError(f"the {resource_type} has no id, or an id that differs from the URL. Give it the id in the URL.")
    return _commit_one(repository, context, StagedChange(resource_type, resource_id, exact, if_match))


def update_where(
    repository: FhirRepository,
    context: RequestContext,
    resource_type: str,
    query: str,
    raw: bytes,
    *,
    if_match: int | None = None,
) -> FhirResponse:
    """Conditional update: a new version of the match, or a new resource without a match."""
    exact = parse_resource(raw, resource_type, context.base)
    with repository.write_lock:
        match = match_condition(repository, context, resource_type, query)
        given = exact.get("id")
        if match is None:
            new = StagedChange(resource_type, str(given or uuid.uuid4()), exact, if_match, is_new=given is None)
            return _commit_one(repository, context, new)
        resource_id = match.name.partition("/")[2]
        if given is not None and given != resource_id:
            raise RecordError(f"the {resource_type} has a different id than the resource that matches. Leave its id out.")
        return _commit_one(repository, context, StagedChange(resource_type, resource_id, exact, if_match))


def patch(
    repository: FhirRepository,
    context: RequestContext,
    resource_type: str,
    resource_id: str,
    raw: bytes,
    *,
    if_match: int | None = None,
) -> FhirResponse:
    """Applies a JSON Patch (RFC 6902) to the newest version; the result is checked like any resource."""
    with repository.write_lock:
        staged, unchanged = stage_patch(repository, context, f"{resource_type}/{resource_id}", raw, if_match)
        return unchanged if staged is None else _commit_one(repository, context, staged)


def delete(
    repository: FhirRepository,
    context: RequestContext,
    resource_type: str,
    resource_id: str,
    *,
    if_match: int | None = None,
) -> FhirResponse:
    """Writes a version that marks the deletion; earlier versions remain. Deleting again changes nothing."""
    with repository.write_lock:
        location = repository.locate(f"{resource_type}/{resource_id}")
        if location is None or not location.is_live:
            with _open_for_writing(repository, context, location) as grant:
                return FhirResponse(204, decision=grant.decision)
        return _commit_one(repository, context, StagedChange(resource_type, resource_id, None, if_match))


def delete_where(repository: FhirRepository, context: RequestContext, resource_type: str, query: str) -> FhirResponse:
    """Conditional delete: deletes the match, if there is one."""
    with repository.write_lock:
        match = match_condition(repository, context, resource_type, query)
        if match is None:
            return FhirResponse(204)
        return delete(repository, context, resource_type, match.name.partition("/")[2])


def stage_patch(
    repository: FhirRepository, context: RequestContext, name: str, raw: bytes, if_match: int | None
) -> tuple[StagedChange | None, FhirResponse]:
    """(change that a JSON Patch makes to the newest version of a resource (Type/id), None if it changes nothing; the newest
    version). The change expects that version to be current."""
    from galenic.records.fhir import parse_exact  # noqa: PLC0415

    resource_type, _, resource_id = name.partition("/")
    newest = _read_before_change(repository, context, repository.locate(name))
    before = parse_exact(newest.body)
    exact = patch_resource(copy.deepcopy(before), raw)
    if if_match is not None and if_match != newest.version:
        raise ConflictError("the version in If-Match is not the current one. Read the resource again, then repeat the change.")
    if with_server_meta(exact, resource_id, newest.version, newest.updated) == before:
        return None, replace(newest, location=f"{context.base}/{name}/_history/{newest.version}")
    return StagedChange(resource_type, resource_id, exact, newest.version), newest


def is_deletable(repository: FhirRepository, context: RequestContext, name: str) -> bool:
    """True if there is a resource (Type/id) to delete. Raise NotFoundError if the caller may not know whether there is."""
    location = repository.locate(name)
    if (
        location is not None
        and location.is_live
        and is_in_scope(repository.search_scope(context), location.subject, is_patient=location.is_patient)
    ):
        return True
    with _open_for_writing(repository, context, location):
        return location is not None and location.is_live


def match_condition(repository: FhirRepository, context: RequestContext, resource_type: str, query: str) -> SearchHit | None:
    """The one visible resource that matches a condition, or None. Raise ConflictError if several match."""
    from galenic.records.fhir import conditions_of  # noqa: PLC0415

    conditions = conditions_of(resource_type, parse_qsl(query.partition("?")[2] or query, keep_blank_values=True))
    repository.refresh()
    request = SearchRequest(resource_type, conditions, scope=repository.search_scope(context))
    hits = repository.first_matches(request, 2)
    if len(hits) > 1:
        raise more_than_one(resource_type)
    return hits[0] if hits else None


def more_than_one(resource_type: str) -> ConflictError:
    """Error of a condition that several resources match."""
    return ConflictError(f"the condition matches more than one {resource_type}. Narrow it until it matches one.")


def _read_before_change(
    repository: FhirRepository, context: RequestContext, location: store.ResourceLocation | None
) -> FhirResponse:
    """Newest version, read under a decision to write."""
    with _open_for_writing(repository, context, location) as grant:
        if location is None:
            raise NotFoundError(NOT_FOUND)
        documents = store.read_rows(repository.installation.db, repository.dataset, {location.subject: grant}, [location.row])
        if location.row not in documents:
            raise NotFoundError(NOT_FOUND)
        if not location.is_live:
            raise GoneError("the resource was deleted and cannot be patched. Create it again with an update (PUT).")
        stored = documents[location.row]
        updated = last_updated(stored, repository.imported_at)
        return FhirResponse(200, serialize(stored, repository.imported_at), stored.version, updated, decision=grant.decision)


def _open_for_writing(repository: FhirRepository, context: RequestContext, location: store.ResourceLocation | None) -> Grant:
    """Grant to write. Raise NotFoundError if access is denied, so that a hidden resource looks missing."""
    subject, is_patient = (location.subject, location.is_patient) if location else ("unknown", True)
    resource = repository.decision_resource(subject, is_patient)
    try:
        return repository.installation.gate.open(context.session, "write", resource, context.purpose)
    except AccessDeniedError as refused:
        raise NotFoundError(NOT_FOUND) from refused


def _commit_one(repository: FhirRepository, context: RequestContext, staged: StagedChange) -> FhirResponse:
    committed = commit(repository, context, [staged])
    version, decision = committed.versions[0], committed.decisions[0]
    if staged.exact is None:
        return FhirResponse(204, b"", version.version, committed.updated, decision=decision)
    location = f"{context.base}/{staged.name}/_history/{version.version}"
    status = 201 if version.is_first else 200
    return FhirResponse(status, version.document, version.version, committed.updated, location, decision)
