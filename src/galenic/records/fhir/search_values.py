"""Extraction of search values: values of every search parameter in a resource, in the form that searches compare."""

import math
import re
import unicodedata
from calendar import monthrange
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import lru_cache
from typing import Any

from galenic.records.fhir.compartment import normalize_reference
from galenic.records.fhir.search_parameters import (
    ExtractionPlan,
    Leaf,
    Path,
    SearchParameter,
    extraction_plan,
    place,
    search_parameters_of,
)

Resource = dict[str, Any]
PERIOD_ENDS = (-(2**62), 2**62)  # µs: ends of an open period
DATE = re.compile(r"(\d{4})(?:-(\d\d)(?:-(\d\d))?)?\Z")
SPACE = re.compile(r"\s+")
NAME_PARTS = ("family", "given", "prefix", "suffix", "text")
ADDRESS_PARTS = ("line", "city", "district", "state", "postalCode", "country", "text")


@dataclass(slots=True)
class SearchValues:
    """Values by kind; the first of each is the code of the parameter.

    tokens: system ("" for none) and code. links: targets of references. texts: as written. spans: first and past-last µs since
    1970, UTC. amounts: least and most, system, code and unit.
    """

    tokens: list[tuple[str, str, str]] = field(default_factory=list)
    links: list[tuple[str, str]] = field(default_factory=list)
    texts: list[tuple[str, str]] = field(default_factory=list)
    spans: list[tuple[str, int, int]] = field(default_factory=list)
    amounts: list[tuple[str, float, float, str, str, str]] = field(default_factory=list)


def search_values_of(resource: Resource) -> SearchValues:
    """The values of a valid resource."""
    kind = resource["resourceType"]
    found, (whole, groups) = SearchValues(), extraction_plan(kind)
    _walk(resource, whole, found)
    if kind == "Patient" and not any(t[0] == "deceased" for t in found.tokens):
        found.tokens.append(("deceased", "", "false"))  # R4: true if deceased exists and is not false
    for parameter, path in groups:
        for node in _nodes([resource], path):
            _group(node, kind, parameter, path, found)
    return found


def _walk(node: Resource, at: ExtractionPlan, found: SearchValues) -> None:
    for name, leaves in at.leaves.items():
        value = node.get(name)
        if value is None:
            continue
        for one in value if isinstance(value, list) else (value,):
            for leaf in leaves:
                if one is not None and not (leaf.only and _left_out(one, leaf.only)):
                    _take(one, leaf, leaf.parameter.code, found)
    for name, inner in at.inner.items():
        value = node.get(name)
        if value is None:
            continue
        for one in value if isinstance(value, list) else (value,):
            if isinstance(one, dict):
                _walk(one, inner, found)


def _left_out(value: Any, only: tuple[str, ...]) -> bool:
    for condition in only:
        if condition[0] == "@":
            text = value.get("reference") if isinstance(value, dict) else None
            if not isinstance(text, str) or f"{condition[1:]}/" not in text:
                return True
        else:
            name, _, wanted = condition.partition("=")
            if not isinstance(value, dict) or value.get(name) != wanted:
                return True
    return False


def _take(value: Any, leaf: Leaf, code: str, found: SearchValues) -> None:
    kind = leaf.parameter.type
    if kind == "token":
        _token(value, leaf, code, found)
    elif kind == "reference":
        _reference(value, leaf, code, found)
    elif kind == "string":
        _text(value, leaf, code, found)
    elif kind == "date":
        _span(value, leaf, code, found)
    elif kind == "uri":
        found.texts.append((code, str(value)))
    else:
        _amount(value, code, found)


def _token(value: Any, leaf: Leaf, code: str, found: SearchValues) -> None:
    of, tokens = leaf.type, found.tokens
    if of == "CodeableConcept":
        for coding in value.get("coding", ()):
            _coding(coding, code, found)
        if "text" in value:
            found.texts.append((f"{code}:text", value["text"]))
    elif of == "Coding":
        _coding(value, code, found)
    elif of == "Identifier":
        _identifier(value, code, found)
    elif of == "ContactPoint":
        if "value" in value:
            tokens.append((code, value.get("use", ""), value["value"]))
    elif leaf.exists:
        tokens.append((code, "", "false" if value is False else "true"))
    elif of == "boolean":
        tokens.append((code, "", "true" if value else "false"))
    else:
        tokens.append((code, leaf.systems.get(value, ""), str(value)))


