"""Validation of FHIR R4 resources: structure, codes, dates, references, narrative, invariants."""

import difflib
import re
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache, lru_cache
from itertools import islice
from typing import Any

import orjson

from galenic.records.fhir.definitions import Element, Rule, r4
from galenic.records.fhir.explain import explain
from galenic.records.fhir.invariant_shortcuts import SUFFICIENT
from galenic.records.fhir.invariants import compile_rule
from galenic.records.fhir.issue import ValidationIssue
from galenic.records.fhir.narrative import check_narrative
from galenic.records.fhir.schemas import validator

Resource = dict[str, Any]
MOST = 200  # issues reported for one resource
REFERENCE = re.compile(
    r"^(?:(?P<base>https?://.+)/)?(?P<type>[A-Z][A-Za-z]+)/(?P<id>[A-Za-z0-9\-.]{1,64})(?:/_history/[A-Za-z0-9\-.]{1,64})?(?:#.+)?\Z"
)
CONDITIONAL = re.compile(r"^(?P<type>[A-Z][A-Za-z]+)\?.+\Z")
OWN = re.compile(rb'"#[^"\\]*(?:\\.[^"\\]*)*"')
ABSOLUTE = re.compile(r"^[A-Za-z][A-Za-z0-9+.\-]*:\S+\Z")  # RFC 3986, 4.3: any scheme


def validate_resource(resource: Any) -> tuple[ValidationIssue, ...]:
    """The issues of a resource (for a Bundle, also of its entries); none for a valid resource."""
    found: list[ValidationIssue] = []
    try:
        _check(resource, "", found)
    except RecursionError:
        found.append(
            ValidationIssue(
                "error", "$this", "depth", "is nested too deep to be checked. No FHIR resource is: send it flatter."
            )
        )
    except (TypeError, ValueError):
        if _is_json(resource):
            raise
        what = "holds a value that is none of JSON's: an integer beyond 64 bits, half a surrogate pair, an object of Python's."
        found.append(ValidationIssue("error", "$this", "json", what + " Give what was read from JSON."))
    return tuple(found[:MOST])


def _is_json(resource: Any) -> bool:
    try:
        orjson.dumps(resource)
    except orjson.JSONEncodeError:
        return False
    return True


def _check(
    resource: Any,
    where: str,
    found: list[ValidationIssue],
    in_bundle: frozenset[str] = frozenset(),
    beside: frozenset[str] = frozenset(),
) -> None:
    """Adds the issues of one resource. in_bundle: fullUrls of its Bundle; beside: for a contained resource, ids of all resources
    that its container contains, because # references are relative to the container (R4, References, 2.3.0.2)."""
    kind = _kind(resource, where, found)
    if kind is None:
        return
    where = where or kind
    refused = [] if validator(kind).is_valid(resource) else _refused(resource, kind, where)
    if refused:
        found += refused
        return  # the rules assume that required elements exist
    _walk(resource, _plan(kind), where, _Inside(resource, in_bundle, beside), found)
    if "contained" in resource:
        _contained(resource, where, found)
    if kind == "Bundle":
        _bundle(resource, where, found)
    elif kind == "Parameters":
        for i, parameter in enumerate(resource.get("parameter", ())):
            if "resource" in parameter:
                _check(parameter["resource"], f"{where}.parameter[{i}].resource", found)


def _kind(resource: Any, where: str, found: list[ValidationIssue]) -> str | None:
    if not isinstance(resource, dict):
        found.append(ValidationIssue("error", where or "$this", "structure", "a resource is a JSON object; this is none."))
        return None
    kind = resource.get("resourceType")
    if isinstance(kind, str) and kind in r4().resources:
        return kind
    near = difflib.get_close_matches(kind, r4().resources, 1) if isinstance(kind, str) else []
    hint = f" Did you mean {near[0]}?" if near else " Is it of another FHIR version?"
    what = "resourceType is absent" if kind is None else "resourceType names no resource of R4"
    found.append(
        ValidationIssue("error", f"{where}.resourceType" if where else "resourceType", "resource-type", what + "." + hint)
    )
    return None


def _refused(resource: Resource, kind: str, where: str) -> list[ValidationIssue]:
    found = list(islice(explain(resource, kind, where), MOST))
    if not found and not validator(kind, nulls=True).is_valid(resource):
        # the schema is stricter than our messages: name the place, without values
        error = next(validator(kind).iter_errors(resource))
        place = "".join(f"[{p}]" if isinstance(p, int) else f".{p}" for p in error.instance_path)
        found.append(ValidationIssue("error", where + place, "structure", "does not have the structure that R4 defines here."))
    return found


