"""FHIR batch and transaction: many interactions in one Bundle; a transaction is executed whole or not at all (R4, HTTP, 3.1.0.11)."""

import base64
import binascii
import re
import uuid
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qsl

import orjson

from galenic.custody.fhir.commit import Committed, StagedChange, commit
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
from galenic.custody.fhir.resource_checks import require_valid
from galenic.custody.fhir.searching import search
from galenic.custody.fhir.writing import (
    create,
    delete,
    delete_where,
    match_condition,
    patch,
    stage_patch,
    update,
    update_where,
)
from galenic.errors import (
    AccessDeniedError,
    ConflictError,
    GalenicError,
    GoneError,
    InvalidResourceError,
    NotFoundError,
    RecordError,
)

MOST_ENTRIES = 10_000
TARGET = re.compile(r"(?P<type>[A-Z][A-Za-z]+)(?:/(?P<id>[A-Za-z0-9\-.]{1,64}))?(?:\?(?P<query>.*))?$")
ORDER = {"DELETE": 0, "POST": 1, "PUT": 2, "PATCH": 3, "GET": 4, "HEAD": 4}
READING = ("GET", "HEAD")
PERMISSIONS = {"POST": "c", "PUT": "u", "PATCH": "u", "DELETE": "d"}
STATUS = {
    InvalidResourceError: "422",
    RecordError: "400",
    GoneError: "410",
    NotFoundError: "404",
    ConflictError: "412",
    AccessDeniedError: "403",
}


@dataclass(frozen=True, slots=True)
class TransactionEntry:
    """One parsed entry of a Bundle. query: after the ? of its url; url: its fullUrl."""

    number: int
    method: str
    resource_type: str
    id: str
    query: str
    request: Resource
    resource: Resource | None
    url: str

    @property
    def if_match(self) -> int | None:
        """The version that the entry expects."""
        return parse_etag(self.request.get("ifMatch"))

    @property
    def if_none_exist(self) -> str:
        """The condition of a conditional create."""
        return str(self.request.get("ifNoneExist", ""))

    @property
    def patch(self) -> bytes:
        """The JSON Patch of the entry, which a Bundle holds as a Binary (R4, HTTP, 3.1.0.11.2)."""
        try:
            return base64.b64decode(str((self.resource or {}).get("data", "")), validate=True)
        except binascii.Error:
            raise RecordError("a patch in a Bundle must be a Binary with a JSON Patch in base64 as its data.") from None

    def invalid(self, message: str, code: str, element: str, text: str) -> InvalidResourceError:
        """An error about an element of the entry."""
        return _invalid(message, code, f"Bundle.entry[{self.number}]{element}", text)


def process_bundle(repository: FhirRepository, context: RequestContext, raw: bytes) -> FhirResponse:
    """Executes a batch or transaction Bundle."""
    from galenic.records.fhir import parse  # noqa: PLC0415

    document = parse(raw)
    bundle = document.exact
    if bundle.get("resourceType") != "Bundle" or bundle.get("type") not in ("batch", "transaction"):
        raise _invalid("expected a Bundle of type batch or transaction.", "invalid", "Bundle.type", "another type")
    given = bundle.get("entry", [])
    if not isinstance(given, list) or len(given) > MOST_ENTRIES:
        raise _invalid(f"a Bundle may have at most {MOST_ENTRIES:,} entries.", "too-long", "Bundle.entry", "too many")
    entries = [_parse_entry(i, one, context.base) for i, one in enumerate(given)]
    if bundle["type"] == "transaction":
        for entry in entries:
            _require_scope(context, entry)
        require_valid(document.resource)
        responses = _execute_transaction(repository, context, entries)
    else:
        responses = [_execute_in_batch(repository, context, e) for e in entries]
    body: Resource = {"resourceType": "Bundle", "type": f"{bundle['type']}-response"}
    return FhirResponse(200, orjson.dumps({**body, "entry": responses} if responses else body))


def _invalid(message: str, code: str, expression: str, text: str) -> InvalidResourceError:
    return InvalidResourceError(message, (("error", code, expression, text),))


def _parse_entry(number: int, one: Any, base: str) -> TransactionEntry:
    place = f"Bundle.entry[{number}]"
    request = one.get("request") if isinstance(one, dict) else None
    if not isinstance(request, dict) or not isinstance(request.get("url"), str) or request.get("method") not in ORDER:
        raise _invalid("an entry has no request.", "required", f"{place}.request", "needs a method and a url")
    method, url = request["method"], request["url"].removeprefix(f"{base}/").lstrip("/")
    match = TARGET.match(url)
    if match is None:
        if method in READING:
            return TransactionEntry(number, method, "", "", url, request, None, "")
        expected = "Expected Type, Type/id or Type?search"
        raise _invalid("the url of an entry is invalid.", "invalid", f"{place}.request.url", expected)
    resource = one.get("resource")
    if method in ("POST", "PUT") and not isinstance(resource, dict):
        raise _invalid("an entry has no resource.", "required", f"{place}.resource", "is absent")
    resource_id, query = match["id"] or "", match["query"] or ""
    return TransactionEntry(number, method, match["type"], resource_id, query, request, resource, str(one.get("fullUrl", "")))