def _coding(coding: Resource, code: str, found: SearchValues) -> None:
    if "code" in coding or "system" in coding:
        found.tokens.append((code, coding.get("system", ""), coding.get("code", "")))
    if "display" in coding:
        found.texts.append((f"{code}:text", coding["display"]))


def _identifier(value: Resource, code: str, found: SearchValues) -> None:
    if "value" not in value:
        return
    found.tokens.append((code, value.get("system", ""), value["value"]))
    kinds = value.get("type", {})
    for coding in kinds.get("coding", ()):
        if "code" in coding:
            found.tokens.append((f"{code}:of-type", coding.get("system", ""), f"{coding['code']}|{value['value']}"))
    if "text" in kinds:
        found.texts.append((f"{code}:text", kinds["text"]))


def _reference(value: Any, leaf: Leaf, code: str, found: SearchValues) -> None:
    if isinstance(value, str):  # canonical, uri
        found.links.append((code, value))
        if "|" in value:
            found.links.append((code, value.partition("|")[0]))
        return
    text = value.get("reference")
    if isinstance(text, str) and text[:1] != "#":
        found.links.append((code, normalize_reference(text)))
    if leaf.type == "Reference" and isinstance(value.get("identifier"), dict):
        _identifier(value["identifier"], f"{code}:identifier", found)


def _text(value: Any, leaf: Leaf, code: str, found: SearchValues) -> None:
    if isinstance(value, str):
        found.texts.append((code, value))
        return
    for name in NAME_PARTS if leaf.type == "HumanName" else ADDRESS_PARTS:
        part = value.get(name)
        for one in part if isinstance(part, list) else (part,):
            if isinstance(one, str):
                found.texts.append((code, one))


def _span(value: Any, leaf: Leaf, code: str, found: SearchValues) -> None:
    of = leaf.type
    if isinstance(value, str):
        if of == "string":
            return  # an age, or a text that looks like a date
        found.spans.append((code, *date_range(value)))
    elif of == "Period":
        low, high = value.get("start"), value.get("end")
        if low or high:
            found.spans.append(
                (code, date_range(low)[0] if low else PERIOD_ENDS[0], date_range(high)[1] if high else PERIOD_ENDS[1])
            )
    elif of == "Timing":
        events = [date_range(e) for e in value.get("event", ()) if isinstance(e, str)]
        bounds = value.get("repeat", {}).get("boundsPeriod", {})
        events += [date_range(bounds[name]) for name in ("start", "end") if name in bounds]
        if events:
            found.spans.append((code, min(e[0] for e in events), max(e[1] for e in events)))


def _amount(value: Any, code: str, found: SearchValues) -> None:
    if isinstance(value, int | float | str):
        number = float(value)
        found.amounts.append((code, number, number, "", "", ""))
    elif "value" in value and not isinstance(value["value"], dict):
        number = float(value["value"])
        unit = (value.get("system", ""), value.get("code", ""), value.get("unit", ""))
        if "currency" in value:
            unit = ("urn:iso:std:iso:4217", value["currency"], value["currency"])
        least, most = _compared(number, str(value.get("comparator", "")))
        found.amounts.append((code, least, most, *unit))
    elif "low" in value or "high" in value:
        ends = [value.get("low"), value.get("high")]
        numbers = [float(e["value"]) if e and "value" in e else None for e in ends]
        one = ends[0] or ends[1]
        low = -math.inf if numbers[0] is None else numbers[0]
        high = math.inf if numbers[1] is None else numbers[1]
        found.amounts.append((code, low, high, one.get("system", ""), one.get("code", ""), one.get("unit", "")))


def _compared(number: float, comparator: str) -> tuple[float, float]:
    """The range of a quantity with a comparator: "<5" is anything below."""
    if comparator[:1] == "<":
        return -math.inf, number if comparator == "<=" else math.nextafter(number, -math.inf)
    if comparator[:1] == ">":
        return number if comparator == ">=" else math.nextafter(number, math.inf), math.inf
    return number, number


