"""Search: the index finds rows among what the asker may know of; each patient's are read under a decision of their own."""

import base64
import json
from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from urllib.parse import urlencode

import orjson

from galenic import store
from galenic.custody.fhir.messages import (
    DECISION_EXTENSION,
    SUBSETTED,
    FhirResponse,
    RequestContext,
    Resource,
    outcome_issue,
    serialize,
)
from galenic.custody.fhir.repository import FhirRepository
from galenic.errors import AccessDeniedError, RecordError
from galenic.security import Grant

if TYPE_CHECKING:
    from galenic.records.fhir import Include, SearchRequest

COUNTED = 1_000  # hits that are counted without being asked to
MOST_ALONG = 1_000  # resources that come along
ROUNDS = 5
CURSOR = "_cursor"
ALWAYS = ("resourceType", "id", "meta")
Given = list[tuple[str, str]]


@dataclass
class _Found:
    """A search under way: who may see what, the decisions so far, and the rows that were read under them."""

    repository: FhirRepository
    context: RequestContext
    frame: store.ResourceQuery
    passes: dict[int, Grant]
    kept: dict[int, store.StoredDocument]

    def read(self, hits: list[store.Hit]) -> list[store.Hit]:
        """Reads the rows of hits, opening the decisions that are missing; hits that the gate refuses are left out."""
        hits = [h for h in hits if self.context.may(h.name.partition("/")[0])]
        fresh = {h.subject: h.patient for h in hits if h.subject not in self.passes}
        places = [self.repository.place(s, p) for s, p in fresh.items()]
        opened = self.repository.installation.gate.open_many(self.context.session, "search", places, self.context.purpose)
        self.passes |= {s: h for s, h in zip(fresh, opened, strict=True) if h is not None}
        rows = [h.row for h in hits if h.row not in self.kept]
        self.kept |= store.read_rows(self.repository.installation.db, self.repository.known, self.passes, rows)
        return [h for h in hits if h.row in self.kept]

    def close(self) -> None:
        for handle in self.passes.values():
            handle.__exit__(None, None, None)


def frame_of(repository: FhirRepository, context: RequestContext, kind: str) -> store.ResourceQuery:
    """A search for a type, kept to what the asker may know of."""
    seen = repository.installation.gate.visible_subjects(context.session, repository.name, context.purpose)
    called = f"{context.session.who}/{context.session.subject}/{context.purpose}/{repository.installation.gate.versions.get()['facts']}"
    return store.ResourceQuery(kind, (), (), seen, called)


def search(
    repository: FhirRepository, context: RequestContext, kind: str, given: Given, *, lenient: bool = False
) -> FhirResponse:
    """A searchset of one type. RecordError for parameters that are not known, unless the asker is lenient."""
    from galenic.records.fhir import parse_search  # noqa: PLC0415

    cursor = next((v for k, v in given if k == CURSOR), "")
    given = [(k, _relative(v, context.base)) for k, v in given if k != CURSOR]
    asked = parse_search(kind, given)
    if asked.unknown and not lenient:
        names = ", ".join(sorted({n for n in asked.unknown if n.isascii() and n.isprintable()}))[:200]
        raise RecordError(
            f"{kind} can not be searched by: {names}. See /metadata; or pass over it with Prefer: handling=lenient."
        )
    _require(context, asked.conditions)
    repository.look()
    frame = frame_of(repository, context, kind)
    whole = store.ResourceQuery(kind, tuple(asked.conditions), tuple(asked.order), frame.shown, frame.shown_as)
    at = read_cursor(repository, context, kind, given, cursor) if cursor else {}
    found = _Found(repository, context, frame, {}, {})
    try:
        return _page(found, asked, whole, given, at)
    finally:
        found.close()


def _require(context: RequestContext, conditions: Iterable[store.OneOf]) -> None:
    """AccessDenied where a chain goes through a type that the asker may not search: what it finds would tell."""
    for condition in conditions:
        for test in condition.tests:
            if isinstance(test, store.Refers | store.Referred):
                if not context.may(test.kind):
                    raise AccessDeniedError(f"the token's scopes do not cover {test.kind}, which the search goes through.")
                _require(context, test.inner)


