"""Splits Bundles into resources with ids, and resolves the references between entries (R4, Bundle, 2.36.4)."""

import uuid
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from hashlib import sha256
from typing import Any

from galenic.errors import RecordError
from galenic.records.fhir.compartment import identifier_searches, references
from galenic.records.fhir.issue import ValidationIssue
from galenic.records.fhir.links import base_of
from galenic.records.fhir.reference_validation import CONDITIONAL, REFERENCE

Resource = dict[str, Any]
Find = Callable[[str, str], str | None]  # (type, search such as "identifier=system|value") → id of the match
RESPONSES = ("batch-response", "transaction-response")
TAKEN = ("collection", "transaction", "batch", "document", "message", "searchset", "history", *RESPONSES)
IDS = uuid.UUID("5d8f1a52-6e0c-5b39-9a53-5f0a3c2b7e11")  # namespace of ids that Galenic assigns


@dataclass(slots=True)
class BundleEntry:
    """One resource of a Bundle. made: True if it is stored, False if a conditional create found a stored match; deleted: True
    if the entry deletes it."""

    number: int
    kind: str
    id: str
    url: str | None
    resource: Resource
    made: bool = True
    renamed: dict[str, str] = field(default_factory=dict)  # references as written, and their targets
    deleted: bool = False

    @property
    def place(self) -> str:
        """Position in the Bundle as FHIRPath."""
        return f"Bundle.entry[{self.number}]"


@dataclass(slots=True)
class OpenedBundle:
    """Content of a Bundle, in the order in which it is written; in a history, the oldest version comes first. renamed (of each
    entry): targets of its references, as Type/id, if they differ; lost: unresolved references, with their entry."""

    entries: list[BundleEntry]
    issues: list[ValidationIssue]
    lost: list[tuple[BundleEntry, str]]

    def unresolved(self) -> list[ValidationIssue]:
        """A warning for each unresolved reference."""
        what = "refers to something that is neither in the Bundle nor in the record store. Import it, or correct the reference."
        places = (_where(entry.resource, text, f"{entry.place}.resource") for entry, text in self.lost)
        return [ValidationIssue("warning", where, "reference-unresolved", what) for where in places]


def open_bundle(
    bundle: Resource,
    raw: bytes,
    find: Find = lambda _kind, _search: None,
    refers: Sequence[list[str]] | None = None,
) -> OpenedBundle:
    """The resources of a valid Bundle, with ids and what their references mean; the references themselves stay as they are.

    raw: the Bundle's bytes; ids that Galenic gives are derived from them, so that the same Bundle gives the same ids again.
    find: looks for what conditional references and conditional creates mean among what is here already.
    refers: the references of each entry, where they are known.
    RecordError for a Bundle that patches or reads: it is a request to a server, not records.
    """
    if bundle.get("type") not in TAKEN:
        raise RecordError(f"a Bundle of this type contains no records. Expected one of {', '.join(TAKEN)}.")
    seed = sha256(raw).hexdigest()
    issues: list[ValidationIssue] = []
    lost: list[tuple[BundleEntry, str]] = []
    entries = _entries(bundle, seed, find, issues)
    by_url, inside = {e.url: e for e in entries if e.url}, _identified(entries)
    meant: dict[tuple[str | None, str], str | None] = {}  # most references occur many times in a Bundle
    for entry in entries:
        base = base_of(entry.url)
        for text in refers[entry.number] if refers else references(entry.resource):
            key = (base, text)
            named = meant[key] if key in meant else meant.setdefault(key, _named(text, base, by_url, inside, find))
            if named is None:
                lost.append((entry, text))
            elif named != text:
                entry.renamed[text] = named
    return OpenedBundle(entries, issues, lost)


def _entries(bundle: Resource, seed: str, find: Find, issues: list[ValidationIssue]) -> list[BundleEntry]:
    """Resources and deletions of a Bundle in the order in which they are written."""
    entries: list[BundleEntry] = []
    for i, one in enumerate(bundle.get("entry", ())):
        resource = one.get("resource")
        method = one.get("request", {}).get("method", "POST")
        if method == "DELETE":
            entries.append(_deletion(one, i))
        elif method not in ("POST", "PUT"):
            raise RecordError(
                f"Bundle.entry[{i}] is a {method}. Only Bundles that create, update or delete (POST, PUT, DELETE) are imported."
            )
        elif resource is not None and _is_record(one, resource, bundle, i, issues):
            entries.append(_entry(one, resource, i, f"{seed}/{i}", find))
    if bundle["type"] in RESPONSES and not entries:
        raise RecordError(
            "the Bundle contains responses without resources. Import the resources that the server returned, or leave it out."
        )
    if bundle["type"] == "history":
        entries = _oldest_first(entries, bundle["entry"])
    else:
        _same_twice(entries, issues)
    return entries


