"""FHIR search from its parameters to what the index is asked (R4, Search): which are known, and what their values mean."""

import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from decimal import Decimal, InvalidOperation

from galenic.errors import RecordError
from galenic.records.fhir.definitions import r4
from galenic.records.fhir.search_parameters import SearchParameter, component, extraction_plan, search_parameters_of
from galenic.records.fhir.search_values import composite, date_range, normalize_text
from galenic.store import (
    Amount,
    Both,
    Criterion,
    DateRange,
    Link,
    Named,
    OneOf,
    Order,
    Present,
    Referred,
    Refers,
    Text,
    Token,
    Updated,
)

PREFIX = re.compile(r"(eq|ne|gt|lt|ge|le|sa|eb|ap)(?=[\d+-])")
DATE = re.compile(r"\d{4}(-\d\d(-\d\d(T\d\d:\d\d(:\d\d(\.\d+)?)?(Z|[+-]\d\d:\d\d)?)?)?)?$")
MOST_COUNT, COUNT = 1_000, 20
DEEPEST, MOST_VALUES, MOST_CONDITIONS = 3, 200, 30
SUMMARIES = ("true", "text", "data", "count", "false")
TOTALS = ("none", "estimate", "accurate")
RESULT = ("_sort", "_count", "_include", "_revinclude", "_summary", "_elements", "_total", "_format", "_pretty", "_contained")
MODIFIERS = {
    "token": ("not", "text", "of-type", "missing"),
    "string": ("exact", "contains", "missing"),
    "reference": ("identifier", "missing"),
    "uri": ("below", "above", "missing"),
}


@dataclass(frozen=True, slots=True)
class Include:
    """What is to come along. source: the type that refers; parameter "*": any; target: only that type, "" for any; again: of what
    came along too."""

    source: str
    parameter: str
    target: str
    again: bool


@dataclass
class SearchRequest:
    """A search as it was understood. unknown: parameters that are not, to be refused or passed over."""

    kind: str
    conditions: list[OneOf] = field(default_factory=list)
    order: list[Order] = field(default_factory=list)
    count: int = COUNT
    summary: str = ""
    elements: tuple[str, ...] = ()
    total: str = ""
    includes: list[Include] = field(default_factory=list)
    revincludes: list[Include] = field(default_factory=list)
    unknown: list[str] = field(default_factory=list)
    used: list[tuple[str, str]] = field(default_factory=list)


def parse_search(kind: str, given: Iterable[tuple[str, str]]) -> SearchRequest:
    """The search for a type that parameters ask for. RecordError names a parameter whose value can not be; never the value."""
    asked = SearchRequest(kind)
    for name, value in given:
        own, _, modifier = name.partition(":")
        if own in RESULT:
            known = _result(asked, own, modifier, value)
        elif value == "":
            continue  # a parameter without a value asks nothing (R4, Search, 3.1.1.4)
        else:
            condition = _condition(kind, name, value, 0)
            known = condition is not None
            if condition is not None:
                asked.conditions.append(condition)
        if known:
            asked.used.append((name, value))
        else:
            asked.unknown.append(name)
    if len(asked.conditions) > MOST_CONDITIONS:
        raise RecordError(f"the search has {len(asked.conditions)} conditions; at most {MOST_CONDITIONS} are asked at once.")
    return asked


def conditions_of(kind: str, given: Iterable[tuple[str, str]]) -> tuple[OneOf, ...]:
    """The conditions of a conditional interaction. RecordError where one is unknown: passing it over would widen what it means."""
    asked = parse_search(kind, given)
    if asked.unknown or not asked.conditions:
        names = ", ".join(sorted(set(asked.unknown))) or "none"
        raise RecordError(f"a condition needs parameters that {kind} can be searched by; unknown here: {names}.")
    return tuple(asked.conditions)


# the search result's own parameters


