"""SQL on FHIR v2: a ViewDefinition flattens resources into rows (https://build.fhir.org/ig/FHIR/sql-on-fhir-v2). Paths by fhirpathpy."""

import itertools
import re
from calendar import monthrange
from collections.abc import Callable, Iterable, Iterator
from decimal import Decimal
from functools import partial
from typing import Any

import fhirpathpy
from antlr4 import CommonTokenStream, InputStream
from antlr4.error.ErrorListener import ErrorListener
from fhirpathpy.engine.invocations import invocation_registry
from fhirpathpy.engine.nodes import FP_Type, ResourceNode
from fhirpathpy.models import models
from fhirpathpy.parser.generated.FHIRPathLexer import FHIRPathLexer
from fhirpathpy.parser.generated.FHIRPathParser import FHIRPathParser

from galenic.errors import DescriptionError, RecordError
from galenic.records.fhir.reference_validation import REFERENCE

Resource = dict[str, Any]
Row = dict[str, Any]
Rows = Callable[[Any], list[Row]]
LIBRARY = (Exception, ValueError, TypeError, NotImplementedError)  # exactly these classes, not derived ones
UNITS = ("column", "select", "unionAll")


def flatten_resource(view: Resource, resources: Iterable[Resource]) -> Iterator[Row]:
    """Rows of a ViewDefinition, resource by resource. Raise DescriptionError for an invalid view, and RecordError if a column
    that is not a collection has several values."""
    kind = view.get("resource")
    if not isinstance(kind, str):
        raise DescriptionError("the view has no “resource”. Expected one of the R4 resource types.")
    if not view.get("select"):
        raise DescriptionError("the view has no “select”. Expected “select” with columns.")
    constants = _constants(view.get("constant", ()))
    paths = _Paths(constants)
    rows = _select({"select": view["select"]}, paths)
    names = _names({"select": view["select"]})
    if len(set(names)) != len(names):
        raise DescriptionError("two columns of the view have the same name. Give each its own name.")
    where = [paths.compile(w["path"]) for w in view.get("where", ())]
    for resource in resources:
        if resource.get("resourceType") == kind and all(_true(w(resource)) for w in where):
            yield from rows(resource)


def _true(found: list[Any]) -> bool:
    if any(not isinstance(_plain(f), bool) for f in found) or len(found) > 1:
        raise DescriptionError(
            "a “where” of the view is not a condition. Expected a FHIRPath expression that gives true or false."
        )
    return bool(found) and _plain(found[0]) is True


def _constants(given: Iterable[Resource]) -> dict[str, Any]:
    found = {}
    for one in given:
        values = [v for k, v in one.items() if k.startswith("value")]
        if len(values) != 1 or not isinstance(one.get("name"), str):
            raise DescriptionError("a constant of the view needs a name and one value[x].")
        found[one["name"]] = values[0]
    return found


class _Paths:
    """FHIRPath compiled once, with the view's constants and the two functions that SQL on FHIR adds."""

    def __init__(self, constants: dict[str, Any]) -> None:
        self._constants = constants
        self._options = {
            "returnRawData": True,
            "userInvocationTable": {
                "getResourceKey": {"fn": _resource_key, "arity": {0: []}},
                "getReferenceKey": {"fn": _reference_key, "arity": {0: [], 1: ["TypeSpecifier"]}},
                "join": {"fn": _join, "arity": {0: [], 1: ["String"]}},
            },
        }
        # functions of the option above get values without their types, which determine boundaries
        invocation_registry.update(BOUNDARIES)

    def compile(self, path: Any) -> Callable[[Any], list[Any]]:
        """The path as a function of a node."""
        if not isinstance(path, str):
            raise DescriptionError("a path of the view is not a string. Expected a FHIRPath expression.")
        if path.strip() == "$this":
            return lambda node: [node]
        _require_syntax(path)
        run = fhirpathpy.compile(path, models["r4"], self._options)

        def evaluate(node: Any) -> list[Any]:
            try:
                return run(node, dict(self._constants))
            except Exception as error:  # fhirpathpy raises the bare class for unsupported expressions
                if type(error) not in LIBRARY:
                    raise  # an unexpected error
                raise DescriptionError(
                    f"the view's path {path!r} cannot be evaluated ({type(error).__name__}). Correct the FHIRPath expression."
                ) from None

        return evaluate


class _Strict(ErrorListener):  # type: ignore[misc]  # antlr4 ships no types
    """Refuses syntax errors that the library ignores: `a b`, `name..given`, an extra bracket."""

    def __init__(self, path: str) -> None:
        self._path = path

    def syntaxError(self, _recognizer: Any, _symbol: Any, _line: int, column: int, _message: str, _error: Any) -> None:  # noqa: N802
        """Called by ANTLR at the first error."""
        raise DescriptionError(f"the view's path {self._path!r} is not valid FHIRPath (at character {column + 1}). Correct it.")


def _require_syntax(path: str) -> None:
    lexer = FHIRPathLexer(InputStream(path))
    parser: Any = FHIRPathParser(CommonTokenStream(lexer))
    for part in (lexer, parser):
        part.removeErrorListeners()
        part.addErrorListener(_Strict(path))
    parser.entireExpression()


def _resource_key(nodes: list[Any]) -> list[str]:
    return [f"{r['resourceType']}/{r['id']}" for r in map(_plain, nodes) if "id" in r]


def _join(nodes: list[Any], by: Any = "") -> list[str]:
    return [str(by or "").join(str(_plain(n)) for n in nodes)]