def _is_record(one: Resource, resource: Resource, bundle: Resource, number: int, issues: list[ValidationIssue]) -> bool:
    """True if the entry of a response Bundle contains a record; adds a warning for an entry that reports an error."""
    if bundle["type"] not in RESPONSES:
        return True
    status = str(one.get("response", {}).get("status", "200"))
    if status.startswith("2") and resource["resourceType"] != "OperationOutcome":
        return True
    what = (
        "reports an error or an outcome of the server, which is not a record. It was left out: request it from the server "
        "again."
    )
    issues.append(ValidationIssue("warning", f"Bundle.entry[{number}]", "bundle-response", what))
    return False


def _deletion(one: Resource, number: int) -> BundleEntry:
    """An entry that deletes a resource."""
    match = REFERENCE.match(one.get("request", {}).get("url", ""))
    if match is None:
        raise RecordError(
            f"Bundle.entry[{number}] is a conditional delete. Only deletions by type and id (Patient/1) are imported."
        )
    name = {"resourceType": match["type"], "id": match["id"]}
    return BundleEntry(number, match["type"], match["id"], None, name, deleted=True)


def _oldest_first(entries: list[BundleEntry], given: list[Resource]) -> list[BundleEntry]:
    """Entries of a history by the time of each version, if all have one; else reversed, because R4 lists the newest version
    first."""
    backwards = entries[::-1]
    times = [
        given[e.number].get("response", {}).get("lastModified") or e.resource.get("meta", {}).get("lastUpdated")
        for e in backwards
    ]
    if not all(isinstance(t, str) for t in times):
        return backwards
    at = {e.number: datetime.fromisoformat(t) for e, t in zip(backwards, times, strict=True)}
    return sorted(backwards, key=lambda e: at[e.number])


def _entry(one: Resource, resource: Resource, number: int, seed: str, find: Find) -> BundleEntry:
    kind, url, request = resource["resourceType"], one.get("fullUrl"), one.get("request", {})
    condition = request.get("ifNoneExist")
    if condition:
        there = find(kind, condition.partition("?")[2] or condition)
        if there is not None:
            return BundleEntry(number, kind, there, url, resource, made=False)
    asked = REFERENCE.match(request.get("url", "")) if request.get("method") == "PUT" else None
    if "id" not in resource:
        if asked is not None:
            given = asked["id"]
        elif url is not None and url.startswith("urn:uuid:"):
            given = url.removeprefix("urn:uuid:")
        else:
            given = str(uuid.uuid5(IDS, seed))
        resource["id"] = given
    return BundleEntry(number, kind, resource["id"], url, resource)


def _same_twice(entries: list[BundleEntry], issues: list[ValidationIssue]) -> None:
    seen: set[tuple[str, str]] = set()
    for entry in entries:
        if (entry.kind, entry.id) in seen and entry.made:
            what = (
                "has the same type and id as another entry of this Bundle. Each counts as a version; the last one is current."
            )
            issues.append(ValidationIssue("warning", entry.place, "bundle-same-id", what))
        seen.add((entry.kind, entry.id))


def _where(root: Any, text: str, place: str) -> str:
    """The path of the first node below another that has this reference."""
    stack: list[tuple[Any, str]] = [(root, place)]
    while stack:
        one, where = stack.pop(0)
        if isinstance(one, dict):
            if one.get("reference") == text:
                return where
            stack += [(v, f"{where}.{k}") for k, v in one.items() if isinstance(v, dict | list)]
        else:
            stack += [(v, f"{where}[{i}]") for i, v in enumerate(one) if isinstance(v, dict | list)]
    return place


def _named(text: str, base: str | None, by_url: dict[str, BundleEntry], inside: dict[str, set[str]], find: Find) -> str | None:
    """Type/id of a reference's target; an external reference unchanged; None for an unresolved one."""
    entry = by_url.get(text) or (by_url.get(f"{base}/{text}") if base else None)
    if entry is not None:
        return f"{entry.kind}/{entry.id}"
    if text.startswith("urn:"):
        return None
    match = CONDITIONAL.match(text)
    if match is None:
        return text
    there = find(match["type"], text.partition("?")[2])
    if there is None:  # the target may be in this Bundle
        there = _inside(match["type"], text.partition("?")[2], inside)
    return None if there is None else f"{match['type']}/{there}"


def _inside(kind: str, search: str, by_identifier: dict[str, set[str]]) -> str | None:
    """The one entry that has the identifier of a search."""
    found = by_identifier.get(f"{kind}?{search}", set())
    return next(iter(found)) if len(found) == 1 else None


def _identified(entries: list[BundleEntry]) -> dict[str, set[str]]:
    """Ids of the entries by the identifier searches that match them."""
    found: dict[str, set[str]] = {}
    for entry in entries:
        for search in identifier_searches(entry.resource):
            found.setdefault(search, set()).add(entry.id)
    return found
