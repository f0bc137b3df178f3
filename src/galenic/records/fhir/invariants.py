"""HL7's invariants as Python functions: FHIRPath (N1, http://hl7.org/fhirpath) as far as R4's own rules use it, over plain JSON."""

import re
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from itertools import chain
from typing import Any

from galenic.records.fhir.definitions import r4
from galenic.records.fhir.search_values import date_range

Nodes = list[Any]
WIDEST_OFFSET = 14 * 3_600_000_000  # µs
UCUM = "http://unitsofmeasure.org"


class Bare:
    """A primitive that has only an id or extensions."""

    __slots__ = ("beside",)

    def __init__(self, beside: Any) -> None:
        self.beside = beside


@dataclass(frozen=True, slots=True)
class Place:
    """The context of a rule: the resource that %resource stands for, and the element."""

    resource: Any
    context: Any


Step = Callable[[Nodes, Place], Nodes]


@cache
def _choices() -> dict[str, frozenset[str]]:
    """Forms of each choice: value → valueString, valueQuantity, …"""
    found: dict[str, set[str]] = {}
    for type_ in r4().types.values():
        for element in type_.elements:
            if element.choice:
                found.setdefault(element.name, set()).update(n for n, _ in element.names())
    return {name: frozenset(forms) for name, forms in found.items()}


def _member(name: str) -> Callable[[Any], Nodes]:
    forms, beside = _choices().get(name, frozenset()), "_" + name

    def find(node: Any) -> Nodes:
        if not isinstance(node, dict):
            return []
        value = node.get(name)
        if value is None:
            if forms:
                for key, other in node.items():
                    if key in forms:
                        return [other]
                    if key[0] == "_" and key[1:] in forms and key[1:] not in node:
                        return [Bare(other)]
            other = node.get(beside)
            return [] if other is None else [Bare(o) for o in (other if isinstance(other, list) else [other])]
        return value if isinstance(value, list) else [value]

    return find


def compile_rule(tree: Any) -> Callable[[Any, Any], bool]:
    """Function of (element, resource) that returns True if the rule holds. An empty result counts as true."""
    step = _step(tree)

    def holds(node: Any, resource: Any) -> bool:
        found = step([node], Place(resource, node))
        return not found or found[0] is not False

    return holds


def _step(tree: Any) -> Step:
    return _STEPS[tree[0]](*tree[1:])


def _path(base: Any, name: str) -> Step:
    find = _member(name)
    if base is None:
        if name[0].isupper():  # the type's own name at the start of a path means the resource itself
            return lambda nodes, _place: [n for n in nodes if isinstance(n, dict) and n.get("resourceType") == name]
        return lambda nodes, _place: find(nodes[0]) if len(nodes) == 1 else [v for n in nodes for v in find(n)]
    before = _step(base)
    return lambda nodes, place: [v for n in before(nodes, place) for v in find(n)]


def _constant(name: str) -> Step:
    if name == "ucum":
        return lambda _nodes, _place: [UCUM]
    return (lambda _nodes, place: [place.context]) if name == "context" else (lambda _nodes, place: [place.resource])


def _value(value: Any) -> Step:
    whole = [value]
    return lambda _nodes, _place: whole


def _type(base: Any, how: str, name: str) -> Step:
    before = _step(base) if base is not None else _this()
    wanted = name.rpartition(".")[2]

    def ask(nodes: Nodes, place: Place) -> Nodes:
        found = before(nodes, place)
        if how == "is":
            return [all(_is(n, wanted) for n in found)] if found else []
        return [n for n in found if _is(n, wanted)]

    return ask


def _is(node: Any, wanted: str) -> bool:
    kinds: dict[str, tuple[type, ...]] = {"Boolean": (bool,), "boolean": (bool,), "decimal": (int, float), "string": (str,)}
    if wanted in kinds:
        return isinstance(node, kinds[wanted]) and (wanted in ("Boolean", "boolean")) == isinstance(node, bool)
    return isinstance(node, dict) and node.get("resourceType") == wanted


def _index(base: Any, at: Any) -> Step:
    before, place_of = _step(base), _step(at)

    def ask(nodes: Nodes, place: Place) -> Nodes:
        number = place_of(nodes, place)
        return before(nodes, place)[number[0] : number[0] + 1] if number else []

    return ask


def _this() -> Step:
    return lambda nodes, _place: nodes


def _truth(found: Nodes) -> bool | None:
    if not found:
        return None
    return found[0] if isinstance(found[0], bool) else True  # a single value that is not a Boolean counts as true