def _boundaries(_context: Any, nodes: list[Any], *, high: bool) -> list[Any]:
    return [b for b in (_boundary(n, high=high) for n in nodes) if b is not None]


BOUNDARIES = {
    "lowBoundary": {"fn": partial(_boundaries, high=False)},
    "highBoundary": {"fn": partial(_boundaries, high=True)},
}
DATES = {"date": "date", "dateTime": "dateTime", "instant": "dateTime", "FP_Date": "date", "FP_DateTime": "dateTime"}
TIMES = ("time", "FP_Time")


def _reference_key(nodes: list[Any], kind: Any = None) -> list[str]:
    found = []
    for node in nodes:
        match = REFERENCE.match(str(_plain(node).get("reference", "")))
        wanted = getattr(kind, "name", kind)
        if match and wanted in (None, match["type"]):
            found.append(f"{match['type']}/{match['id']}")
    return found


def _boundary(node: Any, *, high: bool) -> Any:
    """Smallest or largest possible meaning of a number, date or time of that precision (FHIRPath, 5.8.3 and 5.8.4), by the type
    of the element; None for other types."""
    value, kind = _plain(node), node.path if isinstance(node, ResourceNode) else type(node).__name__
    if isinstance(value, int | float | Decimal) and not isinstance(value, bool):
        places = max(len(str(value).partition(".")[2]), 0)
        half = Decimal(5).scaleb(-places - 1)
        return float(Decimal(str(value)) + (half if high else -half))
    if not isinstance(value, str):
        return None
    if kind in TIMES:
        return _clock(value, high=high)
    if kind not in DATES:
        return None
    day, _, rest = value.partition("T")
    parts = day.split("-")
    if len(parts) < 2:
        parts.append("12" if high else "01")
    if len(parts) < 3:
        parts.append(f"{monthrange(int(parts[0]), int(parts[1]))[1]:02d}" if high else "01")
    whole = "-".join(parts)
    if DATES[kind] == "date":
        return whole
    clock, zone = re.fullmatch(r"([\d:.]*)(Z|[+-]\d\d:\d\d)?", rest).groups()  # type: ignore[union-attr]
    return f"{whole}T{_clock(clock, high=high)}{zone or ('-12:00' if high else '+14:00')}"


def _clock(text: str, *, high: bool) -> str:
    ends = ("23", "59", "59.999") if high else ("00", "00", "00.000")
    given = [p for p in text.split(":") if p]
    parts = [*given, *ends[len(given) :]]
    seconds, _, share = parts[2].partition(".")
    return f"{parts[0]}:{parts[1]}:{seconds}.{(share or ('999' if high else '000')).ljust(3, '9' if high else '0')[:3]}"


def _plain(node: Any) -> Any:
    """A value as in JSON."""
    data = node.data if isinstance(node, ResourceNode) else node
    return str(data) if isinstance(data, FP_Type) else data


def _names(part: Resource) -> list[str]:
    names = [str(c.get("name")) for c in part.get("column", ())]
    for inner in part.get("select", ()):
        names += _names(inner)
    branches = [_names(b) for b in part.get("unionAll", ())]
    if any(b != branches[0] for b in branches):
        raise DescriptionError("the branches of a unionAll have different columns. Expected the same names in the same order.")
    return names + (branches[0] if branches else [])


def _select(part: Resource, paths: _Paths) -> Rows:
    if not any(u in part for u in UNITS):
        raise DescriptionError(f"a select of the view has none of {', '.join(UNITS)}. Add one.")
    if "forEach" in part and "forEachOrNull" in part:
        raise DescriptionError("a select of the view has both forEach and forEachOrNull. Keep one.")
    units: list[Rows] = []
    if "column" in part:
        units.append(_columns(part["column"], paths))
    units += [_select(inner, paths) for inner in part.get("select", ())]
    if "unionAll" in part:
        branches = [_select(b, paths) for b in part["unionAll"]]
        units.append(lambda node: [row for branch in branches for row in branch(node)])
    each = paths.compile(part["forEach"]) if "forEach" in part else None
    each_or_null = paths.compile(part["forEachOrNull"]) if "forEachOrNull" in part else None
    nothing = [dict.fromkeys(_names(part))]

    def rows(node: Any) -> list[Row]:
        if each_or_null is not None:
            places = each_or_null(node)
            if not places:
                return nothing
        else:
            places = each(node) if each is not None else [node]
        found: list[Row] = []
        for place in places:
            for combined in itertools.product(*(unit(place) for unit in units)):
                found.append({k: v for row in combined for k, v in row.items()})
        return found

    return rows


def _columns(columns: list[Resource], paths: _Paths) -> Rows:
    compiled = []
    for column in columns:
        name = column.get("name")
        if not isinstance(name, str) or not name.replace("_", "a").isalnum() or not name[0].isalpha():
            raise DescriptionError(
                "a column of the view has no valid name. Expected letters, digits and _, beginning with a letter."
            )
        compiled.append((name, paths.compile(column.get("path")), bool(column.get("collection"))))

    def row(node: Any) -> list[Row]:
        out: Row = {}
        for name, path, collection in compiled:
            found = [_plain(f) for f in path(node)]
            if not collection and len(found) > 1:
                raise RecordError(
                    f"column {name!r} of the view has several values in one row. Set “collection” to true, or use first()."
                )
            out[name] = found if collection else (found[0] if found else None)
        return [out]

    return row
