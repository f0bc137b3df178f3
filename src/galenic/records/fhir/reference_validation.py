"""Validation of references: format, permitted types, and targets in the same resource or Bundle (R4, References)."""

import re
from collections.abc import Mapping
from functools import lru_cache
from typing import Any

from galenic.records.fhir.definitions import Element, r4
from galenic.records.fhir.issue import ValidationIssue
from galenic.records.fhir.primitives import ABSOLUTE, UUID

Resource = dict[str, Any]
REFERENCE = re.compile(
    r"^(?:(?P<base>https?://.+)/)?(?P<type>[A-Z][A-Za-z]+)/(?P<id>[A-Za-z0-9\-.]{1,64})(?:/_history/[A-Za-z0-9\-.]{1,64})?(?:#.+)?\Z"
)
CONDITIONAL = re.compile(r"^(?P<type>[A-Z][A-Za-z]+)\?.+\Z")


class Targets:
    """Resource, and possible targets of its references. contained: types by the ids of contained resources; in_bundle: types by
    the fullUrls of its Bundle; is_closed: True if the Bundle must contain every urn:uuid that its references name."""

    __slots__ = ("contained", "in_bundle", "is_closed", "resource")

    def __init__(self, resource: Resource, in_bundle: Mapping[str, str], beside: Mapping[str, str], *, is_closed: bool) -> None:
        self.resource = resource
        held = resource.get("contained")
        self.contained = {**types_by_id(held), **beside} if held else beside
        self.in_bundle = in_bundle
        self.is_closed = is_closed


def types_by_id(contained: Any) -> dict[str, str]:
    """Types of contained resources by id."""
    return {str(c["id"]): str(c.get("resourceType")) for c in contained if isinstance(c, dict) and "id" in c}


def check_reference(node: Resource, element: Element, where: str, inside: Targets, found: list[ValidationIssue]) -> None:
    """Adds the issues of a Reference. element: definition of the element."""
    said, text = node.get("type"), node.get("reference")
    if isinstance(said, str) and said not in r4().resources and "/" not in said:
        found.append(ValidationIssue("error", f"{where}.type", "reference-type", "does not name an R4 resource type."))
    if not isinstance(text, str):
        return
    if text[:1] == "#":
        _check_own(text[1:], said, element, where, inside, found)
        return
    kind = _type_named(text)
    if kind is None:
        kind = inside.in_bundle.get(text)
        if kind is None:
            found += _without_type(text, where, inside)
            return
    if said is not None or kind not in r4().resources or (element.targets and kind not in element.targets):
        found += _with_type(text, kind, said, element, where)


def _check_own(own: str, said: Any, element: Element, where: str, inside: Targets, found: list[ValidationIssue]) -> None:
    """Adds the issues of a reference to a contained resource, or to the one that contains this one."""
    kind = inside.contained.get(own) if own else None
    if own and kind is None:
        what = "refers to a contained resource that does not exist. Contain it, or refer to another."
        found.append(ValidationIssue("error", where, "ref-1", what))
    elif kind in r4().resources:
        found += _with_type(own, str(kind), said, element, where)


@lru_cache(20_000)
def _type_named(text: str) -> str | None:
    match = REFERENCE.match(text) or CONDITIONAL.match(text)
    return match["type"] if match else None


def _without_type(text: str, where: str, inside: Targets) -> list[ValidationIssue]:
    if text.startswith("urn:uuid:") and inside.is_closed and inside.in_bundle:
        what = "refers to an entry (urn:uuid) that the Bundle does not have. Add the entry."
        return [ValidationIssue("error", where, "reference-inside", what)]
    if ABSOLUTE.match(text) and (not text.startswith("urn:uuid:") or UUID.match(text)):
        return []
    what = "is not a reference. Expected Type/id, an absolute URL, urn:uuid:…, #id of a contained resource or Type?search."
    return [ValidationIssue("error", f"{where}.reference", "reference-form", what)]


def _with_type(text: str, kind: str, said: Any, element: Element, where: str) -> list[ValidationIssue]:
    if kind not in r4().resources:
        what = "names a type that is not an R4 resource type."
        return [] if text.startswith("http") else [ValidationIssue("error", f"{where}.reference", "reference-type", what)]
    found = []
    if element.targets and kind not in element.targets:
        what = f"must refer to {', '.join(element.targets)}, but refers to another type."
        found.append(ValidationIssue("error", where, "reference-target", what))
    if isinstance(said, str) and said in r4().resources and said != kind:
        found.append(
            ValidationIssue("error", f"{where}.type", "reference-type", "names a different type than the reference itself.")
        )
    return found