def _op(symbol: str, left: Any, right: Any) -> Step:
    a, b = _step(left), _step(right)
    if symbol in _LOGIC:
        decide = _LOGIC[symbol]

        def logic(nodes: Nodes, place: Place) -> Nodes:
            result = decide(_truth(a(nodes, place)), lambda: _truth(b(nodes, place)))
            return [] if result is None else [result]

        return logic
    work = _WORK[symbol]
    return lambda nodes, place: work(a(nodes, place), b(nodes, place))


def _and(left: bool | None, right: Callable[[], bool | None]) -> bool | None:
    if left is False:
        return False
    other = right()
    return False if other is False else None if left is None or other is None else True


def _or(left: bool | None, right: Callable[[], bool | None]) -> bool | None:
    if left is True:
        return True
    other = right()
    return True if other is True else None if left is None or other is None else False


def _implies(left: bool | None, right: Callable[[], bool | None]) -> bool | None:
    return _or(None if left is None else not left, right)


def _xor(left: bool | None, right: Callable[[], bool | None]) -> bool | None:
    other = right()
    return None if left is None or other is None else left != other


def _equal(a: Nodes, b: Nodes) -> Nodes:
    return [] if not a or not b else [a == b]


def _unequal(a: Nodes, b: Nodes) -> Nodes:
    return [] if not a or not b else [a != b]


def _ordered(compare: Callable[[Any, Any], bool]) -> Callable[[Nodes, Nodes], Nodes]:
    def ask(a: Nodes, b: Nodes) -> Nodes:
        if not a or not b:
            return []
        x, y = _comparable(a[0]), _comparable(b[0])
        if type(x) is not type(y):
            return []
        if isinstance(x, str) and (len(x) != len(y) or x[19:] != y[19:]):  # times of other precision or offset
            return _by_time(x, y, compare)
        return [compare(x, y)]

    return ask


def _by_time(x: str, y: str, compare: Callable[[Any, Any], bool]) -> Nodes:
    """Compares the possible meanings of two dates or times; empty if they overlap (FHIRPath, 6.2)."""
    try:
        (x_low, x_high), (y_low, y_high) = date_range(x), date_range(y)
    except (ValueError, OverflowError):
        return []  # no dates
    slack = WIDEST_OFFSET if ("T" in x) != ("T" in y) else 0  # a date without offset can be in any time zone
    if x_low == y_low and x_high == y_high and not slack:
        return [compare(0, 0)]
    if x_high + slack <= y_low:
        return [compare(0, 1)]
    return [compare(1, 0)] if y_high + slack <= x_low else []


def _comparable(node: Any) -> Any:
    if isinstance(node, dict):  # a quantity, by its value; other units are not compared
        return (node.get("unit"), node.get("code"), float(node["value"])) if "value" in node else None
    return float(node) if isinstance(node, int | float) and not isinstance(node, bool) else node


def _union(a: Nodes, b: Nodes) -> Nodes:
    return _distinct(a + b)


def _distinct(nodes: Nodes) -> Nodes:
    if all(isinstance(n, str) for n in nodes):
        return list(dict.fromkeys(nodes))
    found: Nodes = []
    for n in nodes:
        if n not in found:
            found.append(n)
    return found


def _plus(a: Nodes, b: Nodes) -> Nodes:
    return [a[0] + b[0]] if a and b and not isinstance(a[0], Bare) and not isinstance(b[0], Bare) else []


_LOGIC: dict[str, Callable[[bool | None, Callable[[], bool | None]], bool | None]] = {
    "and": _and,
    "or": _or,
    "implies": _implies,
    "xor": _xor,
}
_WORK: dict[str, Callable[[Nodes, Nodes], Nodes]] = {
    "=": _equal,
    "!=": _unequal,
    "<": _ordered(lambda x, y: x < y),
    "<=": _ordered(lambda x, y: x <= y),
    ">": _ordered(lambda x, y: x > y),
    ">=": _ordered(lambda x, y: x >= y),
    "|": _union,
    "+": _plus,
    "&": lambda a, b: ["".join(str(n) for n in (*a, *b))],
    "in": lambda a, b: [a[0] in b] if a else [],
    "contains": lambda a, b: [b[0] in a] if b else [],
}


