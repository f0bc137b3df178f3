"""Bundles taken apart: ids for what has none, and every reference inside them made to name what it means (R4, Bundle, 2.36.4)."""

import uuid
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from hashlib import sha256
from typing import Any

from galenic.errors import RecordError
from galenic.records.fhir.check import CONDITIONAL, REFERENCE
from galenic.records.fhir.issue import Issue

Resource = dict[str, Any]
Find = Callable[[str, str], str | None]  # (type, search such as "identifier=system|value") → id of the one that matches
TAKEN = ("collection", "transaction", "batch", "document", "message", "searchset", "history")
IDS = uuid.UUID("5d8f1a52-6e0c-5b39-9a53-5f0a3c2b7e11")  # name space of ids that Galenic gives


@dataclass(slots=True)
class Entry:
    """One resource of a Bundle. made: whether it is to be stored; False where a conditional create found it here already."""

    place: str
    kind: str
    id: str
    url: str | None
    resource: Resource
    made: bool = True


@dataclass(slots=True)
class Opened:
    """What a Bundle held, with references that name Type/id, and what could not be named."""

    entries: list[Entry]
    issues: list[Issue]


def open_bundle(bundle: Resource, raw: bytes, find: Find = lambda _kind, _search: None) -> Opened:
    """The resources of a valid Bundle (numbers as `parse(...).exact` has them), with ids and resolved references.

    raw: the Bundle's bytes; ids that Galenic gives are derived from them, so that the same Bundle gives the same ids again.
    find: looks for what conditional references and conditional creates mean among what is here already.
    RecordError for a Bundle that deletes, patches or reads: it is a request to a server, not records.
    """
    if bundle.get("type") not in TAKEN:
        raise RecordError(f"a Bundle of this type holds no records. Expected one of {', '.join(TAKEN)}.")
    seed = sha256(raw).hexdigest()
    entries: list[Entry] = []
    issues: list[Issue] = []
    for i, one in enumerate(bundle.get("entry", ())):
        resource, place = one.get("resource"), f"Bundle.entry[{i}]"
        method = one.get("request", {}).get("method", "POST")
        if method not in ("POST", "PUT"):
            raise RecordError(f"{place} is a {method}. Only Bundles that create or update (POST, PUT) are imported.")
        if resource is None:
            continue
        entries.append(_entry(one, resource, place, f"{seed}/{i}", find))
    _same_twice(entries, issues)
    by_url = {e.url: e for e in entries if e.url}
    for entry in entries:
        base = _base(entry)
        for node, where in _references(entry.resource, f"{entry.place}.resource"):
            named = _named(node["reference"], base, by_url, find)
            if named is None:
                what = "names nothing that is in the Bundle or here. Import what it names, or correct it."
                issues.append(Issue("warning", where, "reference-unresolved", what))
            else:
                node["reference"] = named
    return Opened(entries, issues)


def _entry(one: Resource, resource: Resource, place: str, seed: str, find: Find) -> Entry:
    kind, url, request = resource["resourceType"], one.get("fullUrl"), one.get("request", {})
    condition = request.get("ifNoneExist")
    if condition:
        there = find(kind, condition.partition("?")[2] or condition)
        if there is not None:
            return Entry(place, kind, there, url, resource, made=False)
    asked = REFERENCE.match(request.get("url", "")) if request.get("method") == "PUT" else None
    if "id" not in resource:
        if asked is not None:
            given = asked["id"]
        elif url is not None and url.startswith("urn:uuid:"):
            given = url.removeprefix("urn:uuid:")
        else:
            given = str(uuid.uuid5(IDS, seed))
        resource["id"] = given
    return Entry(place, kind, resource["id"], url, resource)


def _same_twice(entries: list[Entry], issues: list[Issue]) -> None:
    seen: set[tuple[str, str]] = set()
    for entry in entries:
        if (entry.kind, entry.id) in seen and entry.made:
            what = "has the type and id of another entry of this Bundle. Each version counts, the last one last."
            issues.append(Issue("warning", entry.place, "bundle-same-id", what))
        seen.add((entry.kind, entry.id))


def _base(entry: Entry) -> str | None:
    """What relative references of an entry are relative to."""
    match = REFERENCE.match(entry.url) if entry.url else None
    return match["base"] if match else None


def _references(node: Any, where: str) -> Iterator[tuple[Resource, str]]:
    stack: list[tuple[Any, str]] = [(node, where)]
    while stack:
        one, place = stack.pop()
        if isinstance(one, dict):
            if isinstance(one.get("reference"), str) and not one["reference"].startswith("#"):
                yield one, place
            stack += [(v, f"{place}.{k}") for k, v in one.items() if isinstance(v, dict | list)]
        elif isinstance(one, list):
            stack += [(v, f"{place}[{i}]") for i, v in enumerate(one) if isinstance(v, dict | list)]


def _named(text: str, base: str | None, by_url: dict[str, Entry], find: Find) -> str | None:
    """Type/id of what a reference means; the reference as it is where it names something outside; None where nothing."""
    entry = by_url.get(text) or (by_url.get(f"{base}/{text}") if base else None)
    if entry is not None:
        return f"{entry.kind}/{entry.id}"
    if text.startswith("urn:"):
        return None
    match = CONDITIONAL.match(text)
    if match is None:
        return text
    there = find(match["type"], text.partition("?")[2])
    if there is None:  # what it means may be in this very Bundle
        there = _inside(match["type"], text.partition("?")[2], by_url)
    return None if there is None else f"{match['type']}/{there}"


def _inside(kind: str, search: str, by_url: dict[str, Entry]) -> str | None:
    """The one entry whose identifier a search names."""
    name, _, value = search.partition("=")
    if name != "identifier":
        return None
    system, bar, code = value.rpartition("|")
    found = [
        e.id
        for e in by_url.values()
        if e.kind == kind
        for i in e.resource.get("identifier", ())
        if isinstance(i, dict) and i.get("value") == code and (not bar or i.get("system", "") == system)
    ]
    return found[0] if len(set(found)) == 1 else None
