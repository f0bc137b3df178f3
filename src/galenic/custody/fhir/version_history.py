"""The history of one resource (R4, HTTP, history): its versions in pages, newest first, under one access decision for each page."""

from dataclasses import dataclass
from typing import Any
from urllib.parse import urlencode

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
from galenic.custody.fhir.reading import NOT_FOUND, open_for_reading
from galenic.custody.fhir.repository import FhirRepository
from galenic.custody.fhir.searching import CURSOR, Parameters, read_cursor, write_cursor
from galenic.errors import NotFoundError, RecordError
from galenic.security import Grant

COUNT, MOST = 200, 1_000
KNOWN = ("_count", "_since", "_at", "_format", "_pretty", CURSOR)
NEVER = 2**62  # µs: the end of the newest version


@dataclass(frozen=True, slots=True)
class HistoryRequest:
    """Parameters of a history. since: µs since 1970; at: first µs of a period and the first after it, empty for none; used: the
    applied parameters, without the cursor."""

    count: int
    since: int
    at: tuple[int, int] | tuple[()]
    cursor: str
    used: Parameters


def read_history(
    repository: FhirRepository, context: RequestContext, name: str, given: Parameters, *, lenient: bool = False
) -> FhirResponse:
    """Page of the versions of a resource (Type/id), as a Bundle. Raise RecordError for unknown parameters, unless lenient."""
    request = _parse(given, lenient=lenient)
    location, address = repository.locate(name), f"{name}/_history"
    with open_for_reading(repository, context, location) as grant:
        assert location is not None
        position: dict[str, Any] = {}
        if request.cursor:
            position = read_cursor(repository, context, address, request.used, request.cursor)
        versions = store.read_versions(repository.installation.db, grant, repository.dataset, [name], location.subject)
        if not versions:
            raise NotFoundError(NOT_FOUND)
        chosen = _chosen(repository, versions, request)
        total = position.get("total", len(chosen))
        left = [v for v in chosen if v.version < position.get("before", NEVER)]
        page = left[: request.count]
        entries = [_entry(repository, context, grant, v) for v in page]
        link = [{"relation": "self", "url": _url(context, address, request.used)}]
        if len(left) > len(page) and page:
            cursor = write_cursor(repository, context, address, request.used, {"before": page[-1].version, "total": total})
            link.append({"relation": "next", "url": _url(context, address, [*request.used, (CURSOR, cursor)])})
        bundle: Resource = {"resourceType": "Bundle", "type": "history", "total": total, "link": link}
        body = {**bundle, "entry": entries} if entries else bundle
        return FhirResponse(200, orjson.dumps(body), decision=grant.decision)


def _parse(given: Parameters, *, lenient: bool) -> HistoryRequest:
    unknown = sorted({k for k, _ in given if k not in KNOWN})
    if unknown and not lenient:
        names = ", ".join(n for n in unknown if n.isascii() and n.isprintable())[:100]
        raise RecordError(f"a history supports only the parameters _count, _since and _at, not: {names}.")
    used = [(k, v) for k, v in given if v and k in KNOWN and k != CURSOR]
    if len({k for k, _ in used}) < len(used):
        raise RecordError("a parameter of the history is given twice. Give _count, _since and _at at most once each.")
    values = dict(used)
    count = values.get("_count", str(COUNT))
    if not count.isdecimal():
        raise RecordError(f"_count must be a whole number from 0 to {MOST:,}.")
    since = _period("_since", values["_since"])[0] if "_since" in values else 0
    at = _period("_at", values["_at"]) if "_at" in values else ()
    return HistoryRequest(min(int(count), MOST), since, at, next((v for k, v in given if k == CURSOR), ""), used)


def _period(name: str, text: str) -> tuple[int, int]:
    from galenic.records.fhir import date_range  # noqa: PLC0415

    try:
        return date_range(text.replace(" ", "+"))  # an unescaped + of a time zone
    except (ValueError, OverflowError):
        raise RecordError(f"{name} is not a valid time. Expected 2026-11-30 or 2026-11-30T10:00:00Z.") from None


def _chosen(
    repository: FhirRepository, versions: list[store.StoredDocument], request: HistoryRequest
) -> list[store.StoredDocument]:
    """Versions that were written since a time, or were current during a period."""
    chosen, end = [], NEVER
    for version in versions:  # newest first
        start = last_updated(version, repository.imported_at)
        is_current = not request.at or (start < request.at[1] and end > request.at[0])
        if start >= request.since and is_current:
            chosen.append(version)
        end = start
    return chosen


def _entry(repository: FhirRepository, context: RequestContext, grant: Grant, stored: store.StoredDocument) -> Resource:
    repository.index.require_time()
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


def _url(context: RequestContext, address: str, given: Parameters) -> str:
    return f"{context.base}/{address}" + (f"?{urlencode(given)}" if given else "")
