"""Search parameters of R4 by resource type: their types, and the elements that hold their values."""

import gzip
import json
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import cache
from importlib import resources
from types import MappingProxyType

from galenic.records.fhir.definitions import Element, r4

Path = tuple[str, ...]
LEFT_OUT = {"phonetic", "near"}  # phonetic and distance search are neither indexed nor declared
EVERY = "Resource"
NONE: Mapping[str, str] = MappingProxyType({})


@dataclass(frozen=True, slots=True)
class SearchParameter:
    """One search parameter of one type. paths: steps from the resource; components: of a composite, code and paths of each."""

    code: str
    type: str
    url: str
    paths: tuple[Path, ...]
    targets: tuple[str, ...]  # types to which a reference may point; empty for any
    components: tuple[tuple[str, tuple[Path, ...]], ...] = ()
    parts: tuple[
        str, ...
    ] = ()  # parameters of the type that together have all its values, so that it needs no index of its own


@cache
def _compiled() -> dict[str, dict[str, SearchParameter]]:
    packed = resources.files("galenic.records.fhir").joinpath("search.json.gz").read_bytes()
    data = json.loads(gzip.decompress(packed))["parameters"]
    return {kind: {code: _parameter(code, about) for code, about in own.items()} for kind, own in data.items()}


def _parameter(code: str, about: dict[str, object]) -> SearchParameter:
    parts = tuple((str(c), _paths(p)) for c, p in about.get("component", ()))  # type: ignore[attr-defined]
    targets = tuple(map(str, about.get("target", ())))  # type: ignore[call-overload]
    return SearchParameter(code, str(about["type"]), str(about["url"]), _paths(about["paths"]), targets, parts)


def _paths(found: object) -> tuple[Path, ...]:
    return tuple(tuple(str(step) for step in path) for path in found)  # type: ignore[attr-defined]


@cache
def search_parameters_of(kind: str) -> dict[str, SearchParameter]:
    """The search parameters of a type by code, including those of every resource."""
    every = _compiled()
    own = {**every[EVERY], **every.get(kind, {})}
    own = {code: p for code, p in own.items() if code not in LEFT_OUT and len(p.components) < 3}
    return {code: replace(p, parts=_parts(p, own)) for code, p in own.items()}


def _parts(parameter: SearchParameter, own: dict[str, SearchParameter]) -> tuple[str, ...]:
    """Parameters that a combined one, such as combo-code (code and component-code), is searched by."""
    if len(parameter.paths) < 2:
        return ()
    rest, found = set(parameter.paths), []
    for other in own.values():
        same = other.type == parameter.type and [c[1] for c in other.components] == [c[1] for c in parameter.components]
        if same and set(other.paths) < set(parameter.paths):
            rest -= set(other.paths)
            found.append(other.code)
    return tuple(found) if not rest else ()


def component(parameter: SearchParameter, number: int) -> SearchParameter:
    """One component of a composite parameter."""
    code = parameter.components[number][0]
    return next(own[code] for own in _compiled().values() if code in own)


@dataclass(frozen=True, slots=True)
class Leaf:
    """An element that holds values of a parameter. type: its FHIR type; only: conditions on sibling elements, or the type that a
    reference must name ("@Patient"); exists: only the existence of a value counts; systems: for a code with a required value set,
    the system of each code."""

    parameter: SearchParameter
    type: str
    only: tuple[str, ...] = ()
    exists: bool = False
    systems: Mapping[str, str] = field(default_factory=lambda: NONE)


@dataclass(slots=True)
class ExtractionPlan:
    """Extraction plan of a node, by property name: elements that hold values, and plans of inner nodes."""

    leaves: dict[str, list[Leaf]]
    inner: dict[str, "ExtractionPlan"]


@cache
def extraction_plan(kind: str) -> tuple[ExtractionPlan, tuple[tuple[SearchParameter, Path], ...]]:
    """The extraction plan of a type, and its composite parameters with the path of each group."""
    whole, groups = ExtractionPlan({}, {}), []
    for parameter in search_parameters_of(kind).values():
        if parameter.code in ("_id", "_lastUpdated"):
            continue  # columns of the index itself
        if parameter.parts:
            continue
        for path in parameter.paths:
            if parameter.components:
                groups.append((parameter, path))
            else:
                place(whole, kind, path, parameter)
    return whole, tuple(groups)


def place(whole: ExtractionPlan, path_of_type: str, path: Path, parameter: SearchParameter) -> None:
    """Adds one path of a parameter to a plan of a node of that type."""
    only = tuple(s for s in path if s[0] == "@" or "=" in s)
    steps = [s for s in path if s[0] not in "@[" and "=" not in s]
    _descend(whole, path_of_type, steps, parameter, only)


def _descend(node: ExtractionPlan, kind: str, steps: list[str], parameter: SearchParameter, only: tuple[str, ...]) -> None:
    name, *rest = steps
    wanted = rest.pop(0)[1:].lower() if rest and rest[0][0] == ":" else ""
    exists = rest == ["exists"]
    for property_, of in _forms(kind, name, wanted):
        if not rest or exists:
            leaf = Leaf(parameter, of, only, exists, _systems(kind, name) if of == "code" else NONE)
            node.leaves.setdefault(property_, []).append(leaf)
        else:
            inner = node.inner.setdefault(property_, ExtractionPlan({}, {}))
            _descend(inner, of.removeprefix("@"), rest, parameter, only)


def _forms(kind: str, name: str, wanted: str) -> list[tuple[str, str]]:
    """(property, type) of each form of an element that is of the wanted type."""
    element = _element(kind, name)
    if element is None:
        return []
    return [(p, of) for p, of in element.names() if not wanted or of.lower() == wanted]


@cache
def _systems(kind: str, name: str) -> Mapping[str, str]:
    element = _element(kind, name)
    codes = r4().codes.get(element.binding, {}) if element and element.binding else {}
    return {code: system for system, some in codes.items() for code in some}


@cache
def _elements(kind: str) -> dict[str, Element]:
    found = r4().types.get(kind)
    return {e.name: e for e in found.elements} if found else {}


def _element(kind: str, name: str) -> Element | None:
    return _elements(kind).get(name)
