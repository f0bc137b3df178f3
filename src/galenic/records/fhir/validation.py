"""Validation of FHIR R4 resources: structure, codes, dates, references, narrative, invariants."""

import difflib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cache
from itertools import islice
from types import MappingProxyType
from typing import Any

import orjson

from galenic.records.fhir.containment import check_bundle, check_contained
from galenic.records.fhir.definitions import Element, Rule, r4
from galenic.records.fhir.explain import WHOLE, explain
from galenic.records.fhir.extension_validation import check_extension, path_of
from galenic.records.fhir.invariant_shortcuts import SUFFICIENT
from galenic.records.fhir.invariants import compile_rule
from galenic.records.fhir.issue import ValidationIssue
from galenic.records.fhir.narrative import check_narrative
from galenic.records.fhir.reference_validation import Targets, check_reference
from galenic.records.fhir.schemas import validator

Resource = dict[str, Any]
MOST = 200  # issues reported for one resource
NONE: Mapping[str, str] = MappingProxyType({})


def validate_resource(resource: Any) -> tuple[ValidationIssue, ...]:
    """The issues of a resource (for a Bundle, also of its entries); none for a valid resource."""
    found: list[ValidationIssue] = []
    try:
        _check(resource, "", found)
    except RecursionError:
        found.append(
            ValidationIssue(
                "error", "$this", "depth", "is nested too deep to be checked. No valid FHIR resource is: export it again."
            )
        )
    except (TypeError, ValueError):
        if _is_json(resource):
            raise
        what = "has a value that JSON does not allow: an integer beyond 64 bits, an unpaired surrogate, or a Python object."
        found.append(ValidationIssue("error", "$this", "json", what + " Give a value that was read from JSON."))
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
    *,
    in_bundle: Mapping[str, str] = NONE,
    beside: Mapping[str, str] = NONE,
    is_closed: bool = False,
) -> None:
    """Adds the issues of one resource. in_bundle: types by the fullUrls of its Bundle; is_closed: True if the Bundle must
    contain every urn:uuid that its references name; beside: for a contained resource, types by the ids of all resources that
    its container contains, because # references are relative to the container (R4, References, 2.3.0.2)."""
    kind = _kind(resource, where, found)
    if kind is None:
        return
    where = where or kind
    refused = [] if validator(kind).is_valid(resource) else _refused(resource, kind, where)
    if refused:
        found += refused
        return  # the rules assume that required elements exist
    inside = Targets(resource, in_bundle, beside, is_closed=is_closed)
    _walk(resource, _plan(kind), (kind,), where, inside, found)
    if "contained" in resource:
        check_contained(resource, where, found, _check)
    if kind == "Bundle":
        check_bundle(resource, where, found, _check, MOST)
    elif kind == "Parameters":
        for i, parameter in enumerate(resource.get("parameter", ())):
            if "resource" in parameter:
                _check(parameter["resource"], f"{where}.parameter[{i}].resource", found)


def _kind(resource: Any, where: str, found: list[ValidationIssue]) -> str | None:
    if not isinstance(resource, dict):
        found.append(ValidationIssue("error", where or "$this", "structure", "is not a JSON object. Expected a resource."))
        return None
    kind = resource.get("resourceType")
    if isinstance(kind, str) and kind in r4().resources:
        return kind
    near = difflib.get_close_matches(kind, r4().resources, 1) if isinstance(kind, str) else []
    hint = f" Did you mean {near[0]}?" if near else " Check whether it has another FHIR version."
    what = "resourceType is missing" if kind is None else "resourceType is not an R4 resource type"
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


Compiled = tuple[tuple[str, str, str, Callable[[Resource], bool] | None, Callable[[Any, Any], bool]], ...]


@dataclass(slots=True)
class _Part:
    """One property of a type. path: as contexts of extensions name it; beside: id and extensions of a primitive."""

    kind: str
    element: Element
    rules: Compiled
    path: str
    is_beside: bool = False
    is_extension: bool = False


@dataclass(slots=True)
class _ValidationPlan:
    """Checks of one type: its rules, and its properties by name."""

    kind: str
    rules: Compiled
    parts: dict[str, _Part]
    deep: frozenset[str]  # properties by which extensions, or ids of primitives, come in
    plain: bool  # nothing else to check


def _compiled(rules: tuple[Rule, ...]) -> Compiled:
    return tuple((key, level, human, SUFFICIENT.get(key), compile_rule(tree)) for key, level, human, tree in rules)