def parse_etag(etag: object) -> int | None:
    """The version that an entity tag names (W/"3"); None for none. RecordError for a tag of another form."""
    if not etag:
        return None
    match = re.fullmatch(r'\s*(?:W/)?"?(\d{1,9})"?\s*', str(etag))
    if match is None:
        raise RecordError('If-Match does not name a version. Expected W/"3", as in the ETag header.')
    return int(match[1])


def _require_scope(context: RequestContext, entry: TransactionEntry) -> None:
    """AccessDeniedError unless the caller's scopes cover an entry."""
    permission = PERMISSIONS.get(entry.method, "r" if entry.id else "s")
    if entry.resource_type and not context.covers(entry.resource_type, permission):
        raise AccessDeniedError(f"the token's scopes do not cover an entry. Needed: {entry.resource_type}.{permission}.")


# single entries, as in a batch


def _execute(repository: FhirRepository, context: RequestContext, entry: TransactionEntry) -> FhirResponse:
    """One entry, as if it had been sent alone."""
    _require_scope(context, entry)
    _ = entry.if_match  # an invalid one is an error of every method
    return EXECUTE[entry.method](repository, context, entry)


def _execute_in_batch(repository: FhirRepository, context: RequestContext, entry: TransactionEntry) -> Resource:
    try:
        return _response_entry(_execute(repository, context, entry))
    except GalenicError as error:
        return {"response": {"status": status_of(error), "outcome": orjson.Fragment(_outcome(error))}}


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
    return update_where(repository, context, entry.resource_type, entry.query, _raw(entry))


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


def _response_entry(response: FhirResponse) -> Resource:
    head: Resource = {"status": str(response.status)}
    if response.version:
        head |= {"etag": f'W/"{response.version}"', "lastModified": format_instant(response.updated)}
    if response.location:
        head["location"] = response.location
    entry: Resource = {"response": head}
    if response.decision:
        entry["extension"] = [{"url": DECISION_EXTENSION, "valueString": str(response.decision)}]
    return {**entry, "resource": orjson.Fragment(response.body)} if response.body else entry


def status_of(error: GalenicError) -> str:
    """The HTTP status of an error."""
    return next((s for kind, s in STATUS.items() if isinstance(error, kind)), "500")


def _outcome(error: GalenicError) -> bytes:
    if isinstance(error, InvalidResourceError):
        return operation_outcome(*(outcome_issue(level, code, text, where) for level, code, where, text in error.issues))
    return operation_outcome(outcome_issue("error", "processing", str(error)))


# transactions


@dataclass(slots=True)
class _TransactionPlan:
    """Plan of a transaction, by number of the entry: changes, and responses of entries that change nothing. names: the
    names (Type/id) by the fullUrl of the entries."""

    changes: dict[int, StagedChange] = field(default_factory=dict)
    responses: dict[int, FhirResponse] = field(default_factory=dict)
    names: dict[str, str] = field(default_factory=dict)


def _execute_transaction(
    repository: FhirRepository, context: RequestContext, entries: list[TransactionEntry]
) -> list[Resource]:
    with repository.write_lock:
        plan = _TransactionPlan()
        for entry in sorted(entries, key=lambda e: ORDER[e.method]):
            if entry.method in READING:
                continue
            STAGE[entry.method](repository, context, entry, plan)
            if entry.url and entry.number in plan.changes:
                plan.names[entry.url] = plan.changes[entry.number].name
            elif entry.url and entry.number in plan.responses:
                plan.names[entry.url] = plan.responses[entry.number].location.removeprefix(f"{context.base}/")
        _require_distinct(plan.changes)
        for change in plan.changes.values():
            if change.exact is not None:
                _resolve_references(repository, context, change.exact, plan.names)
        changes = list(plan.changes.values())
        committed = commit(repository, context, changes) if changes else Committed()
    responses = plan.responses | _responses(context, plan.changes, committed)
    for entry in entries:
        if entry.method in READING:
            responses[entry.number] = _execute(repository, context, entry)
    return [_response_entry(responses[e.number]) for e in entries]