# rules, references and narrative, after the structure was found to be right


class _Inside:
    """A resource, and the targets that references in it may name."""

    __slots__ = ("contained", "in_bundle", "resource")

    def __init__(self, resource: Resource, in_bundle: frozenset[str], beside: frozenset[str]) -> None:
        self.resource = resource
        held = resource.get("contained")
        self.contained = _ids(held) | beside if held else beside
        self.in_bundle = in_bundle


def _ids(contained: Any) -> frozenset[str]:
    return frozenset(str(c["id"]) for c in contained if isinstance(c, dict) and "id" in c)


Compiled = tuple[tuple[str, str, str, Callable[[Resource], bool] | None, Callable[[Any, Any], bool]], ...]


@dataclass(slots=True)
class _ValidationPlan:
    """Checks of one type: its rules, and by property name the type, the element and its rules."""

    kind: str
    rules: Compiled
    parts: dict[str, tuple[str, Element, Compiled]]
    plain: bool  # nothing to check but extensions


def _compiled(rules: tuple[Rule, ...]) -> Compiled:
    return tuple((key, level, human, SUFFICIENT.get(key), compile_rule(tree)) for key, level, human, tree in rules)


@cache
def _plan(kind: str) -> _ValidationPlan:
    type_ = r4().types[kind]
    parts = {}
    for element in type_.elements:
        rules = _compiled(element.rules)
        for name, of in element.names():
            if of != "Resource" and (of not in r4().primitives or rules):  # resources in it are validated on their own
                parts[name] = (of.removeprefix("@"), element, rules)
    rules, plain = _compiled(type_.rules), all(of == "Extension" and not own for of, _element, own in parts.values())
    return _ValidationPlan(kind, rules, parts, plain and not rules and kind != "Narrative")


def _broken(rules: Compiled, node: Any, where: str, inside: _Inside, found: list[ValidationIssue]) -> None:
    for key, level, human, sure, holds in rules:
        if not (sure and isinstance(node, dict) and sure(node)) and not holds(node, inside.resource):
            found.append(ValidationIssue(level, where, key, human))


def _walk(node: Resource, plan: _ValidationPlan, where: str, inside: _Inside, found: list[ValidationIssue]) -> None:
    _broken(plan.rules, node, where, inside, found)
    if plan.kind == "Narrative":
        found += check_narrative(node, where)
    parts = plan.parts
    for name, value in node.items():
        part = parts.get(name)
        if part is None:
            continue
        if isinstance(value, list):
            for i, one in enumerate(value):
                _visit(one, part, name, f"{where}.{name}[{i}]", inside, found)
        else:
            _visit(value, part, name, f"{where}.{name}", inside, found)


def _visit(
    node: Any, part: tuple[str, Element, Compiled], name: str, where: str, inside: _Inside, found: list[ValidationIssue]
) -> None:
    kind, element, rules = part
    if rules:
        _broken(rules, node, where, inside, found)
    if not isinstance(node, dict):
        return
    if kind == "Reference":
        _reference(node, element, where, inside, found)
    elif name == "modifierExtension":
        text = "changes the meaning of what it stands in, and is not known here. What it stands in is kept, not interpreted."
        found.append(ValidationIssue("warning", where, "modifier-extension", text))
    plan = _plan(kind)
    if not (plan.plain or kind in ENOUGH) or _deep(node, kind):
        _walk(node, plan, where, inside, found)


ENOUGH = {
    "CodeableConcept": "coding",
    "Reference": "identifier",
}  # types with only extensions and this part, which has no rules


def _deep(node: Resource, kind: str) -> bool:
    """Whether a node of such a type has extensions."""
    if "extension" in node or "modifierExtension" in node:
        return True
    inner = node.get(ENOUGH.get(kind, ""))
    if isinstance(inner, list):
        return any("extension" in one for one in inner)
    return inner is not None


def _reference(node: Resource, element: Element, where: str, inside: _Inside, found: list[ValidationIssue]) -> None:
    said, text = node.get("type"), node.get("reference")
    if isinstance(said, str) and said not in r4().resources and "/" not in said:
        found.append(ValidationIssue("error", f"{where}.type", "reference-type", "names no resource of R4."))
    if not isinstance(text, str):
        return
    if text[:1] == "#":
        if len(text) > 1 and text[1:] not in inside.contained:
            what = "names a contained resource that is not there. Contain it, or name another."
            found.append(ValidationIssue("error", where, "ref-1", what))
        return
    kind = _type_named(text)
    if kind is None:
        if text not in inside.in_bundle:
            found += _without_type(text, where, inside)
    elif said is not None or kind not in r4().resources or (element.targets and kind not in element.targets):
        found += _with_type(text, kind, said, element, where)


