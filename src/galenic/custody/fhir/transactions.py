"""Batch and transaction: many interactions in one Bundle; a transaction whole or not at all (R4, HTTP, 3.1.0.11)."""

import re
import uuid
from dataclasses import dataclass
from typing import Any
from urllib.parse import parse_qsl

import orjson

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
from galenic.custody.fhir.writing import (
    StagedChange,
    commit,
    create,
    delete,
    delete_where,
    match_condition,
    patch,
    require_valid,
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
TARGET = re.compile(r"(?P<kind>[A-Z][A-Za-z]+)(?:/(?P<id>[A-Za-z0-9\-.]{1,64}))?(?:\?(?P<query>.*))?$")
ORDER = {"DELETE": 0, "POST": 1, "PUT": 2, "PATCH": 3, "GET": 4, "HEAD": 4}
STATUS = {
    InvalidResourceError: "422",
    RecordError: "400",
    GoneError: "410",
    NotFoundError: "404",
    ConflictError: "412",
    AccessDeniedError: "403",
}


@dataclass(slots=True)
class TransactionEntry:
    """One entry of the Bundle, as it was understood."""

    number: int
    method: str
    kind: str
    id: str
    query: str
    request: Resource
    resource: Resource | None
    url: str


def process_bundle(repository: FhirRepository, context: RequestContext, raw: bytes) -> FhirResponse:
    """What a batch or transaction Bundle asks."""
    from galenic.records.fhir import parse  # noqa: PLC0415

    document = parse(raw)
    bundle = document.exact
    if bundle.get("resourceType") != "Bundle" or bundle.get("type") not in ("batch", "transaction"):
        raise InvalidResourceError(
            "what is posted here is a Bundle of type batch or transaction.", (("error", "invalid", "Bundle.type", "is none"),)
        )
    given = bundle.get("entry", [])
    if not isinstance(given, list) or len(given) > MOST_ENTRIES:
        raise InvalidResourceError(
            f"a Bundle holds at most {MOST_ENTRIES:,} entries here.", (("error", "too-long", "Bundle.entry", "too many"),)
        )
    entries = [_entry(i, one, context.base) for i, one in enumerate(given)]
    if bundle["type"] == "transaction":
        for e in entries:
            _covered(context, e)
    if bundle["type"] == "batch":
        answers = [_response(repository, context, e) for e in entries]
    else:
        require_valid(document.resource)
        answers = _whole(repository, context, entries)
    body: Resource = {"resourceType": "Bundle", "type": f"{bundle['type']}-response"}
    return FhirResponse(200, orjson.dumps({**body, "entry": answers} if answers else body))


def _entry(number: int, one: Any, base: str) -> TransactionEntry:
    place = f"Bundle.entry[{number}]"
    request = one.get("request") if isinstance(one, dict) else None
    if not isinstance(request, dict) or not isinstance(request.get("url"), str) or request.get("method") not in ORDER:
        raise InvalidResourceError(
            "an entry has no request.", (("error", "required", f"{place}.request", "needs a method and a url"),)
        )
    url = request["url"].removeprefix(f"{base}/").lstrip("/")
    match = TARGET.match(url)
    if match is None:
        if request["method"] in ("GET", "HEAD"):
            return TransactionEntry(number, request["method"], "", "", url, request, None, "")
        raise InvalidResourceError(
            "an entry's url is none.", (("error", "invalid", f"{place}.request.url", "Expected Type, Type/id or Type?search"),)
        )
    resource = one.get("resource")
    if request["method"] in ("POST", "PUT") and not isinstance(resource, dict):
        raise InvalidResourceError("an entry has no resource.", (("error", "required", f"{place}.resource", "is absent"),))
    own, query = match["id"] or "", match["query"] or ""
    return TransactionEntry(
        number, request["method"], match["kind"], own, query, request, resource, str(one.get("fullUrl", ""))
    )


def parse_etag(etag: object) -> int | None:
    """The version that an entity tag names (W/"3"); None for none. RecordError for one that is none of ours."""
    if not etag:
        return None
    match = re.fullmatch(r'\s*(?:W/)?"?(\d{1,9})"?\s*', str(etag))
    if match is None:
        raise RecordError('If-Match names no version. Expected W/"3", as ETag said.')
    return int(match[1])


def _covered(context: RequestContext, e: TransactionEntry) -> None:
    """AccessDenied where the asker's scopes do not cover an entry."""
    letters = {"POST": "c", "PUT": "u", "PATCH": "u", "DELETE": "d"}.get(e.method, "r" if e.id else "s")
    if e.kind and not context.may(e.kind, letters):
        raise AccessDeniedError(f"the token's scopes do not cover an entry. Needed: {e.kind}.{letters}.")


def _single(repository: FhirRepository, context: RequestContext, e: TransactionEntry) -> FhirResponse:
    """One entry of a batch, as if it had come alone."""
    from galenic.records.fhir import write_json  # noqa: PLC0415

    _covered(context, e)
    raw = write_json(e.resource) if e.resource else b""
    match, where = parse_etag(e.request.get("ifMatch")), e.query
    if e.method in ("GET", "HEAD"):
        if not e.kind:
            raise RecordError("a Bundle reads Type/id or Type?search.")
        return (
            read(repository, context, e.kind, e.id)
            if e.id
            else search(repository, context, e.kind, parse_qsl(where, keep_blank_values=True))
        )
    if e.method == "POST":
        return create(repository, context, e.kind, raw, if_none_exist=str(e.request.get("ifNoneExist", "")))
    if e.method == "PUT":
        return (
            update(repository, context, e.kind, e.id, raw, if_match=match)
            if e.id
            else update_where(repository, context, e.kind, where, raw)
        )
    if e.method == "PATCH":
        return patch(repository, context, e.kind, e.id, _patch_of(e), if_match=match)
    return (
        delete(repository, context, e.kind, e.id, if_match=match) if e.id else delete_where(repository, context, e.kind, where)
    )


def _patch_of(e: TransactionEntry) -> bytes:
    """A JSON Patch travels in a Bundle as a Binary (R4, HTTP, 3.1.0.11.2)."""
    import base64  # noqa: PLC0415
    import binascii  # noqa: PLC0415

    try:
        return base64.b64decode(str((e.resource or {}).get("data", "")), validate=True)
    except binascii.Error:
        raise RecordError("a patch in a Bundle is a Binary whose data is a JSON Patch in base64.") from None


def _response(repository: FhirRepository, context: RequestContext, e: TransactionEntry) -> Resource:
    try:
        answer = _single(repository, context, e)
    except GalenicError as error:
        return {"response": {"status": status_of(error), "outcome": orjson.Fragment(_outcome(error))}}
    return _answered(answer)


def _answered(answer: FhirResponse) -> Resource:
    response: Resource = {"status": str(answer.status)}
    if answer.version:
        response |= {"etag": f'W/"{answer.version}"', "lastModified": format_instant(answer.updated)}
    if answer.location:
        response["location"] = answer.location
    found: Resource = {"response": response}
    if answer.decision:
        found["extension"] = [{"url": DECISION_EXTENSION, "valueString": str(answer.decision)}]
    return {**found, "resource": orjson.Fragment(answer.body)} if answer.body else found


def status_of(error: GalenicError) -> str:
    """The HTTP status of an error."""
    return next((s for kind, s in STATUS.items() if isinstance(error, kind)), "500")


def _outcome(error: GalenicError) -> bytes:
    if isinstance(error, InvalidResourceError):
        return operation_outcome(*(outcome_issue(level, code, text, where) for level, code, where, text in error.issues))
    return operation_outcome(outcome_issue("error", "processing", str(error)))


# transactions


def _whole(repository: FhirRepository, context: RequestContext, entries: list[TransactionEntry]) -> list[Resource]:
    with repository.writing:
        staged: dict[int, StagedChange] = {}
        there: dict[int, FhirResponse] = {}
        meant: dict[str, str] = {}
        for e in sorted(entries, key=lambda e: ORDER[e.method]):
            if e.method in ("GET", "HEAD"):
                continue
            _stage(repository, context, e, staged, there)
            if e.url and e.number in staged:
                meant[e.url] = staged[e.number].name
            elif e.url and e.number in there:
                meant[e.url] = there[e.number].location.removeprefix(f"{context.base}/")
        _no_name_twice(staged)
        for one in staged.values():
            if one.exact is not None:
                _name(repository, context, one.exact, meant)
        places = list(staged)
        written, decisions, updated = commit(repository, context, [staged[i] for i in places]) if places else ([], [], 0)
    answers = dict(there)
    for i, made, decision in zip(places, written, decisions, strict=True):
        one = staged[i]
        status = 204 if one.exact is None else 201 if made.made else 200
        location = "" if one.exact is None else f"{context.base}/{one.name}/_history/{made.version}"
        answers[i] = FhirResponse(status, b"", made.version, updated, location, decision)
    for e in entries:
        if e.method in ("GET", "HEAD"):
            answers[e.number] = _single(repository, context, e)
    return [_answered(answers[e.number]) for e in entries]


def _stage(
    repository: FhirRepository,
    context: RequestContext,
    e: TransactionEntry,
    staged: dict[int, StagedChange],
    there: dict[int, FhirResponse],
) -> None:
    place = f"Bundle.entry[{e.number}]"
    if e.resource is not None and e.method in ("POST", "PUT") and e.resource.get("resourceType") != e.kind:
        raise InvalidResourceError(
            "an entry's resource is of another type than its url.", (("error", "invalid", f"{place}.resource", "another type"),)
        )
    match = parse_etag(e.request.get("ifMatch"))
    if e.method == "POST":
        condition = str(e.request.get("ifNoneExist", ""))
        found = match_condition(repository, context, e.kind, condition) if condition else None
        if found is not None:
            there[e.number] = FhirResponse(200, location=f"{context.base}/{found.name}")
        else:
            staged[e.number] = StagedChange(e.kind, str(uuid.uuid4()), e.resource, fresh=True)
    elif e.method == "PUT":
        staged[e.number] = _put(repository, context, e, match)
    elif e.method == "DELETE":
        _delete(repository, context, e, match, staged, there)
    else:
        staged[e.number] = stage_patch(repository, context, e.kind, e.id, _patch_of(e), match)


def _put(repository: FhirRepository, context: RequestContext, e: TransactionEntry, match: int | None) -> StagedChange:
    assert e.resource is not None
    own, given = e.id, e.resource.get("id")
    fresh = False
    if not own:
        found = match_condition(repository, context, e.kind, e.query)
        fresh = found is None and given is None
        own = found.name.partition("/")[2] if found else str(given or uuid.uuid4())
    if given is not None and given != own:
        where = f"Bundle.entry[{e.number}].resource.id"
        raise InvalidResourceError(
            "an entry's resource has another id than its url.", (("error", "invalid", where, "another id"),)
        )
    return StagedChange(e.kind, own, e.resource, match, fresh)


def _delete(
    repository: FhirRepository,
    context: RequestContext,
    e: TransactionEntry,
    match: int | None,
    staged: dict[int, StagedChange],
    there: dict[int, FhirResponse],
) -> None:
    own = e.id
    if not own:
        found = match_condition(repository, context, e.kind, e.query)
        own = found.name.partition("/")[2] if found else ""
    known = repository.locate(f"{e.kind}/{own}") if own else None
    if known is None or not known[3]:
        there[e.number] = FhirResponse(204)
    else:
        staged[e.number] = StagedChange(e.kind, own, None, match)


def _no_name_twice(staged: dict[int, StagedChange]) -> None:
    seen: dict[str, int] = {}
    for number, one in staged.items():
        if one.name in seen:
            where = f"Bundle.entry[{number}]"
            raise InvalidResourceError(
                "two entries of a transaction change the same resource.", (("error", "duplicate", where, "twice"),)
            )
        seen[one.name] = number


def _name(repository: FhirRepository, context: RequestContext, exact: Resource, meant: dict[str, str]) -> None:
    """References get the names that the server gives: of entries by their fullUrl, of what a search means."""
    from galenic.records.fhir import references, rename_references  # noqa: PLC0415

    renamed = dict(meant)
    for text in references(_plain(exact)):
        if text.startswith(f"{context.base}/"):
            renamed.setdefault(text, text.removeprefix(f"{context.base}/"))
        elif "?" in text and not text.startswith("http"):
            kind, _, query = text.partition("?")
            found = match_condition(repository, context, kind, query)
            if found is None:
                raise ConflictError(f"a reference names a {kind} by a search that nothing meets. Nothing was written.")
            renamed[text] = found.name
    if renamed:
        rename_references(exact, renamed)


def _plain(exact: Resource) -> Resource:
    from galenic.records.fhir import write_json  # noqa: PLC0415

    return (
        exact if not any(isinstance(v, str) and type(v) is not str for v in exact.values()) else orjson.loads(write_json(exact))
    )
