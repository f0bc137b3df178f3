"""FHIR search. The index finds matches among the visible subjects; each patient's resources are read under a separate grant."""

import base64
import hmac
import json
from collections.abc import Iterable
from dataclasses import replace
from typing import Any
from urllib.parse import urlencode

import orjson

from galenic import store
from galenic.custody.fhir.included_resources import MOST_INCLUDED, IncludedPage, IncludingSearch, included_page
from galenic.custody.fhir.messages import FhirResponse, RequestContext, Resource
from galenic.custody.fhir.repository import FhirRepository, close_grants
from galenic.custody.fhir.search_entries import Match, outcome_entry, read_hits, search_entries
from galenic.errors import AccessDeniedError, RecordError
from galenic.schema import ChainCriterion, ReverseChainCriterion, SearchCondition, SearchRequest
from galenic.security import Grant

MOST_COUNTED = 1_000  # matches that are counted without _total=accurate
CURSOR = "_cursor"
Parameters = list[tuple[str, str]]


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
            f"{resource_type} has no search parameters named {names}. See /metadata, or ignore unknown parameters "
            "with Prefer: handling=lenient."
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
    """Raise AccessDeniedError for a chain through a type that the scopes do not cover, because its matches would reveal data of
    that type."""
    for condition in conditions:
        for one in condition.criteria:
            if isinstance(one, ChainCriterion | ReverseChainCriterion):
                if not context.covers(one.resource_type):
                    raise AccessDeniedError(
                        f"the token's scopes do not cover {one.resource_type}, which the search uses. Ask for a token "
                        "that covers it."
                    )
                _require_chains(context, one.conditions)


def _relative(value: str, base: str) -> str:
    """Value with absolute URLs of this server made relative, the form in which references are stored."""
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
    matches = read_hits(repository, context, hits, grants)
    search = IncludingSearch(repository, context, request, below)
    page = included_page(search, matches, position.get("included", 0), grants)
    if page.following or following is not None:
        place = {"below": below, "total": bundle.get("total", -1), **_position(start if page.following else following)}
        place |= {"included": page.following} if page.following else {}
        cursor = write_cursor(repository, context, request.resource_type, given, place)
        link.append({"relation": "next", "url": _url(context, request, [*given, (CURSOR, cursor)])})
    entries = _entries(repository, context, request, matches, page)
    body = {**bundle, "link": link, "entry": entries} if entries else {**bundle, "link": link}
    return FhirResponse(200, orjson.dumps(body), decision=next((g.decision for g in grants.values()), 0))


def _position(place: store.SearchPlace | None) -> dict[str, int]:
    """Start of a page as part of a cursor."""
    if place is None:
        return {}
    found = {"query": place.query, "offset": place.offset}
    return found if place.row is None else {**found, "row": place.row}


def _total(index: store.ResourceIndex, request: SearchRequest, compiled: store.CompiledSearch) -> int:
    """Number of matches; -1 if it is not stated."""
    if request.total == "none" and request.summary != "count":
        return -1
    if request.total == "accurate" or request.summary == "count":
        return index.count(compiled)
    counted = index.count(compiled, MOST_COUNTED + 1)
    return counted if counted <= MOST_COUNTED else -1


def _count_decision(repository: FhirRepository, context: RequestContext) -> int:
    """Number of the decision about a count, because a count reveals data, too: one decision about all visible patients."""
    everybody = repository.decision_resource("everybody", True)
    try:
        with repository.installation.gate.open(context.session, "search", everybody, context.purpose) as grant:
            return grant.decision
    except AccessDeniedError:  # the count covers patients who are visible individually
        return 0


def _entries(
    repository: FhirRepository, context: RequestContext, request: SearchRequest, matches: list[Match], page: IncludedPage
) -> list[Resource]:
    """Entries of a page. Its matches are on the first of the pages with included resources."""
    shown = [] if page.offset else matches
    entries = search_entries(repository, context, request, shown, "match")
    entries += search_entries(repository, context, request, page.matches, "include")
    if request.unknown:
        names = ", ".join(n for n in request.unknown if n.isprintable())[:200]
        entries.append(outcome_entry("warning", "not-supported", f"unknown parameters were ignored: {names}"))
    if page.following:
        text = (
            f"more than {MOST_INCLUDED:,} resources are to be included. The next page continues with them, then with "
            "further matches."
        )
        entries.append(outcome_entry("information", "incomplete", text))
    return entries


# pages


def _url(context: RequestContext, request: SearchRequest, given: Iterable[tuple[str, str]]) -> str:
    query = urlencode(list(given))
    return f"{context.base}/{request.resource_type}" + (f"?{query}" if query else "")


def _signature(repository: FhirRepository, context: RequestContext, address: str, given: Parameters, payload: str) -> str:
    session = context.session
    signed = f"{session.who}\0{session.subject}\0{context.purpose}\0{address}\0{urlencode(given)}\0{payload}"
    return repository.server_grant.use(lambda grant: grant.token("cursor", signed)).hex()


def write_cursor(
    repository: FhirRepository, context: RequestContext, address: str, given: Parameters, position: dict[str, int]
) -> str:
    """Cursor for the start of the next page; valid only for the same session user, purpose and search."""
    payload = base64.urlsafe_b64encode(json.dumps(position).encode()).decode().rstrip("=")
    return f"{payload}.{_signature(repository, context, address, given, payload)}"


def read_cursor(
    repository: FhirRepository, context: RequestContext, address: str, given: Parameters, cursor: str
) -> dict[str, Any]:
    """Start of a page, from its cursor. AccessDeniedError for a cursor of another user, purpose or search."""
    payload, _, signature = cursor.partition(".")
    expected = _signature(repository, context, address, given, payload)
    if not hmac.compare_digest(signature.encode(), expected.encode()):
        raise AccessDeniedError("this page link belongs to another person, purpose or search. Start again at the first page.")
    found: dict[str, Any] = json.loads(base64.urlsafe_b64decode(payload + "=" * (-len(payload) % 4)))
    return found
