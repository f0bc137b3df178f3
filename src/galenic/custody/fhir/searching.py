"""FHIR search: the index finds matches among the visible subjects; each patient's resources are read under a grant of their own."""

import base64
import json
from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Any
from urllib.parse import urlencode

import orjson

from galenic import store
from galenic.custody.fhir.messages import (
    SUBSETTED,
    FhirResponse,
    RequestContext,
    Resource,
    bundle_entry,
    outcome_issue,
    serialize,
)
from galenic.custody.fhir.repository import FhirRepository, close_grants
from galenic.errors import AccessDeniedError, RecordError
from galenic.schema import ChainCriterion, ReverseChainCriterion, SearchCondition, SearchHit, SearchInclude, SearchRequest
from galenic.security import Grant

MOST_COUNTED = 1_000  # matches that are counted without _total=accurate
MOST_INCLUDED = 1_000  # resources of _include and _revinclude
ROUNDS = 5  # of _include:iterate
CURSOR = "_cursor"
ALWAYS = ("resourceType", "id", "meta")
Parameters = list[tuple[str, str]]


@dataclass(frozen=True, slots=True)
class Match:
    """A resource that was read for a search, and the number of the access decision."""

    hit: SearchHit
    document: store.StoredDocument
    decision: int


def search(
    repository: FhirRepository, context: RequestContext, resource_type: str, given: Parameters, *, lenient: bool = False
) -> FhirResponse:
    """A searchset Bundle of one type. RecordError for unknown parameters, unless lenient."""
    from galenic.records.fhir import parse_search  # noqa: PLC0415

    cursor = next((v for k, v in given if k == CURSOR), "")
    given = [(k, _relative(v, context.base)) for k, v in given if k != CURSOR]
    request = parse_search(resource_type, given)
    if request.unknown and not lenient:
        names = ", ".join(sorted({n for n in request.unknown if n.isascii() and n.isprintable()}))[:200]
        raise RecordError(
            f"{resource_type} cannot be searched by: {names}. See /metadata, or ignore unknown parameters with Prefer: handling=lenient."
        )
    _require_chains(context, request.conditions)
    repository.refresh()
    request = replace(request, scope=repository.search_scope(context))
    position = read_cursor(repository, context, resource_type, given, cursor) if cursor else {}
    grants: dict[int, Grant] = {}
    try:
        with repository.index.limited(store.QueryLimit(repository.installation.settings.search_seconds)):
            return _page(repository, context, request, given, position, grants)
    finally:
        close_grants(grants.values())


def _require_chains(context: RequestContext, conditions: Iterable[SearchCondition]) -> None:
    """AccessDeniedError for a chain through a type that the scopes do not cover: its matches would tell about that type."""
    for condition in conditions:
        for one in condition.criteria:
            if isinstance(one, ChainCriterion | ReverseChainCriterion):
                if not context.covers(one.resource_type):
                    raise AccessDeniedError(
                        f"the token's scopes do not cover {one.resource_type}, which the search goes through."
                    )
                _require_chains(context, one.conditions)


def _relative(value: str, base: str) -> str:
    """A value with absolute URLs of this server made relative, as references are stored."""
    return value.replace(f"{base}/", "") if base in value else value


def _page(
    repository: FhirRepository,
    context: RequestContext,
    request: SearchRequest,
    given: Parameters,
    position: dict[str, int],
    grants: dict[int, Grant],
) -> FhirResponse:
    index = repository.index
    below = position.get("below", index.newest())
    compiled = index.compile(request)
    total = position["total"] if "total" in position else _total(index, request, compiled)
    bundle: Resource = {"resourceType": "Bundle", "type": "searchset"}
    if total >= 0:
        bundle["total"] = total
    link = [{"relation": "self", "url": _url(context, request, request.used)}]
    if request.summary == "count" or request.count == 0:
        return FhirResponse(200, orjson.dumps({**bundle, "link": link}), decision=_count_decision(repository, context))
    start = store.SearchPlace(position.get("query", 0), position.get("row"), position.get("offset", 0))
    hits, following = index.page(compiled, limit=request.count, start=start, below=below)
    if "total" not in position and total < 0 and following is None:
        bundle["total"] = len(hits)
    if following is not None:
        place = {"query": following.query, "offset": following.offset, "below": below, "total": bundle.get("total", -1)}
        place |= {} if following.row is None else {"row": following.row}
        cursor = write_cursor(repository, context, request.resource_type, given, place)
        link.append({"relation": "next", "url": _url(context, request, [*given, (CURSOR, cursor)])})
    entries = _entries(repository, context, request, hits, grants)
    body = {**bundle, "link": link, "entry": entries} if entries else {**bundle, "link": link}
    return FhirResponse(200, orjson.dumps(body), decision=next((g.decision for g in grants.values()), 0))


def _total(index: store.ResourceIndex, request: SearchRequest, compiled: store.CompiledSearch) -> int:
    """The number of matches; -1 where it is not stated."""
    if request.total == "none" and request.summary != "count":
        return -1
    if request.total == "accurate" or request.summary == "count":
        return index.count(compiled)
    counted = index.count(compiled, MOST_COUNTED + 1)
    return counted if counted <= MOST_COUNTED else -1


def _count_decision(repository: FhirRepository, context: RequestContext) -> int:
    """The number of the decision about a count, which tells about patients, too: one decision about all visible patients."""
    everybody = repository.decision_resource("everybody", True)
    try:
        with repository.installation.gate.open(context.session, "search", everybody, context.purpose) as grant:
            return grant.decision
    except AccessDeniedError:  # the count is of patients who are visible one by one
        return 0


