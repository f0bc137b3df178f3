"""Parses FHIR search parameters (R4, Search) to a search request."""

import re
from collections.abc import Callable, Iterable
from dataclasses import replace
from decimal import Decimal, InvalidOperation

from galenic.errors import RecordError
from galenic.records.fhir.definitions import r4
from galenic.records.fhir.search_parameters import SearchParameter, component, extraction_plan, search_parameters_of
from galenic.records.fhir.search_result_parameters import RESULT_PARAMETERS
from galenic.records.fhir.search_values import composite, date_range, normalize_text
from galenic.schema import (
    ChainCriterion,
    CompositeCriterion,
    DateCriterion,
    IdCriterion,
    LastUpdatedCriterion,
    PresenceCriterion,
    QuantityCriterion,
    ReferenceCriterion,
    ReverseChainCriterion,
    SearchCondition,
    SearchCriterion,
    SearchRequest,
    StringCriterion,
    TokenCriterion,
)

PREFIX = re.compile(r"(eq|ne|gt|lt|ge|le|sa|eb|ap)(?=[\d+-])")
DATE = re.compile(r"\d{4}(-\d\d(-\d\d(T\d\d:\d\d(:\d\d(\.\d+)?)?(Z|[+-]\d\d:\d\d)?)?)?)?\Z")
DEEPEST, MOST_VALUES, MOST_CONDITIONS, MOST_PARAMETERS = 3, 1_000, 30, 200
MOST_COMPARISONS = 20_000  # of a search: each value, for each type that a reference without a type may name
MODIFIERS = {
    "token": ("not", "text", "of-type", "missing"),
    "string": ("exact", "contains", "missing"),
    "reference": ("identifier", "missing"),
    "uri": ("below", "above", "missing"),
}


def parse_search(resource_type: str, given: Iterable[tuple[str, str]]) -> SearchRequest:
    """Search request for a type, from (name, value) parameters. Raise RecordError that names a parameter with an invalid value,
    but not the value."""
    request, given = SearchRequest(resource_type), list(given)
    if len(given) > MOST_PARAMETERS:
        raise RecordError(
            f"the search has {len(given):,} parameters; at most {MOST_PARAMETERS} are allowed. Split it into several searches."
        )
    conditions: list[SearchCondition] = []
    used: list[tuple[str, str]] = []
    unknown: list[str] = []
    for name, value in given:
        code, _, modifier = name.partition(":")
        if code in RESULT_PARAMETERS:
            changed = RESULT_PARAMETERS[code](request, value, modifier)
            request, is_known = changed or request, changed is not None
        elif value == "":
            continue  # a parameter without a value asks for nothing (R4, Search, 3.1.1.4)
        else:
            condition = _condition(resource_type, name, value, 0)
            is_known = condition is not None
            if condition is not None:
                conditions.append(condition)
                _require_size(conditions)
        if is_known:
            used.append((name, value))
        else:
            unknown.append(name)
    if len(conditions) > MOST_CONDITIONS:
        raise RecordError(
            f"the search has {len(conditions)} conditions; at most {MOST_CONDITIONS} are allowed. Split it into several "
            "searches."
        )
    return replace(request, conditions=tuple(conditions), used=tuple(used), unknown=tuple(unknown))


def _require_size(conditions: Iterable[SearchCondition]) -> None:
    """Raise RecordError for more comparisons than a search may have."""
    if sum(_comparisons(t) for c in conditions for t in c.criteria) > MOST_COMPARISONS:
        raise RecordError(
            f"the search compares more than {MOST_COMPARISONS:,} values. Use fewer values, or name the type of each "
            "reference: subject=Patient/1, subject:Patient.name."
        )


def _comparisons(criterion: SearchCriterion) -> int:
    if isinstance(criterion, ChainCriterion | ReverseChainCriterion):
        return sum(_comparisons(t) for c in criterion.conditions for t in c.criteria)
    return len(criterion.targets) if isinstance(criterion, ReferenceCriterion) else 1


def conditions_of(resource_type: str, given: Iterable[tuple[str, str]]) -> tuple[SearchCondition, ...]:
    """Conditions of a conditional interaction. Raise RecordError for an unknown parameter, because ignoring it would match
    more."""
    request = parse_search(resource_type, given)
    if request.unknown or not request.conditions:
        names = ", ".join(sorted(set(request.unknown))) or "none"
        raise RecordError(
            f"the condition needs search parameters of {resource_type}. Unknown here: {names}. Correct or remove them."
        )
    return request.conditions


def _condition(resource_type: str, name: str, value: str, depth: int) -> SearchCondition | None:
    """Condition of one parameter; None if the type has no such parameter."""
    if depth > DEEPEST:
        raise RecordError(f"a chained search may follow at most {DEEPEST} references. Split it into several searches.")
    if name.startswith("_has:"):
        return _has(name, value, depth)
    head, dot, rest = name.partition(".")
    code, _, modifier = head.partition(":")
    parameter = search_parameters_of(resource_type).get(code)
    if parameter is None:
        return None
    if dot:
        return _chain(parameter, modifier, rest, value, depth)
    if code == "_id":
        if modifier:
            raise RecordError("_id has no modifiers. Leave the modifier out.")
        return SearchCondition((IdCriterion(tuple(f"{resource_type}/{v}" for v in _several(code, value))),))
    return _missing(parameter, value) if modifier == "missing" else _values(resource_type, parameter, code, modifier, value)