def _call(base: Any, name: str, given: list[Any]) -> Step:
    before = _step(base) if base is not None else _this()
    if name in _WITH_RULE:
        work, rule = _WITH_RULE[name], _step(given[0]) if given else None
        return lambda nodes, place: work(before(nodes, place), rule, place)
    if name == "iif":
        asked, yes, no = (_step(g) for g in (*given, ["call", None, "none", []])[:3])
        return lambda nodes, place: (yes if _truth(asked(before(nodes, place), place)) else no)(before(nodes, place), place)
    if name == "replaceMatches":
        pattern, other = (_step(g) for g in given)
        return lambda nodes, place: [
            _pattern(pattern(nodes, place)[0]).sub(other(nodes, place)[0], n)
            for n in before(nodes, place)
            if isinstance(n, str)
        ]
    if given:
        plain, argument = _WITH_VALUE[name], _step(given[0])
        return lambda nodes, place: plain(before(nodes, place), argument(nodes, place))
    alone = _ALONE[name]
    return lambda nodes, place: alone(before(nodes, place))


def _where(nodes: Nodes, rule: Step | None, place: Place) -> Nodes:
    assert rule is not None
    return [n for n in nodes if _truth(rule([n], place)) is True]


def _exists(nodes: Nodes, rule: Step | None, place: Place) -> Nodes:
    return [bool(nodes if rule is None else _where(nodes, rule, place))]


def _all(nodes: Nodes, rule: Step | None, place: Place) -> Nodes:
    assert rule is not None
    return [all(_truth(rule([n], place)) is True for n in nodes)]


def _select(nodes: Nodes, rule: Step | None, place: Place) -> Nodes:
    assert rule is not None
    return [v for n in nodes for v in rule([n], place)]


def _text_of(work: Callable[[str, str], Any]) -> Callable[[Nodes, Nodes], Nodes]:
    return lambda nodes, given: [work(nodes[0], given[0])] if nodes and given and isinstance(nodes[0], str) else []


def _children(nodes: Nodes) -> Nodes:
    inner = [v for n in nodes if isinstance(n, dict) for k, v in n.items() if k[0] != "_" and k != "resourceType"]
    return list(chain.from_iterable(v if isinstance(v, list) else [v] for v in inner))


def _descendants(nodes: Nodes) -> Nodes:
    found, level = [], _children(nodes)
    while level:
        found += level
        level = _children(level)
    return found


def _whole_number(nodes: Nodes) -> Nodes:
    text = str(nodes[0]) if nodes and not isinstance(nodes[0], bool | Bare) else ""
    return [int(text)] if re.fullmatch(r"[+-]?\d+", text) else []


@cache
def _pattern(text: str) -> re.Pattern[str]:
    return re.compile(text)


_STEPS: dict[str, Callable[..., Step]] = {
    "path": _path,
    "call": _call,
    "op": _op,
    "text": _value,
    "number": _value,
    "truth": _value,
    "constant": _constant,
    "type": _type,
    "index": _index,
    "this": _this,
}
_WITH_RULE: dict[str, Callable[[Nodes, Step | None, Place], Nodes]] = {
    "exists": _exists,
    "where": _where,
    "all": _all,
    "select": _select,
}
_WITH_VALUE: dict[str, Callable[[Nodes, Nodes], Nodes]] = {
    "matches": _text_of(lambda text, pattern: _pattern(pattern).search(text) is not None),
    "startsWith": _text_of(str.startswith),
    "contains": _text_of(lambda text, part: part in text),
    "combine": lambda nodes, other: nodes + other,
    "intersect": lambda nodes, other: [n for n in _distinct(nodes) if n in other],
    "trace": lambda nodes, _name: nodes,
}
_ALONE: dict[str, Callable[[Nodes], Nodes]] = {
    "empty": lambda nodes: [not nodes],
    "not": lambda nodes: [not _truth(nodes)] if nodes else [],
    "count": lambda nodes: [len(nodes)],
    "hasValue": lambda nodes: [len(nodes) == 1 and not isinstance(nodes[0], dict | Bare)],
    "first": lambda nodes: nodes[:1],
    "tail": lambda nodes: nodes[1:],
    "isDistinct": lambda nodes: [len(_distinct(nodes)) == len(nodes)],
    "allFalse": lambda nodes: [all(n is False for n in nodes)],
    "children": _children,
    "descendants": _descendants,
    "toInteger": _whole_number,
    "toString": lambda nodes: [str(nodes[0])] if nodes else [],
    "resolve": lambda _nodes: [],  # references are checked across resources, not within one
    "none": lambda _nodes: [],
}