# reading


def read_hits(
    repository: FhirRepository, context: RequestContext, hits: Iterable[SearchHit], grants: dict[int, Grant]
) -> list[Match]:
    """The resources of hits. Opens the grants that are missing; hits to which access is denied are left out."""
    hits = [h for h in hits if context.covers(h.resource_type)]
    grants |= repository.grants(context, "search", {h.subject: h.is_patient for h in hits if h.subject not in grants})
    documents = store.read_rows(repository.installation.db, repository.dataset, grants, [h.row for h in hits])
    return [Match(h, documents[h.row], grants[h.subject].decision) for h in hits if h.row in documents]


def _entries(
    repository: FhirRepository,
    context: RequestContext,
    request: SearchRequest,
    hits: list[SearchHit],
    grants: dict[int, Grant],
) -> list[Resource]:
    matches = read_hits(repository, context, hits, grants)
    included = _included(repository, context, request, matches, grants)
    entries = [_entry(repository, context, request, m, "match") for m in matches]
    entries += [_entry(repository, context, request, m, "include") for m in included]
    if request.unknown:
        names = ", ".join(n for n in request.unknown if n.isprintable())[:200]
        issue = outcome_issue("warning", "not-supported", f"unknown parameters were ignored: {names}")
        entries.append({"resource": {"resourceType": "OperationOutcome", "issue": [issue]}, "search": {"mode": "outcome"}})
    return entries


def _entry(repository: FhirRepository, context: RequestContext, request: SearchRequest, match: Match, mode: str) -> Resource:
    raw = serialize(match.document, repository.imported_at)
    if request.elements or request.summary in ("true", "text", "data"):
        raw = _subset(raw, request)
    return bundle_entry(context, match.hit.name, orjson.Fragment(raw), match.decision, mode)


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


# _include and _revinclude


def _included(
    repository: FhirRepository,
    context: RequestContext,
    request: SearchRequest,
    matches: list[Match],
    grants: dict[int, Grant],
) -> list[Match]:
    """Included resources; those of :iterate also of resources that were included."""
    rows, newest = {m.hit.row for m in matches}, matches
    included: list[Match] = []
    for turn in range(ROUNDS):
        forward = [i for i in request.includes if not turn or i.iterate]
        reverse = [i for i in request.reverse_includes if not turn or i.iterate]
        if not newest or not (forward or reverse):
            break
        hits = _referred(repository, context, request, forward, newest) + _referring(repository, request, reverse, newest)
        fresh = {h.row: h for h in hits if h.row not in rows}
        newest = read_hits(repository, context, list(fresh.values())[: MOST_INCLUDED - len(included)], grants)
        rows |= {m.hit.row for m in newest}
        included += newest
    return included


def _referred(
    repository: FhirRepository,
    context: RequestContext,
    request: SearchRequest,
    includes: list[SearchInclude],
    matches: list[Match],
) -> list[SearchHit]:
    """Resources to which matches refer by a parameter of _include."""
    from galenic.records.fhir import search_values_of  # noqa: PLC0415

    names: dict[str, None] = {}
    for match in matches if includes else ():
        links = search_values_of(orjson.loads(match.document.document)).links
        for one in includes:
            if one.source != match.document.type and one.parameter != "*":
                continue
            for code, target in links:
                if one.parameter in ("*", code) and (not one.target or target.startswith(f"{one.target}/")):
                    names[_relative(target, context.base)] = None
    return repository.index.named(list(names), request.scope) if names else []


def _referring(
    repository: FhirRepository, request: SearchRequest, includes: list[SearchInclude], matches: list[Match]
) -> list[SearchHit]:
    """Resources that refer to matches by a parameter of _revinclude."""
    from galenic.records.fhir import search_parameters_of  # noqa: PLC0415

    names, hits = [m.hit.name for m in matches], []
    for one in includes:
        every = [c for c, p in search_parameters_of(one.source).items() if p.type == "reference"]
        for code in every if one.parameter == "*" else [one.parameter]:
            hits += repository.index.referring(names, code, one.source, request.scope, MOST_INCLUDED)
    return hits


# pages


def _url(context: RequestContext, request: SearchRequest, given: Iterable[tuple[str, str]]) -> str:
    query = urlencode(list(given))
    return f"{context.base}/{request.resource_type}" + (f"?{query}" if query else "")


def _signature(repository: FhirRepository, context: RequestContext, address: str, given: Parameters, payload: str) -> str:
    session = context.session
    signed = f"{session.who}\0{session.subject}\0{context.purpose}\0{address}\0{urlencode(given)}\0{payload}"
    return repository.service_grant().token("cursor", signed).hex()


def write_cursor(
    repository: FhirRepository, context: RequestContext, address: str, given: Parameters, position: dict[str, int]
) -> str:
    """Where the next page begins; valid for the same session user, purpose and search only."""
    payload = base64.urlsafe_b64encode(json.dumps(position).encode()).decode().rstrip("=")
    return f"{payload}.{_signature(repository, context, address, given, payload)}"


def read_cursor(
    repository: FhirRepository, context: RequestContext, address: str, given: Parameters, cursor: str
) -> dict[str, Any]:
    """Where a page begins. AccessDeniedError for a cursor of another user, purpose or search."""
    payload, _, signature = cursor.partition(".")
    if signature != _signature(repository, context, address, given, payload):
        raise AccessDeniedError("this page belongs to another person, purpose or search. Begin at the first page.")
    found: dict[str, Any] = json.loads(base64.urlsafe_b64decode(payload + "=" * (-len(payload) % 4)))
    return found