def _responses(context: RequestContext, changes: dict[int, StagedChange], committed: Committed) -> dict[int, FhirResponse]:
    """The response of each change."""
    found: dict[int, FhirResponse] = {}
    for (number, change), version, decision in zip(changes.items(), committed.versions, committed.decisions, strict=True):
        status = 204 if change.exact is None else 201 if version.is_first else 200
        location = "" if change.exact is None else f"{context.base}/{change.name}/_history/{version.version}"
        found[number] = FhirResponse(status, b"", version.version, committed.updated, location, decision)
    return found


def _stage_create(repository: FhirRepository, context: RequestContext, entry: TransactionEntry, plan: _TransactionPlan) -> None:
    _require_type(entry)
    _ = entry.if_match  # an invalid one is an error here, too
    match = match_condition(repository, context, entry.resource_type, entry.if_none_exist) if entry.if_none_exist else None
    if match is not None:
        plan.responses[entry.number] = FhirResponse(200, location=f"{context.base}/{match.name}")
    else:
        change = StagedChange(entry.resource_type, str(uuid.uuid4()), entry.resource, is_new=True)
        plan.changes[entry.number] = change


def _stage_update(repository: FhirRepository, context: RequestContext, entry: TransactionEntry, plan: _TransactionPlan) -> None:
    _require_type(entry)
    assert entry.resource is not None
    if_match, resource_id, given = entry.if_match, entry.id, entry.resource.get("id")
    is_new = False
    if not resource_id:
        match = match_condition(repository, context, entry.resource_type, entry.query)
        is_new = match is None and given is None
        resource_id = match.name.partition("/")[2] if match else str(given or uuid.uuid4())
    if given is not None and given != resource_id:
        raise entry.invalid("the resource of an entry has another id than its url.", "invalid", ".resource.id", "another id")
    plan.changes[entry.number] = StagedChange(entry.resource_type, resource_id, entry.resource, if_match, is_new)


def _stage_patch(repository: FhirRepository, context: RequestContext, entry: TransactionEntry, plan: _TransactionPlan) -> None:
    if_match, name = entry.if_match, f"{entry.resource_type}/{entry.id}"
    plan.changes[entry.number] = stage_patch(repository, context, name, entry.patch, if_match)


def _stage_delete(repository: FhirRepository, context: RequestContext, entry: TransactionEntry, plan: _TransactionPlan) -> None:
    if_match, resource_id = entry.if_match, entry.id
    if not resource_id:
        match = match_condition(repository, context, entry.resource_type, entry.query)
        resource_id = match.name.partition("/")[2] if match else ""
    location = repository.locate(f"{entry.resource_type}/{resource_id}") if resource_id else None
    if location is None or not location.is_live:
        plan.responses[entry.number] = FhirResponse(204)
    else:
        plan.changes[entry.number] = StagedChange(entry.resource_type, resource_id, None, if_match)


STAGE: dict[str, Callable[[FhirRepository, RequestContext, TransactionEntry, _TransactionPlan], None]] = {
    "POST": _stage_create,
    "PUT": _stage_update,
    "PATCH": _stage_patch,
    "DELETE": _stage_delete,
}


def _require_type(entry: TransactionEntry) -> None:
    if entry.resource is not None and entry.resource.get("resourceType") != entry.resource_type:
        raise entry.invalid("the resource of an entry is of another type than its url.", "invalid", ".resource", "another type")


def _require_distinct(changes: dict[int, StagedChange]) -> None:
    seen: set[str] = set()
    for number, change in changes.items():
        if change.name in seen:
            message = "two entries of a transaction change the same resource."
            raise _invalid(message, "duplicate", f"Bundle.entry[{number}]", "twice")
        seen.add(change.name)


def _resolve_references(repository: FhirRepository, context: RequestContext, exact: Resource, names: dict[str, str]) -> None:
    """Replaces references by the names that they stand for: fullUrl of an entry, absolute URL, conditional reference."""
    from galenic.records.fhir import references, rename_references  # noqa: PLC0415

    renamed = dict(names)
    for text in references(_with_plain_values(exact)):
        if text.startswith(f"{context.base}/"):
            renamed.setdefault(text, text.removeprefix(f"{context.base}/"))
        elif "?" in text and not text.startswith("http"):
            resource_type, _, query = text.partition("?")
            match = match_condition(repository, context, resource_type, query)
            if match is None:
                raise ConflictError(f"a conditional reference to a {resource_type} matches nothing. Nothing was written.")
            renamed[text] = match.name
    if renamed:
        rename_references(exact, renamed)


def _with_plain_values(exact: Resource) -> Resource:
    """The resource with numbers that orjson can write."""
    from galenic.records.fhir import write_json  # noqa: PLC0415

    is_exact = any(isinstance(v, str) and type(v) is not str for v in exact.values())
    return orjson.loads(write_json(exact)) if is_exact else exact