def _missing(parameter: SearchParameter, value: str) -> SearchCondition:
    if value not in ("true", "false"):
        raise RecordError(f"{parameter.code}:missing must be true or false.")
    names = parameter.parts or (parameter.code,)
    return SearchCondition(tuple(PresenceCriterion(n, parameter.type) for n in names), negated=value == "true")


def _values(resource_type: str, parameter: SearchParameter, code: str, modifier: str, value: str) -> SearchCondition:
    typed = modifier in r4().resources
    if modifier and not (typed and parameter.type == "reference") and modifier not in MODIFIERS.get(parameter.type, ()):
        raise RecordError(f"{code} ({parameter.type}) does not support the modifier {_word(modifier)}. Leave it out.")
    values = _several(code, value)
    parts = [search_parameters_of(resource_type)[c] for c in parameter.parts] or [parameter]
    criteria = tuple(_criterion(resource_type, p, p.code, modifier, v) for v in values for p in parts)
    return SearchCondition(criteria, negated=modifier == "not")


def _several(code: str, value: str) -> list[str]:
    values = split(value)
    if len(values) > MOST_VALUES:
        raise RecordError(
            f"{code} has {len(values):,} values; at most {MOST_VALUES:,} are allowed. Split it into several searches."
        )
    return values


def _word(text: str) -> str:
    return text if re.fullmatch(r"[\w-]{1,30}", text) else "of the request"


def _has(name: str, value: str, depth: int) -> SearchCondition | None:
    _, resource_type, code, *rest = [*name.split(":", 3), "", "", ""][:4]
    inner = rest[0]
    if resource_type not in r4().resources:
        return None
    reference = search_parameters_of(resource_type).get(code)
    if reference is None or reference.type != "reference" or not inner:
        raise RecordError(
            f"_has needs a type, one of its references and a search parameter. Expected _has:{resource_type}:patient:code=…"
        )
    condition = _condition(resource_type, inner, value, depth + 1)
    return None if condition is None else SearchCondition((ReverseChainCriterion(code, resource_type, (condition,)),))


def _chain(parameter: SearchParameter, modifier: str, rest: str, value: str, depth: int) -> SearchCondition | None:
    if parameter.type != "reference":
        raise RecordError(f"{parameter.code} is not a reference, so it cannot be chained. Use it without a point.")
    if modifier and modifier not in r4().resources:
        raise RecordError(f"{parameter.code} must be chained with an R4 resource type, for example subject:Patient.name.")
    types = [modifier] if modifier else list(parameter.targets) or sorted(r4().resources)
    criteria: list[SearchCriterion] = []
    for resource_type in types:
        condition = _condition(resource_type, rest, value, depth + 1) if _has_parameter(resource_type, rest) else None
        if condition is not None:
            criteria.append(ChainCriterion(parameter.code, resource_type, (condition,)))
            _require_size([SearchCondition(tuple(criteria))])
    return SearchCondition(tuple(criteria)) if criteria else None


def _has_parameter(resource_type: str, name: str) -> bool:
    return name.startswith("_has:") or re.split("[:.]", name, maxsplit=1)[0] in search_parameters_of(resource_type)


def split(value: str, by: str = ",") -> list[str]:
    """Values between separators; a separator escaped by a backslash does not separate."""
    if "\\" not in value:
        return value.split(by)
    return re.split(rf"(?<!\\){re.escape(by)}", value)


def unescape(text: str) -> str:
    """A value without escape characters (R4, Search, 3.1.1.4.4)."""
    return re.sub(r"\\([,$|\\])", r"\1", text) if "\\" in text else text


def _criterion(resource_type: str, parameter: SearchParameter, name: str, modifier: str, value: str) -> SearchCriterion:
    """The criterion of one value."""
    if parameter.type == "composite":
        return _composite(resource_type, parameter, value)
    found = CRITERIA[parameter.type](parameter, name, modifier, value)
    if (
        isinstance(found, TokenCriterion)
        and found.system == ""
        and parameter.type == "token"
        and _implied(resource_type, parameter)
    ):
        found = TokenCriterion(found.parameter, None, found.code)  # the system is implied by the value set that R4 requires
    return found


def _implied(resource_type: str, parameter: SearchParameter) -> bool:
    whole, _groups = extraction_plan(resource_type)
    leaves = [leaf for some in whole.leaves.values() for leaf in some if leaf.parameter.code == parameter.code]
    return bool(leaves) and all(leaf.type in ("code", "boolean") for leaf in leaves)