def _result(asked: SearchRequest, name: str, modifier: str, value: str) -> bool:
    if name in ("_format", "_pretty"):
        return True
    if name == "_count":
        if not value.isdecimal():
            raise RecordError("_count is no whole number. Expected 0 to 1,000.")
        asked.count = min(int(value), MOST_COUNT)
    elif name == "_sort":
        asked.order += [_order(asked.kind, part) for part in value.split(",") if part]
    elif name == "_summary":
        asked.summary = _one_of("_summary", value, SUMMARIES)
    elif name == "_total":
        asked.total = _one_of("_total", value, TOTALS)
    elif name == "_elements":
        asked.elements = tuple(e.partition(".")[0].strip() for e in value.split(",") if e.strip())
    elif name == "_contained":
        return value == "false"
    else:
        into = asked.includes if name == "_include" else asked.revincludes
        into.append(_include(asked.kind, value, modifier, name == "_revinclude"))
    return True


def _one_of(name: str, value: str, allowed: tuple[str, ...]) -> str:
    if value not in allowed:
        raise RecordError(f"{name} is none of {', '.join(allowed)}.")
    return value


def _include(kind: str, value: str, modifier: str, reverse: bool) -> Include:
    source, _, rest = value.partition(":")
    code, _, target = rest.partition(":")
    name = "_revinclude" if reverse else "_include"
    if modifier not in ("", "iterate", "recurse"):
        raise RecordError(f"{name} knows the modifier iterate alone.")
    if value == "*" and not reverse:
        return Include(kind, "*", "", modifier != "")
    if source not in r4().resources or (target and target not in r4().resources):
        raise RecordError(f"{name} names no type of R4. Expected Type:parameter or Type:parameter:Target.")
    found = search_parameters_of(source).get(code)
    if code != "*" and (found is None or found.type != "reference"):
        raise RecordError(f"{name} names no reference of {source}. Expected one of {', '.join(_references(source))}, or *.")
    return Include(source, code, target, modifier != "")


def _references(kind: str) -> list[str]:
    return sorted(c for c, p in search_parameters_of(kind).items() if p.type == "reference")


ORDERS = {"date": "date", "string": "string", "uri": "string", "number": "number", "quantity": "number"}


def _order(kind: str, text: str) -> Order:
    down, code = text.startswith("-"), text.lstrip("-")
    if code == "_id":
        return Order("", "name", down)
    if code == "_lastUpdated":
        return Order("", "updated", down)
    found = search_parameters_of(kind).get(code)
    if found is None or found.type not in ORDERS:
        able = sorted(c for c, p in search_parameters_of(kind).items() if p.type in ORDERS)
        raise RecordError(f"_sort names what {kind} can not be sorted by. Expected _id or one of {', '.join(able)}.")
    return Order(code, ORDERS[found.type], down)


# conditions


def _condition(kind: str, name: str, value: str, depth: int) -> OneOf | None:
    """What one parameter asks; None where the type has no such parameter."""
    if depth > DEEPEST:
        raise RecordError(f"a chain goes through at most {DEEPEST} references. Ask in steps.")
    if name.startswith("_has:"):
        return _has(name, value, depth)
    head, dot, rest = name.partition(".")
    code, _, modifier = head.partition(":")
    parameter = search_parameters_of(kind).get(code)
    if parameter is None:
        return None
    if dot:
        return _chain(parameter, modifier, rest, value, depth)
    if code == "_id":
        if modifier:
            raise RecordError("_id takes no modifier.")
        return OneOf((Named(tuple(f"{kind}/{v}" for v in split(value))),))
    return _missing(parameter, value) if modifier == "missing" else _values(kind, parameter, code, modifier, value)


def _missing(parameter: SearchParameter, value: str) -> OneOf:
    if value not in ("true", "false"):
        raise RecordError(f"{parameter.code}:missing is true or false.")
    names = parameter.parts or (parameter.code,)
    return OneOf(tuple(Present(n, parameter.type) for n in names), negated=value == "true")