@cache
def _plan(kind: str) -> _ValidationPlan:
    type_ = r4().types[kind]
    parts: dict[str, _Part] = {}
    for element in type_.elements:
        rules = _compiled(element.rules)
        for name, of in element.names():
            if of == "Resource":  # resources in it are validated on their own
                continue
            path = path_of(kind, element)
            if of not in r4().primitives or rules or of in WHOLE:
                parts[name] = _Part(of.removeprefix("@"), element, rules, path, is_extension=of == "Extension")
            if of in r4().primitives:
                parts["_" + name] = _Part(of, element, (), path, is_beside=True)
    rules = _compiled(type_.rules)
    deep = frozenset(name for name, p in parts.items() if p.is_beside or (p.is_extension and not p.rules))
    return _ValidationPlan(kind, rules, parts, deep, len(deep) == len(parts) and not rules and kind != "Narrative")


def _broken(rules: Compiled, node: Any, where: str, inside: Targets, found: list[ValidationIssue]) -> None:
    for key, level, human, sure, holds in rules:
        if not (sure and isinstance(node, dict) and sure(node)) and not holds(node, inside.resource):
            found.append(ValidationIssue(level, where, key, human))


def _walk(
    node: Resource, plan: _ValidationPlan, places: tuple[str, ...], where: str, inside: Targets, found: list[ValidationIssue]
) -> None:
    """places: the type of the node and its path, as contexts of extensions name them."""
    _broken(plan.rules, node, where, inside, found)
    if plan.kind == "Narrative":
        found += check_narrative(node, where)
    parts = plan.parts
    for name, value in node.items():
        part = parts.get(name)
        if part is None:
            continue
        if part.is_extension:
            _extensions(value, part, places, f"{where}.{name}", inside, found)
        elif part.is_beside:
            _beside(node, name, part, f"{where}.{name}", inside, found)
        elif isinstance(value, list):
            for i, one in enumerate(value):
                _visit(one, part, f"{where}.{name}[{i}]", inside, found)
        else:
            _visit(value, part, f"{where}.{name}", inside, found)


def _visit(node: Any, part: _Part, where: str, inside: Targets, found: list[ValidationIssue]) -> None:
    if part.rules:
        _broken(part.rules, node, where, inside, found)
    if not isinstance(node, dict):
        if isinstance(node, float) and part.kind in WHOLE:
            what = f"has a decimal point or an exponent. Expected {part.kind}: digits only."
            found.append(ValidationIssue("error", where, "format", what))
        return
    kind = part.kind
    if kind == "Reference":
        check_reference(node, part.element, where, inside, found)
    plan = _plan(kind)
    if not (plan.plain or kind in ENOUGH) or not plan.deep.isdisjoint(node) or (kind in ENOUGH and _deep(node, kind)):
        _walk(node, plan, (kind, part.path), where, inside, found)


def _extensions(
    value: list[Resource], part: _Part, places: tuple[str, ...], where: str, inside: Targets, found: list[ValidationIssue]
) -> None:
    name = part.element.name
    for i, one in enumerate(value):
        place = f"{where}[{i}]"
        found += check_extension(one, places, place, name)
        if name == "modifierExtension":
            text = (
                "is an unknown modifier extension, which changes the meaning of its element. The element is stored but "
                "not interpreted."
            )
            found.append(ValidationIssue("warning", place, "modifier-extension", text))
        _visit(one, part, place, inside, found)


def _beside(node: Resource, name: str, part: _Part, where: str, inside: Targets, found: list[ValidationIssue]) -> None:
    """id and extensions of a primitive, or of each primitive of a list (ele-1: without a value, extensions stand for it)."""
    beside, values = node[name], node.get(name[1:])
    if not part.element.listed:
        beside, values = [beside], [values]
    for i, one in enumerate(beside):
        if not isinstance(one, dict):
            continue
        place = f"{where}[{i}]" if part.element.listed else where
        if "extension" in one:
            _walk(one, _plan("Element"), (part.kind, part.path), place, inside, found)
        elif not isinstance(values, list) or i >= len(values) or values[i] is None:
            what = "is null, which is allowed only with an extension. Add one, or leave it out."
            found.append(ValidationIssue("error", place, "ele-1", what))


ENOUGH = {  # types with only extensions and this part, which has no rules
    "CodeableConcept": "coding",
    "Reference": "identifier",
}


def _deep(node: Resource, kind: str) -> bool:
    """True if the part of such a type has extensions."""
    inner = node.get(ENOUGH[kind])
    if isinstance(inner, list):
        deep = _plan("Coding").deep
        return any(not deep.isdisjoint(one) for one in inner)
    return inner is not None
