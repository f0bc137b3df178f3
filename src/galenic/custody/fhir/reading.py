"""Read, vread and history: one resource of one patient, under one decision."""

import orjson

from galenic import store
from galenic.custody.fhir.messages import FhirResponse, RequestContext, Resource, format_instant, last_updated, serialize
from galenic.custody.fhir.repository import FhirRepository
from galenic.errors import AccessDeniedError, GoneError, NotFoundError
from galenic.security import Grant

NOT_FOUND = "there is no such resource here, or none that you may know of."
MOST_VERSIONS = 200


def read(repository: FhirRepository, context: RequestContext, kind: str, own: str) -> FhirResponse:
    """The newest version. NotHere where there is none or the gate says no: the answer, and the work for it, is the same."""
    found = repository.locate(f"{kind}/{own}")
    row, _subject, _patient, live = found or (-1, -1, True, False)
    with _opened(repository, context, found) as handle:
        kept = store.read_rows(repository.installation.db, repository.known, {_subject: handle}, [row]).get(row)
        if kept is None:
            raise NotFoundError(NOT_FOUND)
        if not live:
            raise GoneError(f"{kind} of this id was deleted. Its versions may be read: {kind}/[id]/_history")
        return _answer(repository, handle, kept)


def read_version(repository: FhirRepository, context: RequestContext, kind: str, own: str, number: str) -> FhirResponse:
    """One version. Those of another patient, whose the resource was before, are not among them."""
    found = repository.locate(f"{kind}/{own}")
    with _opened(repository, context, found) as handle:
        assert found is not None
        every = store.read_versions(repository.installation.db, handle, repository.known, [f"{kind}/{own}"], found[1])
        kept = next((k for k in every if str(k.version) == number), None)
        if kept is None:
            raise NotFoundError(NOT_FOUND)
        if kept.about.get("deleted"):
            raise GoneError("this version is a deletion. There is nothing to read in it.")
        return _answer(repository, handle, kept)


def read_history(repository: FhirRepository, context: RequestContext, kind: str, own: str) -> FhirResponse:
    """Every version, newest first, as a Bundle."""
    found = repository.locate(f"{kind}/{own}")
    with _opened(repository, context, found) as handle:
        assert found is not None
        every = store.read_versions(repository.installation.db, handle, repository.known, [f"{kind}/{own}"], found[1])[
            :MOST_VERSIONS
        ]
        if not every:
            raise NotFoundError(NOT_FOUND)
        entries = [_entry(repository, context, handle, k) for k in every]
    head: Resource = {"resourceType": "Bundle", "type": "history", "total": len(entries)}
    head["link"] = [{"relation": "self", "url": f"{context.base}/{kind}/{own}/_history"}]
    return FhirResponse(200, orjson.dumps({**head, "entry": entries}), decision=handle.decision)


def _entry(repository: FhirRepository, context: RequestContext, handle: Grant, kept: store.StoredDocument) -> Resource:
    from galenic.custody.fhir.messages import DECISION_EXTENSION  # noqa: PLC0415

    name, gone = f"{kept.type}/{kept.id}", bool(kept.about.get("deleted"))
    method, status = ("DELETE", "204") if gone else ("PUT", "200") if kept.version > 1 else ("POST", "201")
    when = format_instant(last_updated(kept, repository.imported_at))
    entry: Resource = {
        "extension": [{"url": DECISION_EXTENSION, "valueString": str(handle.decision)}],
        "fullUrl": f"{context.base}/{name}",
    }
    if not gone:
        entry["resource"] = orjson.Fragment(serialize(kept, repository.imported_at))
    entry["request"] = {"method": method, "url": kept.type if method == "POST" else name}
    return {**entry, "response": {"status": status, "etag": f'W/"{kept.version}"', "lastModified": when}}


def _opened(repository: FhirRepository, context: RequestContext, found: tuple[int, int, bool, bool] | None) -> Grant:
    """A decision about whose it is; where it is nobody's that one may know of, a refusal that looks like absence."""
    subject, patient = (found[1], found[2]) if found else ("unknown", True)
    try:
        place = repository.place(subject, patient)
        handle = repository.installation.gate.open(context.session, "read", place, context.purpose, why=context.why)
    except AccessDeniedError as refused:
        raise NotFoundError(NOT_FOUND) from refused
    if found is None:
        with handle:
            raise NotFoundError(NOT_FOUND)
    return handle


def _answer(repository: FhirRepository, handle: Grant, kept: store.StoredDocument) -> FhirResponse:
    updated = last_updated(kept, repository.imported_at)
    return FhirResponse(200, serialize(kept, repository.imported_at), kept.version, updated, decision=handle.decision)