def _values(kind: str, parameter: SearchParameter, code: str, modifier: str, value: str) -> OneOf:
    typed = modifier in r4().resources
    if modifier and not (typed and parameter.type == "reference") and modifier not in MODIFIERS.get(parameter.type, ()):
        raise RecordError(f"{code} ({parameter.type}) does not know the modifier {_word(modifier)}.")
    values = split(value)
    if len(values) > MOST_VALUES:
        raise RecordError(f"{code} names {len(values)} values; at most {MOST_VALUES} are asked at once.")
    own = [search_parameters_of(kind)[c] for c in parameter.parts] or [parameter]
    tests = tuple(t for v in values for p in own for t in _test(kind, p, p.code, modifier, v))
    return OneOf(tests, negated=modifier == "not")


def _word(text: str) -> str:
    return text if re.fullmatch(r"[\w-]{1,30}", text) else "that was given"


def _has(name: str, value: str, depth: int) -> OneOf | None:
    _, kind, code, *rest = [*name.split(":", 3), "", "", ""][:4]
    inner = rest[0]
    if kind not in r4().resources:
        return None
    reference = search_parameters_of(kind).get(code)
    if reference is None or reference.type != "reference" or not inner:
        raise RecordError(f"_has needs a type, one of its references and a parameter: _has:{kind}:patient:code=…")
    condition = _condition(kind, inner, value, depth + 1)
    return None if condition is None else OneOf((Referred(code, kind, (condition,)),))


def _chain(parameter: SearchParameter, modifier: str, rest: str, value: str, depth: int) -> OneOf | None:
    if parameter.type != "reference":
        raise RecordError(f"{parameter.code} is no reference; nothing can be chained to it.")
    if modifier and modifier not in r4().resources:
        raise RecordError(f"{parameter.code} is chained by a type of R4, such as subject:Patient.name.")
    kinds = [modifier] if modifier else list(parameter.targets) or sorted(r4().resources)
    tests: list[Criterion] = []
    for kind in kinds:
        condition = _condition(kind, rest, value, depth + 1) if _has_parameter(kind, rest) else None
        if condition is not None:
            tests.append(Refers(parameter.code, kind, (condition,)))
    return OneOf(tuple(tests)) if tests else None


def _has_parameter(kind: str, name: str) -> bool:
    return name.startswith("_has:") or re.split("[:.]", name, maxsplit=1)[0] in search_parameters_of(kind)


def split(value: str, by: str = ",") -> list[str]:
    """Values that are separated; what is escaped by a backslash separates nothing."""
    if "\\" not in value:
        return value.split(by)
    return re.split(rf"(?<!\\){re.escape(by)}", value)


def unescape(text: str) -> str:
    """A value without its escapes (R4, Search, 3.1.1.4.4)."""
    return re.sub(r"\\([,$|\\])", r"\1", text) if "\\" in text else text


def _test(kind: str, parameter: SearchParameter, name: str, modifier: str, value: str) -> tuple[Criterion, ...]:
    """The tests of one value, each of which is enough."""
    if parameter.type == "composite":
        return (_composite(kind, parameter, value),)
    found = TESTS[parameter.type](parameter, name, modifier, value)
    if isinstance(found, Token) and found.system == "" and parameter.type == "token" and _implied(kind, parameter):
        found = Token(found.name, None, found.code)  # its system is implied by the value set that R4 requires
    return (found,)


def _implied(kind: str, parameter: SearchParameter) -> bool:
    whole, _groups = extraction_plan(kind)
    leaves = [leaf for some in whole.leaves.values() for leaf in some if leaf.parameter.code == parameter.code]
    return bool(leaves) and all(leaf.type in ("code", "boolean") for leaf in leaves)


def _composite(kind: str, parameter: SearchParameter, value: str) -> Criterion:
    values = split(value, "$")
    if len(values) != len(parameter.components):
        raise RecordError(f"{parameter.code} needs {len(parameter.components)} values with $ between them.")
    bars = split(values[0], "|")
    second = component(parameter, 1)
    found = _test(kind, second, composite(parameter.code, unescape(bars[-1])), "", values[1])[0]
    if len(bars) == 1:
        return found
    first = component(parameter, 0)
    names = first.parts or (first.code,)
    return Both(found, OneOf(tuple(Token(n, unescape(bars[0]), unescape(bars[1])) for n in names)))


