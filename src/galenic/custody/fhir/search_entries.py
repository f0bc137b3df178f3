"""Resources of a search, as read under access decisions, and their entries in a Bundle."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import orjson

from galenic import store
from galenic.custody.fhir.messages import SUBSETTED, RequestContext, Resource, bundle_entry, outcome_issue, serialize
from galenic.custody.fhir.repository import FhirRepository
from galenic.schema import SearchHit, SearchRequest
from galenic.security import Grant

ALWAYS = ("resourceType", "id", "meta")
READ_AT_ONCE, WRITTEN_AT_ONCE = 100, 20  # resources; between them a search can be stopped


@dataclass(frozen=True, slots=True)
class Match:
    """A resource that was read for a search, and the number of the access decision."""

    hit: SearchHit
    document: store.StoredDocument
    decision: int


def read_hits(
    repository: FhirRepository, context: RequestContext, hits: Iterable[SearchHit], grants: dict[int, Grant]
) -> list[Match]:
    """Resources of hits. Opens missing grants; hits to which access is denied are left out."""
    found = list(hits)
    covered = {t for t in {h.resource_type for h in found} if context.covers(t)}
    hits = [h for h in found if h.resource_type in covered]
    matches: list[Match] = []
    for start in range(0, len(hits), READ_AT_ONCE):
        repository.index.require_time()
        part = hits[start : start + READ_AT_ONCE]
        missing = {h.subject: h.is_patient for h in part if h.subject not in grants}
        grants |= repository.grants(context, "search", missing) if missing else {}
        documents = store.read_rows(repository.installation.db, repository.dataset, grants, [h.row for h in part])
        matches += [Match(h, documents[h.row], grants[h.subject].decision) for h in part if h.row in documents]
    return matches


def _entry(repository: FhirRepository, context: RequestContext, request: SearchRequest, match: Match, mode: str) -> Resource:
    """The entry of a match or an included resource."""
    raw = serialize(match.document, repository.imported_at)
    if request.elements or request.summary in ("true", "text", "data"):
        raw = _subset(raw, request)
    return bundle_entry(context, match.hit.name, orjson.Fragment(raw), match.decision, mode)


def search_entries(
    repository: FhirRepository, context: RequestContext, request: SearchRequest, matches: Sequence[Match], mode: str
) -> list[Resource]:
    """Bundle entries of the matches, in order. They are serialized in batches; the time limit is checked before each."""
    entries: list[Resource] = []
    for start in range(0, len(matches), WRITTEN_AT_ONCE):
        repository.index.require_time()
        entries += [_entry(repository, context, request, m, mode) for m in matches[start : start + WRITTEN_AT_ONCE]]
    return entries


def outcome_entry(severity: str, code: str, text: str) -> Resource:
    """Entry with information about the search itself."""
    issue = outcome_issue(severity, code, text)
    return {"resource": {"resourceType": "OperationOutcome", "issue": [issue]}, "search": {"mode": "outcome"}}


def _subset(raw: bytes, request: SearchRequest) -> bytes:
    """The elements of a resource that _elements or _summary asks for, tagged as SUBSETTED."""
    from galenic.records.fhir import parse_exact, r4, write_json  # noqa: PLC0415

    exact = parse_exact(raw)
    definition = r4().types[exact["resourceType"]]
    if request.elements:
        asked = request.elements
        wanted = {n for e in definition.elements for n, _ in e.names() if e.least or e.name in asked or n in asked}
    elif request.summary == "text":
        wanted = {"text", *(n for e in definition.elements if e.least for n, _ in e.names())}
    elif request.summary == "data":
        wanted = set(exact) - {"text"}
    else:
        wanted = {n for e in definition.elements if e.summary for n, _ in e.names()}
    subset = {k: v for k, v in exact.items() if k in ALWAYS or k in wanted or k.removeprefix("_") in wanted}
    subset["meta"] = {**subset["meta"], "tag": [*subset["meta"].get("tag", []), SUBSETTED]}
    return write_json(subset)