def _composite(resource_type: str, parameter: SearchParameter, value: str) -> SearchCriterion:
    values = split(value, "$")
    if len(values) != len(parameter.components):
        raise RecordError(f"{parameter.code} needs {len(parameter.components)} values, separated by $.")
    bars = split(values[0], "|")
    second = component(parameter, 1)
    found = _criterion(resource_type, second, composite(parameter.code, unescape(bars[-1])), "", values[1])
    if len(bars) == 1:
        return found
    first = component(parameter, 0)
    names = first.parts or (first.code,)
    return CompositeCriterion(
        found, SearchCondition(tuple(TokenCriterion(n, unescape(bars[0]), unescape(bars[1])) for n in names))
    )


def _token(parameter: SearchParameter, name: str, modifier: str, value: str) -> SearchCriterion:
    if modifier == "text":
        return StringCriterion(f"{name}:text", normalize_text(unescape(value)), "starts")
    bars = split(value, "|")
    if modifier == "of-type":
        if len(bars) != 3:
            raise RecordError(f"{parameter.code}:of-type needs system|code|value.")
        return TokenCriterion(f"{name}:of-type", unescape(bars[0]), f"{unescape(bars[1])}|{unescape(bars[2])}")
    if len(bars) == 1:
        return TokenCriterion(name, None, unescape(value))
    if len(bars) > 2:
        raise RecordError(f"{parameter.code} must be a code or system|code. Write a | inside a code as \\|.")
    return TokenCriterion(name, unescape(bars[0]), unescape(bars[1]) if bars[1] else None)


def _reference(parameter: SearchParameter, name: str, modifier: str, value: str) -> SearchCriterion:
    if modifier == "identifier":
        return _token(parameter, f"{name}:identifier", "", value)
    text = unescape(value)
    if modifier:
        return ReferenceCriterion(name, (f"{modifier}/{text.rpartition('/')[2]}",))
    if "/" in text or ":" in text:
        return ReferenceCriterion(name, (text,))
    return ReferenceCriterion(name, tuple(f"{target}/{text}" for target in parameter.targets or sorted(r4().resources)))


def _string(_parameter: SearchParameter, name: str, modifier: str, value: str) -> SearchCriterion:
    text = unescape(value)
    return (
        StringCriterion(name, text, "exact")
        if modifier == "exact"
        else StringCriterion(name, normalize_text(text), modifier or "starts")
    )


def _uri(_parameter: SearchParameter, name: str, modifier: str, value: str) -> SearchCriterion:
    return StringCriterion(name, unescape(value), {"": "exact", "below": "below", "above": "above"}[modifier])


def _date(parameter: SearchParameter, name: str, _modifier: str, value: str) -> SearchCriterion:
    match = PREFIX.match(value)
    prefix, text = (match[1], value[2:]) if match else ("eq", value)
    text = text.replace(" ", "+")  # an unescaped + of a time zone
    try:
        if not DATE.match(text):
            raise ValueError
        low, high = date_range(text)
    except (ValueError, OverflowError):
        raise RecordError(
            f"{parameter.code} is not a date. Expected 2026, 2026-11, 2026-11-30 or 2026-11-30T10:00:00Z."
        ) from None
    return (
        LastUpdatedCriterion(prefix, low, high) if parameter.code == "_lastUpdated" else DateCriterion(name, prefix, low, high)
    )


def _number(parameter: SearchParameter, name: str, _modifier: str, value: str) -> SearchCriterion:
    return QuantityCriterion(name, *_amount(parameter, value))


def _amount(parameter: SearchParameter, value: str) -> tuple[str, float, float, float]:
    """(prefix, value, low, high): values from low to high count as equal, half of the last digit each way (R4, Search, 3.1.1.4.6)."""
    match = PREFIX.match(value)
    prefix, text = (match[1], value[2:]) if match else ("eq", value)
    try:
        number = Decimal(text)
        if not number.is_finite() or len(text) > 40 or abs(number.adjusted()) > 300:
            raise InvalidOperation
    except InvalidOperation:
        raise RecordError(f"{parameter.code} is not a number. Expected 5.4, 1e2 or gt100.") from None
    half = Decimal(1).scaleb(int(number.as_tuple().exponent)) / 2
    return prefix, float(number), float(number - half), float(number + half)


def _quantity(parameter: SearchParameter, name: str, _modifier: str, value: str) -> SearchCriterion:
    parts = split(value, "|")
    if len(parts) not in (1, 3):
        raise RecordError(
            f"{parameter.code} is not a quantity. Expected a number or number|system|code, with an empty system for any."
        )
    amount = _amount(parameter, parts[0])
    if len(parts) == 1:
        return QuantityCriterion(name, *amount)
    return QuantityCriterion(name, *amount, system=unescape(parts[1]), code=unescape(parts[2]) or None)


CRITERIA: dict[str, Callable[[SearchParameter, str, str, str], SearchCriterion]] = {
    "token": _token,
    "reference": _reference,
    "string": _string,
    "uri": _uri,
    "date": _date,
    "number": _number,
    "quantity": _quantity,
}