def _token(parameter: SearchParameter, name: str, modifier: str, value: str) -> Criterion:
    if modifier == "text":
        return Text(f"{name}:text", normalize_text(unescape(value)), "starts")
    bars = split(value, "|")
    if modifier == "of-type":
        if len(bars) != 3:
            raise RecordError(f"{parameter.code}:of-type needs system|code|value.")
        return Token(f"{name}:of-type", unescape(bars[0]), f"{unescape(bars[1])}|{unescape(bars[2])}")
    if len(bars) == 1:
        return Token(name, None, unescape(value))
    if len(bars) > 2:
        raise RecordError(f"{parameter.code} is a code or system|code; a | within is escaped as \\|.")
    return Token(name, unescape(bars[0]), unescape(bars[1]) if bars[1] else None)


def _reference(parameter: SearchParameter, name: str, modifier: str, value: str) -> Criterion:
    if modifier == "identifier":
        return _token(parameter, f"{name}:identifier", "", value)
    text = unescape(value)
    if modifier:
        return Link(name, (f"{modifier}/{text.rpartition('/')[2]}",))
    if "/" in text or ":" in text:
        return Link(name, (text,))
    return Link(name, tuple(f"{target}/{text}" for target in parameter.targets or sorted(r4().resources)))


def _string(_parameter: SearchParameter, name: str, modifier: str, value: str) -> Criterion:
    text = unescape(value)
    return Text(name, text, "exact") if modifier == "exact" else Text(name, normalize_text(text), modifier or "starts")


def _uri(_parameter: SearchParameter, name: str, modifier: str, value: str) -> Criterion:
    return Text(name, unescape(value), {"": "exact", "below": "under", "above": "over"}[modifier])


def _date(parameter: SearchParameter, name: str, _modifier: str, value: str) -> Criterion:
    match = PREFIX.match(value)
    prefix, text = (match[1], value[2:]) if match else ("eq", value)
    text = text.replace(" ", "+")  # a + that nobody escaped
    try:
        if not DATE.match(text):
            raise ValueError
        low, high = date_range(text)
    except (ValueError, OverflowError):
        raise RecordError(f"{parameter.code} is no date. Expected 2026, 2026-11, 2026-11-30 or 2026-11-30T10:00:00Z.") from None
    return Updated(prefix, low, high) if parameter.code == "_lastUpdated" else DateRange(name, prefix, low, high)


def _number(parameter: SearchParameter, name: str, _modifier: str, value: str) -> Criterion:
    return Amount(name, *_amount(parameter, value))


def _amount(parameter: SearchParameter, value: str) -> tuple[str, float, float, float]:
    """(prefix, value, least, past the most that counts as equal): half of the last digit each way (R4, Search, 3.1.1.4.6)."""
    match = PREFIX.match(value)
    prefix, text = (match[1], value[2:]) if match else ("eq", value)
    try:
        number = Decimal(text)
        if not number.is_finite() or len(text) > 40 or abs(number.adjusted()) > 300:
            raise InvalidOperation
    except InvalidOperation:
        raise RecordError(f"{parameter.code} is no number. Expected 5.4, 1e2 or gt100.") from None
    half = Decimal(1).scaleb(int(number.as_tuple().exponent)) / 2
    return prefix, float(number), float(number - half), float(number + half)


def _quantity(parameter: SearchParameter, name: str, _modifier: str, value: str) -> Criterion:
    parts = split(value, "|")
    if len(parts) not in (1, 3):
        raise RecordError(f"{parameter.code} is a number, or number|system|code with an empty system for any.")
    asked = _amount(parameter, parts[0])
    if len(parts) == 1:
        return Amount(name, *asked)
    return Amount(name, *asked, system=unescape(parts[1]), code=unescape(parts[2]) or None)


TESTS: dict[str, Callable[[SearchParameter, str, str, str], Criterion]] = {
    "token": _token,
    "reference": _reference,
    "string": _string,
    "uri": _uri,
    "date": _date,
    "number": _number,
    "quantity": _quantity,
}