def _relative(value: str, base: str) -> str:
    """What names something here by its full address, named as it is kept."""
    return value.replace(f"{base}/", "") if base in value else value


def _page(found: _Found, asked: "SearchRequest", whole: store.ResourceQuery, given: Given, at: dict[str, int]) -> FhirResponse:
    repository, index = found.repository, found.repository.index
    below = at.get("below", index.newest())
    total = at["total"] if "total" in at else _total(repository, asked, whole)
    head: Resource = {"resourceType": "Bundle", "type": "searchset"}
    if total >= 0:
        head["total"] = total
    if asked.summary == "count" or asked.count == 0:
        head["link"] = [{"relation": "self", "url": _url(found.context, asked, asked.used)}]
        return FhirResponse(200, orjson.dumps(head), decision=_noted(found))
    hits = index.search(whole, limit=asked.count + 1, after=at.get("after", -1), offset=at.get("offset", 0), below=below)
    more, hits = len(hits) > asked.count, hits[: asked.count]
    if "total" not in at and total < 0 and not more:
        head["total"] = len(hits)
    matched = found.read(hits)
    along = _along(found, asked, matched)
    head["link"] = [{"relation": "self", "url": _url(found.context, asked, asked.used)}]
    if more:
        place = {"offset": at.get("offset", 0) + asked.count} if asked.order else {"after": hits[-1].row}
        cursor = write_cursor(
            repository, found.context, asked.kind, given, {**place, "below": below, "total": head.get("total", -1)}
        )
        head["link"].append({"relation": "next", "url": _url(found.context, asked, [*given, (CURSOR, cursor)])})
    entries = [_entry(found, asked, h, "match") for h in matched] + [_entry(found, asked, h, "include") for h in along]
    if asked.unknown:
        entries.append(_passed_over(asked))
    if entries:
        head["entry"] = entries
    return FhirResponse(200, orjson.dumps(head), decision=next((p.decision for p in found.passes.values()), 0))


def _total(repository: FhirRepository, asked: "SearchRequest", whole: store.ResourceQuery) -> int:
    """How many there are; -1 where that is not said."""
    if asked.total == "none" and asked.summary != "count":
        return -1
    if asked.total == "accurate" or asked.summary == "count":
        return repository.index.count(whole)
    counted = repository.index.count(whole, COUNTED + 1)
    return counted if counted <= COUNTED else -1


def _noted(found: _Found) -> int:
    """A count is an answer about patients, too: it is asked for once, about all that the asker may know of."""
    repository, context = found.repository, found.context
    try:
        with repository.installation.gate.open(
            context.session, "search", repository.place("everybody", True), context.purpose
        ) as handle:
            return handle.decision
    except AccessDeniedError:  # counts what the asker may see one by one
        return 0


def _entry(found: _Found, asked: "SearchRequest", hit: store.Hit, mode: str) -> Resource:
    kept, handle = found.kept[hit.row], found.passes[hit.subject]
    raw = serialize(kept, found.repository.imported_at)
    if asked.elements or asked.summary in ("true", "text", "data"):
        raw = _less(raw, asked)
    return {
        "extension": [{"url": DECISION_EXTENSION, "valueString": str(handle.decision)}],
        "fullUrl": f"{found.context.base}/{kept.type}/{kept.id}",
        "resource": orjson.Fragment(raw),
        "search": {"mode": mode},
    }


def _less(raw: bytes, asked: "SearchRequest") -> bytes:
    """A part of a resource, marked as such."""
    from galenic.records.fhir import parse_exact, r4, write_json  # noqa: PLC0415

    exact = parse_exact(raw)
    kind = r4().types[exact["resourceType"]]
    if asked.elements:
        wanted = {n for e in kind.elements for n, _ in e.names() if e.least or e.name in asked.elements or n in asked.elements}
    elif asked.summary == "text":
        wanted = {"text", *(n for e in kind.elements if e.least for n, _ in e.names())}
    elif asked.summary == "data":
        wanted = set(exact) - {"text"}
    else:
        wanted = {n for e in kind.elements if e.summary for n, _ in e.names()}
    found = {k: v for k, v in exact.items() if k in ALWAYS or k in wanted or k.removeprefix("_") in wanted}
    tags = found["meta"].get("tag", [])
    found["meta"] = {**found["meta"], "tag": [*tags, SUBSETTED]}
    return write_json(found)