@lru_cache(20_000)
def _type_named(text: str) -> str | None:
    match = REFERENCE.match(text) or CONDITIONAL.match(text)
    return match["type"] if match else None


def _without_type(text: str, where: str, inside: _Inside) -> list[ValidationIssue]:
    if text.startswith("urn:uuid:") and inside.in_bundle and text not in inside.in_bundle:
        what = "names an entry (urn:uuid) that the Bundle does not hold. Add the entry."
        return [ValidationIssue("error", where, "reference-inside", what)]
    if ABSOLUTE.match(text):
        return []
    what = "is not a reference. Expected Type/id, an absolute URL, urn:uuid:…, #id of a contained resource or Type?search."
    return [ValidationIssue("error", f"{where}.reference", "reference-form", what)]


def _with_type(text: str, kind: str, said: Any, element: Element, where: str) -> list[ValidationIssue]:
    if kind not in r4().resources:
        what = "names a type that is no resource of R4."
        return [] if text.startswith("http") else [ValidationIssue("error", f"{where}.reference", "reference-type", what)]
    found = []
    if element.targets and kind not in element.targets:
        what = f"may name {', '.join(element.targets)}, and names another type."
        found.append(ValidationIssue("error", where, "reference-target", what))
    if isinstance(said, str) and said in r4().resources and said != kind:
        found.append(
            ValidationIssue("error", f"{where}.type", "reference-type", "names another type than the reference itself.")
        )
    return found


def _contained(resource: Resource, where: str, found: list[ValidationIssue]) -> None:
    named, beside = _own_references(resource), _ids(resource["contained"])
    seen: set[str] = set()
    for i, one in enumerate(resource["contained"]):
        place = f"{where}.contained[{i}]"
        _check(one, place, found, beside=beside)
        if not isinstance(one, dict):
            continue
        own = one.get("id")
        if not isinstance(own, str):
            found.append(
                ValidationIssue(
                    "error", place, "contained-id", "has no id. A contained resource is named by its id: give it one."
                )
            )
        elif own in seen:
            found.append(ValidationIssue("error", place, "contained-id", "has the same id as another contained resource."))
        elif f"#{own}" not in named and "#" not in _own_references(one):
            found.append(
                ValidationIssue("error", place, "dom-3", "is named by no reference of its resource. Name it, or leave it out.")
            )
        seen.add(str(own))
        if "contained" in one:
            found.append(ValidationIssue("error", place, "dom-2", "contains resources itself. Contain them all at one level."))
        meta = one.get("meta") if isinstance(one.get("meta"), dict) else {}
        if meta and ("versionId" in meta or "lastUpdated" in meta):
            found.append(
                ValidationIssue(
                    "error", f"{place}.meta", "dom-4", "has a version or a time of change; only the outer resource has."
                )
            )
        if meta and "security" in meta:
            found.append(
                ValidationIssue("error", f"{place}.meta", "dom-5", "has a security label; only the outer resource has.")
            )


def _own_references(node: Any) -> set[str]:
    """Every string in a node that starts with #: references, canonicals and URIs of contained resources."""
    found = set(OWN.findall(orjson.dumps(node)))
    return {str(orjson.loads(t)) if b"\\" in t else t[1:-1].decode() for t in found}


def _bundle(bundle: Resource, where: str, found: list[ValidationIssue]) -> None:
    entries = bundle.get("entry", ())
    urls = frozenset(e["fullUrl"] for e in entries if "fullUrl" in e)
    inside = urls if bundle["type"] in ("transaction", "batch", "document", "message", "collection") else frozenset()
    for i, entry in enumerate(entries):
        place, one = f"{where}.entry[{i}]", entry.get("resource")
        if one is None:
            continue
        _check(one, f"{place}.resource", found, inside)
        if len(found) >= MOST:
            return
        url, own = entry.get("fullUrl"), one.get("id")
        match = REFERENCE.match(url) if isinstance(url, str) and url.startswith("http") else None
        if match and own is not None and match["id"] != own:
            found.append(
                ValidationIssue(
                    "error", f"{place}.fullUrl", "bundle-full-url", "ends with another id than that of its resource."
                )
            )
        if url is not None and not ABSOLUTE.match(url):
            found.append(
                ValidationIssue(
                    "error",
                    f"{place}.fullUrl",
                    "bundle-full-url",
                    "is relative. Expected an absolute URI, such as urn:uuid:… or https://…",
                )
            )
