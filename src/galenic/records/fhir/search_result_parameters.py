"""Parameters of a FHIR search that change its result, not its matches (R4, Search, 3.1.1.5): _sort, _count, _include …"""

from collections.abc import Callable
from dataclasses import replace

from galenic.errors import RecordError
from galenic.records.fhir.definitions import r4
from galenic.records.fhir.search_parameters import search_parameters_of
from galenic.schema import SearchInclude, SearchRequest, SortKey

MOST_COUNT, MOST_KEYS, MOST_INCLUDES = 1_000, 10, 50
SUMMARIES = ("true", "text", "data", "count", "false")
TOTALS = ("none", "estimate", "accurate")
ITERATING = ("", "iterate", "recurse")
SORT_TYPES = {"date": "date", "string": "string", "uri": "string", "number": "number", "quantity": "number"}


def _ignored(request: SearchRequest, _value: str, _modifier: str) -> SearchRequest:
    return request


def _count(request: SearchRequest, value: str, _modifier: str) -> SearchRequest:
    if not value.isdecimal():
        raise RecordError("_count is not a whole number. Expected 0 to 1,000.")
    return replace(request, count=min(int(value), MOST_COUNT))


def _sort(request: SearchRequest, value: str, _modifier: str) -> SearchRequest:
    keys = tuple(_sort_key(request.resource_type, part) for part in value.split(",") if part)
    if len(request.sort) + len(keys) > MOST_KEYS:
        raise RecordError(f"_sort has more than {MOST_KEYS} keys. Use fewer.")
    return replace(request, sort=request.sort + keys)


def _summary(request: SearchRequest, value: str, _modifier: str) -> SearchRequest:
    return replace(request, summary=_one_of("_summary", value, SUMMARIES))


def _total(request: SearchRequest, value: str, _modifier: str) -> SearchRequest:
    return replace(request, total=_one_of("_total", value, TOTALS))


def _elements(request: SearchRequest, value: str, _modifier: str) -> SearchRequest:
    return replace(request, elements=tuple(e.partition(".")[0].strip() for e in value.split(",") if e.strip()))


def _contained(request: SearchRequest, value: str, _modifier: str) -> SearchRequest | None:
    return request if value == "false" else None


def _include(request: SearchRequest, value: str, modifier: str) -> SearchRequest:
    if value == "*" and modifier in ITERATING:
        return _require_few_includes(replace(request, includes=(*request.includes, SearchInclude("", "*", "", modifier != ""))))
    return _require_few_includes(replace(request, includes=(*request.includes, _parse_include("_include", value, modifier))))


def _require_few_includes(request: SearchRequest) -> SearchRequest:
    if len(request.includes) + len(request.reverse_includes) > MOST_INCLUDES:
        raise RecordError(
            f"the search has more than {MOST_INCLUDES} _include and _revinclude parameters. Use Type:* to include "
            "every reference of a type."
        )
    return request


def _reverse_include(request: SearchRequest, value: str, modifier: str) -> SearchRequest:
    one = _parse_include("_revinclude", value, modifier)
    return _require_few_includes(replace(request, reverse_includes=(*request.reverse_includes, one)))


def _one_of(name: str, value: str, allowed: tuple[str, ...]) -> str:
    if value not in allowed:
        raise RecordError(f"{name} must be one of {', '.join(allowed)}.")
    return value


def _parse_include(name: str, value: str, modifier: str) -> SearchInclude:
    source, _, rest = value.partition(":")
    code, _, target = rest.partition(":")
    if modifier not in ITERATING:
        raise RecordError(f"{name} supports only the modifiers iterate and recurse.")
    if source not in r4().resources or (target and target not in r4().resources):
        raise RecordError(f"{name} must begin with an R4 resource type. Expected Type:parameter or Type:parameter:Target.")
    found = search_parameters_of(source).get(code)
    if code != "*" and (found is None or found.type != "reference"):
        references = ", ".join(_references(source))
        raise RecordError(f"{name} must name a reference of {source}. Expected one of {references}, or *.")
    return SearchInclude(source, code, target, modifier != "")


def _references(resource_type: str) -> list[str]:
    return sorted(c for c, p in search_parameters_of(resource_type).items() if p.type == "reference")


def _sort_key(resource_type: str, text: str) -> SortKey:
    descending, code = text.startswith("-"), text.lstrip("-")
    if code == "_id":
        return SortKey("", "name", descending)
    if code == "_lastUpdated":
        return SortKey("", "updated", descending)
    found = search_parameters_of(resource_type).get(code)
    if found is None or found.type not in SORT_TYPES:
        sortable = sorted(c for c, p in search_parameters_of(resource_type).items() if p.type in SORT_TYPES)
        raise RecordError(
            f"_sort names a parameter that cannot sort {resource_type}. Expected _id or one of {', '.join(sortable)}."
        )
    return SortKey(code, SORT_TYPES[found.type], descending)


# each takes the request so far, a value and a modifier; None for a value that makes the parameter unknown
RESULT_PARAMETERS: dict[str, Callable[[SearchRequest, str, str], SearchRequest | None]] = {
    "_sort": _sort,
    "_count": _count,
    "_include": _include,
    "_revinclude": _reverse_include,
    "_summary": _summary,
    "_elements": _elements,
    "_total": _total,
    "_format": _ignored,
    "_pretty": _ignored,
    "_contained": _contained,
}