def _passed_over(asked: "SearchRequest") -> Resource:
    text = "parameters that are not known were passed over: " + ", ".join(n for n in asked.unknown if n.isprintable())[:200]
    resource = {"resourceType": "OperationOutcome", "issue": [outcome_issue("warning", "not-supported", text)]}
    return {"resource": resource, "search": {"mode": "outcome"}}


# what comes along


def _along(found: _Found, asked: "SearchRequest", matched: list[store.Hit]) -> list[store.Hit]:
    """What is included, each in a decision of its own; again of what came along, where that is asked."""
    rows, newest = {h.row for h in matched}, matched
    along: list[store.Hit] = []
    for turn in range(ROUNDS):
        includes = [i for i in asked.includes if not turn or i.again]
        reverse = [i for i in asked.revincludes if not turn or i.again]
        if not newest or not (includes or reverse):
            break
        hits = _forward(found, includes, newest) + _backward(found, reverse, newest)
        fresh = {h.row: h for h in hits if h.row not in rows}
        newest = found.read(list(fresh.values())[: MOST_ALONG - len(along)])
        rows |= {h.row for h in newest}
        along += newest
    return along


def _forward(found: _Found, includes: Iterable["Include"], hits: list[store.Hit]) -> list[store.Hit]:
    from galenic.records.fhir import search_values_of  # noqa: PLC0415

    names: dict[str, None] = {}
    for hit in hits if includes else ():
        kept = found.kept[hit.row]
        links = search_values_of(orjson.loads(kept.document)).links
        for one in includes:
            if one.source != kept.type and one.parameter != "*":
                continue
            for code, target in links:
                if one.parameter in ("*", code) and (not one.target or target.startswith(f"{one.target}/")):
                    names[_relative(target, found.context.base)] = None
    return found.repository.index.named(list(names), found.frame) if names else []


def _backward(found: _Found, includes: Iterable["Include"], hits: list[store.Hit]) -> list[store.Hit]:
    from galenic.records.fhir import search_parameters_of  # noqa: PLC0415

    names, out = [h.name for h in hits], []
    for one in includes:
        codes = (
            [c for c, p in search_parameters_of(one.source).items() if p.type == "reference"]
            if one.parameter == "*"
            else [one.parameter]
        )
        for code in codes:
            out += found.repository.index.referring(names, code, one.source, found.frame, MOST_ALONG)
    return out


# pages


def _url(context: RequestContext, asked: "SearchRequest", given: Given) -> str:
    query = urlencode(given)
    return f"{context.base}/{asked.kind}" + (f"?{query}" if query else "")


def _mark(repository: FhirRepository, context: RequestContext, kind: str, given: Given, payload: str) -> str:
    whole = f"{context.session.who}\0{context.session.subject}\0{context.purpose}\0{kind}\0{urlencode(given)}\0{payload}"
    return repository.own().token("cursor", whole).hex()


def write_cursor(repository: FhirRepository, context: RequestContext, kind: str, given: Given, place: dict[str, int]) -> str:
    """Where the next page begins, for this asker and search alone."""
    payload = base64.urlsafe_b64encode(json.dumps(place).encode()).decode().rstrip("=")
    return f"{payload}.{_mark(repository, context, kind, given, payload)}"


def read_cursor(repository: FhirRepository, context: RequestContext, kind: str, given: Given, cursor: str) -> dict[str, Any]:
    """Where a page begins. AccessDenied for a cursor that was made for somebody or something else."""
    payload, _, mark = cursor.partition(".")
    if mark != _mark(repository, context, kind, given, payload):
        raise AccessDeniedError("this page was made for another person, purpose or search. Begin at the first page.")
    found: dict[str, Any] = json.loads(base64.urlsafe_b64decode(payload + "=" * (-len(payload) % 4)))
    return found
