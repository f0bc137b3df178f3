"""Audit log as AuditEvent resources (R4): read-only, newest first, under an access decision about the installation."""

import re
from collections.abc import Callable, Iterator
from typing import Any
from urllib.parse import urlencode

import orjson

from galenic.custody.fhir.messages import FhirResponse, RequestContext, Resource, bundle_entry
from galenic.custody.fhir.repository import FhirRepository
from galenic.custody.fhir.searching import CURSOR, Parameters, read_cursor, write_cursor
from galenic.errors import NotFoundError, RecordError
from galenic.security import AuditEntry, Grant, to_audit_event

KNOWN = ("_id", "date", "action", "outcome", "agent:identifier", "_count", CURSOR, "_format")
COUNT, MOST = 50, 500
MOST_SCANNED = 20_000  # rows that one page reads
STEP = 500
NAME = re.compile(r"galenic-(\d{1,18})\Z")
DATE_PREFIXES = ("ge", "gt", "le", "lt", "eq")
Filter = Callable[[AuditEntry], bool]


def read_audit_event(repository: FhirRepository, context: RequestContext, resource_id: str) -> FhirResponse:
    """The AuditEvent of one row of the audit log."""
    match = NAME.match(resource_id)
    audit = repository.installation.audit
    with repository.installation.gate.open(context.session, "read", "house", context.purpose) as grant:
        rows = audit.entries(int(match[1]) - 1) if match and match[1] != "0" else iter(())
        entry = next(rows, None)
        if entry is None:
            raise NotFoundError("the audit log has no such row.")
        return FhirResponse(200, orjson.dumps(to_audit_event(entry)), decision=grant.decision)


def search_audit_events(repository: FhirRepository, context: RequestContext, given: Parameters) -> FhirResponse:
    """Page of rows that match the parameters. Raise RecordError for unknown parameters."""
    if any(k not in KNOWN for k, _ in given):
        raise RecordError(f"the audit log can be searched by {', '.join(KNOWN[:5])}.")
    filters = [FILTERS[k](v) for k, v in given if v and k in FILTERS]
    values = dict(given)
    count = values.get("_count", str(COUNT))
    if not count.isdecimal() or int(count) < 1:
        raise RecordError(f"_count must be a whole number from 1 to {MOST}.")
    with repository.installation.gate.open(context.session, "search", "house", context.purpose) as grant:
        return _page(repository, context, given, filters, min(int(count), MOST), grant)


def _page(
    repository: FhirRepository, context: RequestContext, given: Parameters, filters: list[Filter], count: int, grant: Grant
) -> FhirResponse:
    cursor, plain = dict(given).get(CURSOR), [(k, v) for k, v in given if k != CURSOR]
    position: dict[str, Any] = {}
    if cursor is not None:
        position = read_cursor(repository, context, "AuditEvent", plain, cursor)
    first = last = position.get("before", repository.installation.audit.head()[0] + 1)
    entries: list[Resource] = []
    for entry in _newest(repository, first):
        repository.index.require_time()
        if len(entries) == count or first - entry.seq > MOST_SCANNED:
            break
        last = entry.seq
        if all(matches(entry) for matches in filters):
            resource = to_audit_event(entry)
            entries.append(bundle_entry(context, f"AuditEvent/{resource['id']}", resource, grant.decision))
    bundle: Resource = {"resourceType": "Bundle", "type": "searchset"}
    bundle["link"] = [{"relation": "self", "url": f"{context.base}/AuditEvent?{urlencode(plain)}"}]
    if last > 1:
        cursor = write_cursor(repository, context, "AuditEvent", plain, {"before": last})
        url = f"{context.base}/AuditEvent?{urlencode([*plain, (CURSOR, cursor)])}"
        bundle["link"].append({"relation": "next", "url": url})
    if entries:
        bundle["entry"] = entries
    return FhirResponse(200, orjson.dumps(bundle), decision=grant.decision)


def _newest(repository: FhirRepository, before: int) -> Iterator[AuditEntry]:
    """Rows before a given one, newest first."""
    last = before - 1
    while last > 0:
        first = max(last - STEP, 0)
        rows = []
        for entry in repository.installation.audit.entries(first):
            if entry.seq > last:
                break
            rows.append(entry)
        yield from reversed(rows)
        last = first


# filters by search parameter


def _by_id(value: str) -> Filter:
    ids = set(value.split(","))
    return lambda entry: f"galenic-{entry.seq}" in ids


def _by_element(name: str) -> Callable[[str], Filter]:
    def by_value(value: str) -> Filter:
        values = set(value.split(","))
        return lambda entry: str(to_audit_event(entry)[name]) in values

    return by_value


def _by_agent(value: str) -> Filter:
    actors = {v.rpartition("|")[2] for v in value.split(",")}
    return lambda entry: entry.actor in actors


def _by_date(value: str) -> Filter:
    from galenic.records.fhir import date_range  # noqa: PLC0415

    prefix, text = (value[:2], value[2:]) if value[:2] in DATE_PREFIXES else ("eq", value)
    try:
        low, high = date_range(text)
    except (ValueError, OverflowError):
        raise RecordError("date is not a valid date. Expected 2026-11, ge2026-11-30 or lt2026-11-30T10:00:00Z.") from None

    def matches(entry: AuditEntry) -> bool:
        at = date_range(entry.time)[0]
        return {"eq": low <= at < high, "ge": at >= low, "gt": at >= high, "lt": at < low, "le": at < high}[prefix]

    return matches


FILTERS: dict[str, Callable[[str], Filter]] = {
    "_id": _by_id,
    "date": _by_date,
    "action": _by_element("action"),
    "outcome": _by_element("outcome"),
    "agent:identifier": _by_agent,
}
