"""FHIR batch: each entry of a Bundle is executed like a separate request (R4, HTTP, 3.1.0.11)."""

from collections.abc import Callable
from urllib.parse import parse_qsl

import orjson

from galenic.custody.fhir.bundle_entries import TransactionEntry, require_scope
from galenic.custody.fhir.messages import (
    DECISION_EXTENSION,
    FhirResponse,
    RequestContext,
    Resource,
    format_instant,
    operation_outcome,
    outcome_issue,
)
from galenic.custody.fhir.reading import read
from galenic.custody.fhir.repository import FhirRepository
from galenic.custody.fhir.searching import search
from galenic.custody.fhir.writing import create, delete, delete_where, patch, update, update_where
from galenic.errors import (
    AccessDeniedError,
    ConflictError,
    GalenicError,
    GoneError,
    InvalidResourceError,
    NotFoundError,
    RecordError,
    TooCostlyError,
)

STATUS = {
    TooCostlyError: "503",
    InvalidResourceError: "422",
    RecordError: "400",
    GoneError: "410",
    NotFoundError: "404",
    ConflictError: "412",
    AccessDeniedError: "403",
}


def execute(repository: FhirRepository, context: RequestContext, entry: TransactionEntry) -> FhirResponse:
    """Executes one entry like a separate request."""
    require_scope(context, entry)
    _ = entry.if_match  # an invalid one is an error for every method
    return EXECUTE[entry.method](repository, context, entry)


def execute_in_batch(repository: FhirRepository, context: RequestContext, entry: TransactionEntry) -> Resource:
    """Response entry of one entry; for an error, its status and OperationOutcome."""
    try:
        return response_entry(execute(repository, context, entry))
    except GalenicError as error:
        return refused_entry(error)


def refused_entry(error: GalenicError) -> Resource:
    """The response entry of an error."""
    return {"response": {"status": _status_of(error), "outcome": orjson.Fragment(_outcome(error))}}


def _get(repository: FhirRepository, context: RequestContext, entry: TransactionEntry) -> FhirResponse:
    if not entry.resource_type:
        raise RecordError("a GET in a Bundle must be Type/id or Type?search.")
    if entry.id:
        return read(repository, context, entry.resource_type, entry.id)
    return search(repository, context, entry.resource_type, parse_qsl(entry.query, keep_blank_values=True))


def _post(repository: FhirRepository, context: RequestContext, entry: TransactionEntry) -> FhirResponse:
    return create(repository, context, entry.resource_type, _raw(entry), if_none_exist=entry.if_none_exist)


def _put(repository: FhirRepository, context: RequestContext, entry: TransactionEntry) -> FhirResponse:
    if entry.id:
        return update(repository, context, entry.resource_type, entry.id, _raw(entry), if_match=entry.if_match)
    return update_where(repository, context, entry.resource_type, entry.query, _raw(entry), if_match=entry.if_match)


def _patch(repository: FhirRepository, context: RequestContext, entry: TransactionEntry) -> FhirResponse:
    return patch(repository, context, entry.resource_type, entry.id, entry.patch, if_match=entry.if_match)


def _delete(repository: FhirRepository, context: RequestContext, entry: TransactionEntry) -> FhirResponse:
    if entry.id:
        return delete(repository, context, entry.resource_type, entry.id, if_match=entry.if_match)
    return delete_where(repository, context, entry.resource_type, entry.query)


EXECUTE: dict[str, Callable[[FhirRepository, RequestContext, TransactionEntry], FhirResponse]] = {
    "GET": _get,
    "HEAD": _get,
    "POST": _post,
    "PUT": _put,
    "PATCH": _patch,
    "DELETE": _delete,
}


def _raw(entry: TransactionEntry) -> bytes:
    from galenic.records.fhir import write_json  # noqa: PLC0415

    return write_json(entry.resource) if entry.resource else b""


def response_entry(response: FhirResponse) -> Resource:
    """A response as an entry of the response Bundle."""
    head: Resource = {"status": str(response.status)}
    if response.version:
        head |= {"etag": f'W/"{response.version}"', "lastModified": format_instant(response.updated)}
    if response.location:
        head["location"] = response.location
    entry: Resource = {"response": head}
    if response.decision:
        entry["extension"] = [{"url": DECISION_EXTENSION, "valueString": str(response.decision)}]
    return {**entry, "resource": orjson.Fragment(response.body)} if response.body else entry


def _status_of(error: GalenicError) -> str:
    return next((s for kind, s in STATUS.items() if isinstance(error, kind)), "500")


def _outcome(error: GalenicError) -> bytes:
    if isinstance(error, InvalidResourceError):
        return operation_outcome(*(outcome_issue(level, code, text, where) for level, code, where, text in error.issues))
    return operation_outcome(outcome_issue("error", "processing", str(error)))
