"""Patient/$everything (R4, Patient, operation everything): the complete record of one patient, under one access decision."""

from dataclasses import dataclass, replace
from typing import Any
from urllib.parse import urlencode

import orjson

from galenic import store
from galenic.custody.fhir.index_update import IndexBehindError
from galenic.custody.fhir.messages import FhirResponse, RequestContext, Resource, bundle_entry, last_updated, serialize
from galenic.custody.fhir.reading import NOT_FOUND, open_for_reading
from galenic.custody.fhir.repository import FhirRepository
from galenic.custody.fhir.searching import CURSOR, Parameters, read_cursor, write_cursor
from galenic.errors import NotFoundError, RecordError
from galenic.security import Grant

COUNT, MOST = 200, 1_000
ROWS = 1_000  # documents of a record that are read at once
KNOWN = ("_count", "_since", "_type", CURSOR)


@dataclass(frozen=True, slots=True)
class EverythingRequest:
    """Parameters of $everything. since: µs since 1970; types: none for all; given: the parameters without the cursor."""

    count: int
    since: int
    types: tuple[str, ...]
    cursor: str
    given: Parameters


def patient_everything(repository: FhirRepository, context: RequestContext, patient_id: str, given: Parameters) -> FhirResponse:
    """Page of the record in the order of writing, the patient first. Raise NotFoundError as a read does."""
    request = _parse(given)
    location = repository.locate(f"Patient/{patient_id}")
    with open_for_reading(repository, context, location) as grant:
        if location is None or not location.is_live:
            raise NotFoundError(NOT_FOUND)
        return _page(repository, context, request, f"Patient/{patient_id}/$everything", location.subject, grant)


def _parse(given: Parameters) -> EverythingRequest:
    from galenic.records.fhir import date_range, r4  # noqa: PLC0415

    values = {k: v for k, v in given if v}
    unknown = sorted({k for k in values if k not in KNOWN})
    if unknown:
        names = ", ".join(n for n in unknown if n.isascii())[:100]
        raise RecordError(f"$everything supports only the parameters _count, _since and _type, not: {names}.")
    count = values.get("_count", str(COUNT))
    if not count.isdecimal() or not 1 <= int(count) <= MOST:
        raise RecordError(f"_count must be a whole number from 1 to {MOST:,}.")
    try:
        since = date_range(values["_since"])[0] if "_since" in values else 0
    except (ValueError, OverflowError):
        raise RecordError("_since is not an instant. Expected 2026-11-30T10:00:00Z.") from None
    types = tuple(t for k, v in given if k == "_type" for t in v.split(",") if t)
    if any(t not in r4().resources for t in types):
        raise RecordError(
            "_type has a name that is not an R4 resource type. Expected types separated by commas: Observation,Condition."
        )
    return EverythingRequest(int(count), since, types, values.get(CURSOR, ""), [(k, v) for k, v in given if k != CURSOR])


def _page(
    repository: FhirRepository, context: RequestContext, request: EverythingRequest, address: str, subject: int, grant: Grant
) -> FhirResponse:
    position: dict[str, Any] = {}
    if request.cursor:
        position = read_cursor(repository, context, address, request.given, request.cursor)
    narrowed = _narrowed(context, request)
    documents = _documents(repository, narrowed, subject, position.get("after", -1), grant)
    more, shown = len(documents) > request.count, documents[: request.count]
    entries = [_entry(repository, context, d, grant.decision) for d in shown]
    bundle: Resource = {"resourceType": "Bundle", "type": "searchset"}
    if more:
        cursor = write_cursor(repository, context, address, request.given, {"after": shown[-1].row})
        query = urlencode([(CURSOR, cursor), *request.given])
        bundle["link"] = [{"relation": "next", "url": f"{context.base}/{address}?{query}"}]
    if entries:
        bundle["entry"] = entries
    return FhirResponse(200, orjson.dumps(bundle), decision=grant.decision)


def _documents(
    repository: FhirRepository, request: EverythingRequest, subject: int, after: int, grant: Grant
) -> list[store.StoredDocument]:
    """Next documents of a record after a row, one more than requested. The index finds them; they are found without it while it
    is outdated."""
    db, dataset = repository.installation.db, repository.dataset
    try:
        repository.refresh()
    except IndexBehindError:
        rows = [r for r in store.current_rows(db, grant, dataset, subject) if r > after]
    else:
        hits = repository.index.of_subject(subject, after, request.count + 1, request.since, request.types)
        rows = [h.row for h in hits]
    found: list[store.StoredDocument] = []
    for start in range(0, len(rows), ROWS):
        part = rows[start : start + ROWS]
        documents = store.read_rows(db, dataset, {subject: grant}, part)
        found += [documents[r] for r in part if r in documents and _is_asked(repository, request, documents[r])]
        if len(found) > request.count:
            break
    return found[: request.count + 1]


def _is_asked(repository: FhirRepository, request: EverythingRequest, stored: store.StoredDocument) -> bool:
    """True if a document has one of the requested types and was changed since the requested time."""
    is_new = last_updated(stored, repository.imported_at) >= request.since
    return is_new and (not request.types or stored.type in request.types)


def _narrowed(context: RequestContext, request: EverythingRequest) -> EverythingRequest:
    """Request limited to the types that the caller requests and may read; an empty name for none."""
    from galenic.records.fhir import r4  # noqa: PLC0415

    if context.covers("*"):
        return request
    covered = tuple(t for t in request.types or sorted(r4().resources) if context.covers(t))
    return replace(request, types=covered or ("",))


def _entry(repository: FhirRepository, context: RequestContext, stored: store.StoredDocument, decision: int) -> Resource:
    resource = orjson.Fragment(serialize(stored, repository.imported_at))
    return bundle_entry(context, f"{stored.type}/{stored.id}", resource, decision)
