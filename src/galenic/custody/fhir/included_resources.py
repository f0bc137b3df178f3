"""Resources that a search includes by _include and _revinclude, in separate pages."""

from dataclasses import dataclass

import orjson

from galenic import store
from galenic.custody.fhir.messages import RequestContext
from galenic.custody.fhir.repository import FhirRepository
from galenic.custody.fhir.search_entries import Match, read_hits
from galenic.schema import SearchInclude, SearchRequest
from galenic.security import Grant

MOST_INCLUDED = 1_000  # resources of one page


@dataclass(frozen=True, slots=True)
class IncludingSearch:
    """Including search of one caller. below: it includes rows up to this number, so that its pages are consistent."""

    repository: FhirRepository
    context: RequestContext
    request: SearchRequest
    below: int


@dataclass(frozen=True, slots=True)
class IncludedPage:
    """Included resources from a number on. following: number of the first resource on the next page, 0 if there are no more."""

    offset: int
    matches: list[Match]
    following: int


def included_page(search: IncludingSearch, matches: list[Match], offset: int, grants: dict[int, Grant]) -> IncludedPage:
    """Included resources of a page of matches, from a number on."""
    request = search.request
    if not matches or not (request.includes or request.reverse_includes):
        return IncludedPage(offset, [], 0)
    rows = search.repository.index.included(request.scope, search.below)
    rows.begin([m.hit.row for m in matches])
    turn = 0
    while _follow(search, rows, turn, matches):
        turn += 1
    hits = rows.page(offset, MOST_INCLUDED + 1)
    following = offset + MOST_INCLUDED if len(hits) > MOST_INCLUDED else 0
    return IncludedPage(offset, read_hits(search.repository, search.context, hits[:MOST_INCLUDED], grants), following)


def _follow(search: IncludingSearch, rows: store.IncludedRows, turn: int, matches: list[Match]) -> bool:
    """Adds the resources included from the rows of a turn; in later turns only by :iterate. Returns True if there may be more
    turns."""
    includes = [i for i in search.request.includes if not turn or i.iterate]
    reverse = [i for i in search.request.reverse_includes if not turn or i.iterate]
    if not includes and not reverse:
        return False
    if turn:
        subjects = rows.subjects(turn)
        denied = [s for s, is_patient in subjects.items() if not search.repository.may_search(search.context, s, is_patient)]
        rows.leave_out(denied)  # references from a hidden resource must not be revealed
        if len(denied) == len(subjects):
            return False
    for one in includes:
        if (types := _types(search.context, one.target)) != ("",):
            rows.refer_to(turn, _parameters(one), types)
            if not turn:
                rows.named(turn, _absolute_references(search.context, one, matches), types)
    for one in reverse:
        if search.context.covers(one.source):
            rows.referring(turn, _parameters(one), (one.source,))
    return True


def _types(context: RequestContext, target: str) -> tuple[str, ...]:
    """Types that may be included; none for every type, and one empty name for no type."""
    from galenic.records.fhir import r4  # noqa: PLC0415

    if context.scopes is None or context.covers("*"):
        return (target,) if target else ()
    covered = tuple(t for t in ([target] if target else sorted(r4().resources)) if context.covers(t))
    return covered or ("",)


def _parameters(one: SearchInclude) -> tuple[str, ...]:
    """Type.code of each search parameter that an include follows; none for every one."""
    from galenic.records.fhir import search_parameters_of  # noqa: PLC0415

    if one.parameter != "*":
        return (f"{one.source}.{one.parameter}",)
    if not one.source:
        return ()
    return tuple(f"{one.source}.{c}" for c, p in search_parameters_of(one.source).items() if p.type == "reference")


def _absolute_references(context: RequestContext, one: SearchInclude, matches: list[Match]) -> list[str]:
    """Names of resources here to which matches refer by an absolute URL."""
    from galenic.records.fhir import search_values_of  # noqa: PLC0415

    names: dict[str, None] = {}
    for match in matches:
        if f"{context.base}/" in match.document.document and one.source in ("", match.document.type):
            for code, target in search_values_of(orjson.loads(match.document.document)).links:
                if one.parameter in ("*", code) and target.startswith(f"{context.base}/"):
                    names[target.removeprefix(f"{context.base}/")] = None
    return list(names)