def _nodes(nodes: list[Any], path: Path) -> list[Resource]:
    for name in path:
        found: list[Any] = []
        for node in nodes:
            value = node.get(name)
            found += value if isinstance(value, list) else [] if value is None else [value]
        nodes = [n for n in found if isinstance(n, dict)]
    return nodes


def _group(node: Resource, kind: str, parameter: SearchParameter, path: Path, found: SearchValues) -> None:
    """Indexes values of the second component under the parameter's name combined with each code of the first."""
    (_, one), (_, other) = parameter.components
    names = component_names(kind, path, other, parameter.components[1][0])
    if names.isdisjoint(node):
        return
    second = _values_of(node, kind, path, other, parameter, 1)
    if not (second.tokens or second.texts or second.spans or second.amounts or second.links):
        return
    first = _values_of(node, kind, path, one, parameter, 0)
    for key in sorted({composite(parameter.code, code) for _, _, code in first.tokens}):
        found.tokens += [(key, s, c) for _, s, c in second.tokens]
        found.links += [(key, t) for _, t in second.links]
        found.texts += [(key, t) for name, t in second.texts if ":" not in name]
        found.spans += [(key, low, high) for _, low, high in second.spans]
        found.amounts += [(key, *rest) for _, *rest in second.amounts]  # type: ignore[misc]


def composite(name: str, code: str) -> str:
    """The name under which the second component is indexed where the first has this code, of any system."""
    return f"{name}={code}"


def _values_of(
    node: Resource, kind: str, path: Path, paths: tuple[Path, ...], parameter: SearchParameter, number: int
) -> SearchValues:
    found = SearchValues()
    for at in component_plans(kind, path, paths, parameter.components[number][0]):
        _walk(node, at, found)
    return found


@lru_cache(None)
def component_names(kind: str, path: Path, paths: tuple[Path, ...], code: str) -> frozenset[str]:
    """Properties that may hold a component of a group."""
    plans = component_plans(kind, path, paths, code)
    return frozenset(name for p in plans for name in (*p.leaves, *p.inner))


@lru_cache(None)
def component_plans(kind: str, path: Path, paths: tuple[Path, ...], code: str) -> tuple[ExtractionPlan, ...]:
    """The extraction plan of one component of a group."""
    parameter = search_parameters_of(kind).get(code)
    if parameter is None:
        return ()
    whole = ExtractionPlan({}, {})
    for one in paths:
        place(whole, ".".join((kind, *path)), one, parameter)
    return (whole,)


@lru_cache(50_000)
def date_range(text: str) -> tuple[int, int]:
    """(first, past the last) µs since 1970 of a FHIR date, dateTime or instant; a time without a zone is taken as UTC."""
    match = DATE.match(text)
    if match:
        year, month, day = int(match[1]), int(match[2] or 1), int(match[3] or 1)
        low = datetime(year, month, day, tzinfo=UTC)
        days = 1 if match[3] else monthrange(year, month)[1] if match[2] else 366 if _leap(year) else 365
        return _micros(low), _micros(low) + days * 86_400_000_000
    whole, _, rest = text.partition(".")
    moment = datetime.fromisoformat(text.replace(":60", ":59") if ":60" in text else text)
    moment = moment if moment.tzinfo else moment.replace(tzinfo=UTC)
    digits = len(re.match(r"\d*", rest)[0])  # type: ignore[index]  # an empty match at least
    minute = whole.count(":") == 1 or (len(whole) > 19 and whole[16:17] in "+-Z")
    width = 60_000_000 if minute else 10 ** max(6 - digits, 0)
    return _micros(moment), _micros(moment) + width


def _leap(year: int) -> bool:
    return year % 4 == 0 and (year % 100 != 0 or year % 400 == 0)


EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def _micros(moment: datetime) -> int:
    apart = moment - EPOCH
    return (apart.days * 86_400 + apart.seconds) * 1_000_000 + apart.microseconds


@lru_cache(50_000)
def normalize_text(text: str) -> str:
    """A text in the form that searches compare: without case, accents and repeated spaces (R4, Search, 3.1.1.4.8)."""
    if text.isascii():
        return SPACE.sub(" ", text.lower()).strip()
    apart = unicodedata.normalize("NFKD", text.casefold())
    return SPACE.sub(" ", "".join(c for c in apart if not unicodedata.combining(c))).strip()
