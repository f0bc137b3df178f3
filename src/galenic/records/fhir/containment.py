"""Validation of resources within resources: contained ones (R4, References, 2.3.0.2) and the entries of Bundles (R4, Bundle)."""

import re
from collections import Counter
from typing import Any, Protocol

import orjson

from galenic.records.fhir.issue import ValidationIssue
from galenic.records.fhir.primitives import ABSOLUTE
from galenic.records.fhir.reference_validation import REFERENCE, types_by_id

Resource = dict[str, Any]
OWN = re.compile(rb'"#[^"\\]*(?:\\.[^"\\]*)*"')
CLOSED = ("transaction", "batch", "document", "message", "collection")  # types of Bundles that hold what their references name
ONCE = ("self", "first", "previous", "prev", "next", "last")  # relations of a Bundle that must have only one address


class CheckResource(Protocol):
    """Function that adds the validation issues of one contained resource."""

    def __call__(
        self,
        resource: Any,
        where: str,
        found: list[ValidationIssue],
        *,
        in_bundle: dict[str, str] = ...,
        beside: dict[str, str] = ...,
        is_closed: bool = ...,
    ) -> None:
        """in_bundle, beside, is_closed: as in Targets."""


def check_contained(resource: Resource, where: str, found: list[ValidationIssue], check: CheckResource) -> None:
    """Adds the issues of the resources that a resource contains."""
    named = _own_references({k: v for k, v in resource.items() if k != "contained"})
    inner = [_own_references(one) for one in resource["contained"]]
    beside = types_by_id(resource["contained"])
    seen: set[str] = set()
    for i, one in enumerate(resource["contained"]):
        place = f"{where}.contained[{i}]"
        check(one, place, found, beside=beside)
        if not isinstance(one, dict):
            continue
        own = one.get("id")
        others = named.union(*(text for j, text in enumerate(inner) if j != i))
        if not isinstance(own, str):
            what = "has no id. A contained resource is referred to by its id: give it one."
            found.append(ValidationIssue("error", place, "contained-id", what))
        elif own in seen:
            found.append(
                ValidationIssue(
                    "error", place, "contained-id", "has the same id as another contained resource. Give each its own id."
                )
            )
        elif f"#{own}" not in others and "#" not in inner[i]:
            what = "is not referred to by its resource. Refer to it, or leave it out."
            found.append(ValidationIssue("error", place, "dom-3", what))
        seen.add(str(own))
        found += _only_outside(one, place)


def _only_outside(one: Resource, place: str) -> list[ValidationIssue]:
    """dom-2, dom-4 and dom-5."""
    found = []
    if "contained" in one:
        what = "contains resources itself. Contain all of them directly in the outer resource."
        found.append(ValidationIssue("error", place, "dom-2", what))
    meta = one.get("meta") if isinstance(one.get("meta"), dict) else {}
    if meta and ("versionId" in meta or "lastUpdated" in meta):
        what = "has a version or a time of change; only the outer resource may have one."
        found.append(ValidationIssue("error", f"{place}.meta", "dom-4", what))
    if meta and "security" in meta:
        found.append(
            ValidationIssue("error", f"{place}.meta", "dom-5", "has a security label; only the outer resource may have one.")
        )
    return found


def _own_references(node: Any) -> set[str]:
    """Every string in a node that starts with #: references, canonicals and URIs of contained resources."""
    found = set(OWN.findall(orjson.dumps(node)))
    return {str(orjson.loads(t)) if b"\\" in t else t[1:-1].decode() for t in found}


def check_bundle(bundle: Resource, where: str, found: list[ValidationIssue], check: CheckResource, most: int) -> None:
    """Adds the issues of the links and entries of a Bundle, up to a number."""
    found += _links(bundle.get("link", ()), where)
    entries = bundle.get("entry", ())
    types = {e["fullUrl"]: str(e.get("resource", {}).get("resourceType")) for e in entries if "fullUrl" in e}
    for i, entry in enumerate(entries):
        place, one = f"{where}.entry[{i}]", entry.get("resource")
        found += _links(entry.get("link", ()), place)
        if one is None:
            continue
        check(one, f"{place}.resource", found, in_bundle=types, is_closed=bundle["type"] in CLOSED)
        if len(found) >= most:
            return
        found += _full_url(entry.get("fullUrl"), one.get("id"), place)


def _full_url(url: Any, own: Any, place: str) -> list[ValidationIssue]:
    match = REFERENCE.match(url) if isinstance(url, str) and url.startswith("http") else None
    if match and own is not None and match["id"] != own:
        what = "ends with a different id than that of its resource. Make them equal."
        return [ValidationIssue("error", f"{place}.fullUrl", "bundle-full-url", what)]
    if url is not None and not ABSOLUTE.match(url):
        what = "is relative. Expected an absolute URI, such as urn:uuid:… or https://…"
        return [ValidationIssue("error", f"{place}.fullUrl", "bundle-full-url", what)]
    return []


def _links(links: Any, place: str) -> list[ValidationIssue]:
    """Checks that a paging relation (IANA link relations; R4, Search, 3.1.1.3) has only one address."""
    if len(links) < 2:
        return []
    relations = Counter(link.get("relation") for link in links)
    what = "has two links with the same relation, such as self or next. Keep one of them."
    return [ValidationIssue("error", f"{place}.link", "bundle-link", what) for r in ONCE if relations[r] > 1]
