"""The audit chain as AuditEvent resources (R4): read-only, newest first, under a decision about the house."""

import re
from collections.abc import Callable, Iterator
from typing import Any
from urllib.parse import urlencode

import orjson

from galenic.custody.fhir.messages import DECISION_EXTENSION, FhirResponse, RequestContext, Resource
from galenic.custody.fhir.repository import FhirRepository
from galenic.custody.fhir.searching import read_cursor, write_cursor
from galenic.errors import NotFoundError, RecordError
from galenic.security import AuditEntry, to_audit_event

KNOWN = ("_id", "date", "action", "outcome", "agent:identifier", "_count", "_cursor", "_format")
COUNT, MOST = 50, 500
LOOKED = 50_000  # rows that one page looks at
STEP = 500
NAME = re.compile(r"galenic-(\d{1,18})$")
Given = list[tuple[str, str]]


def read_audit_event(repository: FhirRepository, context: RequestContext, own: str) -> FhirResponse:
    """The AuditEvent of one row."""
    match = NAME.match(own)
    with repository.installation.gate.open(context.session, "read", "house", context.purpose) as handle:
        rows = repository.installation.audit.entries(int(match[1]) - 1) if match and match[1] != "0" else iter(())
        found = next(rows, None)
        if found is None:
            raise NotFoundError("there is no such row on the audit chain.")
        return FhirResponse(200, orjson.dumps(to_audit_event(found)), decision=handle.decision)


def search_audit_events(repository: FhirRepository, context: RequestContext, given: Given) -> FhirResponse:
    """A page of rows that meet the parameters. RecordError for parameters that are not known."""
    strange = sorted({k for k, _ in given if k not in KNOWN})
    if strange:
        raise RecordError(f"the audit chain is searched by {', '.join(KNOWN[:5])}.")
    tests = [test for k, v in given if v and (test := _test(k, v)) is not None]
    asked = {k: v for k, v in given}
    text = asked.get("_count", str(COUNT))
    if not text.isdecimal():
        raise RecordError("_count is no whole number.")
    count, plain = min(int(text), MOST), [(k, v) for k, v in given if k != "_cursor"]
    with repository.installation.gate.open(context.session, "search", "house", context.purpose) as handle:
        at: dict[str, Any] = (
            read_cursor(repository, context, "AuditEvent", plain, asked["_cursor"]) if "_cursor" in asked else {}
        )
        start = at.get("before", repository.installation.audit.head()[0] + 1)
        entries: list[Resource] = []
        last = start
        for entry in _newest(repository, start):
            if len(entries) == count or start - entry.seq > LOOKED:
                break
            last = entry.seq
            if all(test(entry) for test in tests):
                entries.append(_served(context, entry, handle.decision))
        head: Resource = {"resourceType": "Bundle", "type": "searchset"}
        head["link"] = [{"relation": "self", "url": f"{context.base}/AuditEvent?{urlencode(plain)}"}]
        if last > 1:
            cursor = write_cursor(repository, context, "AuditEvent", plain, {"before": last})
            head["link"].append(
                {"relation": "next", "url": f"{context.base}/AuditEvent?{urlencode([*plain, ('_cursor', cursor)])}"}
            )
        return FhirResponse(200, orjson.dumps({**head, "entry": entries} if entries else head), decision=handle.decision)


def _newest(repository: FhirRepository, before: int) -> Iterator[AuditEntry]:
    at = before - 1
    while at > 0:
        first = max(at - STEP, 0)
        rows = []
        for entry in repository.installation.audit.entries(first):
            if entry.seq > at:
                break
            rows.append(entry)
        yield from reversed(rows)
        at = first


def _served(context: RequestContext, entry: AuditEntry, decision: int) -> Resource:
    resource = to_audit_event(entry)
    return {
        "extension": [{"url": DECISION_EXTENSION, "valueString": str(decision)}],
        "fullUrl": f"{context.base}/AuditEvent/{resource['id']}",
        "resource": resource,
        "search": {"mode": "match"},
    }


def _test(name: str, value: str) -> Callable[[AuditEntry], bool] | None:
    from galenic.records.fhir import date_range  # noqa: PLC0415

    values = set(value.split(","))
    if name == "_id":
        return lambda e: f"galenic-{e.seq}" in values
    if name in ("action", "outcome"):
        return lambda e: str(to_audit_event(e)[name]) in values
    if name == "agent:identifier":
        names = {v.rpartition("|")[2] for v in values}
        return lambda e: e.actor in names
    if name != "date":
        return None
    prefix, text = (value[:2], value[2:]) if value[:2] in ("ge", "gt", "le", "lt", "eq") else ("eq", value)
    try:
        low, high = date_range(text)
    except (ValueError, OverflowError):
        raise RecordError("date is no date. Expected 2026-11, ge2026-11-30 or lt2026-11-30T10:00:00Z.") from None

    def within(e: AuditEntry) -> bool:
        at = date_range(e.time)[0]
        return {"eq": low <= at < high, "ge": at >= low, "gt": at >= high, "lt": at < low, "le": at < high}[prefix]

    return within
