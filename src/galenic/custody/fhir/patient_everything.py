"""Patient/$everything (R4, Patient, operation everything): one patient's whole record, under one decision."""

from typing import Any

import orjson

from galenic import store
from galenic.custody.fhir.messages import DECISION_EXTENSION, FhirResponse, RequestContext, Resource, serialize
from galenic.custody.fhir.reading import NOT_FOUND
from galenic.custody.fhir.repository import FhirRepository
from galenic.custody.fhir.searching import read_cursor, write_cursor
from galenic.errors import AccessDeniedError, NotFoundError, RecordError

COUNT, MOST = 200, 1_000
KNOWN = ("_count", "_since", "_type", "_cursor", "start", "end")


def patient_everything(
    repository: FhirRepository, context: RequestContext, own: str, given: list[tuple[str, str]]
) -> FhirResponse:
    """A page of the record: the patient first, then what is the patient's in the order of writing. NotHere as for a read."""
    from galenic.records.fhir import date_range  # noqa: PLC0415

    asked = {k: v for k, v in given if v}
    strange = sorted({k for k in asked if k not in KNOWN or k in ("start", "end")})
    if strange:
        raise RecordError(
            f"$everything knows _count, _since and _type, not: {', '.join(n for n in strange if n.isascii())[:100]}."
        )
    count = _count(asked.get("_count", str(COUNT)))
    kinds = tuple(k for k in asked.get("_type", "").split(",") if k)
    try:
        since = date_range(asked["_since"])[0] if "_since" in asked else 0
    except (ValueError, OverflowError):
        raise RecordError("_since is no instant. Expected 2026-11-30T10:00:00Z.") from None
    found = repository.locate(f"Patient/{own}")
    subject, patient = (found[1], found[2]) if found else ("unknown", True)
    try:
        handle = repository.installation.gate.open(
            context.session, "read", repository.place(subject, patient), context.purpose, why=context.why
        )
    except AccessDeniedError as refused:
        raise NotFoundError(NOT_FOUND) from refused
    place = f"Patient/{own}/$everything"
    with handle:
        if found is None or not found[3]:
            raise NotFoundError(NOT_FOUND)
        plain = [(k, v) for k, v in given if k != "_cursor"]
        at: dict[str, Any] = read_cursor(repository, context, place, plain, asked["_cursor"]) if "_cursor" in asked else {}
        rows = repository.index.of_subject(int(found[1]), at.get("after", -1), count + 1, since, kinds)
        rows = [h for h in rows if context.may(h.name.partition("/")[0])]
        more, rows = len(rows) > count, rows[:count]
        kept = store.read_rows(repository.installation.db, repository.known, {int(found[1]): handle}, [h.row for h in rows])
        entries = [_entry(repository, context, kept[h.row], handle.decision) for h in rows if h.row in kept]
        head: Resource = {"resourceType": "Bundle", "type": "searchset", "link": []}
        if more:
            cursor = write_cursor(repository, context, place, plain, {"after": rows[-1].row})
            head["link"] = [
                {"relation": "next", "url": f"{context.base}/{place}?_cursor={cursor}" + "".join(f"&{k}={v}" for k, v in plain)}
            ]
        else:
            del head["link"]
        return FhirResponse(200, orjson.dumps({**head, "entry": entries} if entries else head), decision=handle.decision)


def _count(text: str) -> int:
    if not text.isdecimal() or not 1 <= int(text) <= MOST:
        raise RecordError(f"_count is no whole number from 1 to {MOST:,}.")
    return int(text)


def _entry(repository: FhirRepository, context: RequestContext, kept: store.StoredDocument, decision: int) -> Resource:
    return {
        "extension": [{"url": DECISION_EXTENSION, "valueString": str(decision)}],
        "fullUrl": f"{context.base}/{kept.type}/{kept.id}",
        "resource": orjson.Fragment(serialize(kept, repository.imported_at)),
        "search": {"mode": "match"},
    }
