"""Conditions of a transaction, matched against stored resources and those that the transaction itself writes."""

import time
from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qsl

from galenic.custody.fhir.commit import StagedChange
from galenic.custody.fhir.messages import RequestContext
from galenic.custody.fhir.repository import FhirRepository
from galenic.custody.fhir.writing import more_than_one
from galenic.errors import TooCostlyError
from galenic.schema import (
    ChainCriterion,
    CompositeCriterion,
    DateCriterion,
    IdCriterion,
    PresenceCriterion,
    ReferenceCriterion,
    SearchCondition,
    SearchCriterion,
    SearchHit,
    SearchRequest,
    StringCriterion,
    TokenCriterion,
)

CONDITIONS_SECONDS = 30.0  # of all searches of a transaction
Pairs = tuple[tuple[str, str], ...]
RANGES: dict[str, Callable[[int, int, int, int], bool]] = {  # (low, high) of a value against (first, last) of a criterion
    "eq": lambda low, high, first, last: first <= low < last and high <= last,
    "ne": lambda low, high, first, last: not (low >= first and high <= last),
    "gt": lambda _low, high, _first, last: high > last,
    "lt": lambda low, _high, first, _last: low < first,
    "ge": lambda low, high, first, last: low >= first or high > last,
    "le": lambda low, high, first, last: high <= last or low < first,
    "sa": lambda low, _high, _first, last: low >= last,
    "eb": lambda _low, high, first, _last: high <= first,
}
TEXTS: dict[str, Callable[[str, str], bool]] = {
    "starts": str.startswith,
    "contains": lambda text, part: part in text,
    "exact": lambda text, other: text == other,
}


@dataclass
class StagedSearch:
    """Finds matches of a condition in a transaction. names: entries (Type/id) by their fullUrls; references: names by resolved
    conditional references, set after all changes are added."""

    repository: FhirRepository
    context: RequestContext
    names: dict[str, str] = field(default_factory=dict)
    references: dict[str, str] = field(default_factory=dict)
    _seconds: float = 0.0  # seconds that its searches took
    _changes: dict[str, StagedChange] = field(default_factory=dict)  # by name
    _waiting: dict[str, list[StagedChange]] = field(default_factory=dict)  # by type: whose values nobody has needed yet
    _existing: Counter[str] = field(default_factory=Counter)  # by type: changes whose search values are not computed yet
    _values: dict[str, dict[str, Any]] = field(default_factory=dict)  # by type and name: search values
    _by_token: dict[tuple[str, str, str], list[str]] = field(default_factory=dict)  # names by type, parameter and code

    def add(self, change: StagedChange) -> None:
        """Adds a change that the transaction makes."""
        self._changes[change.name] = change
        self._existing[change.resource_type] += not change.is_new
        if change.exact is not None:
            self._waiting.setdefault(change.resource_type, []).append(change)

    def resolve_pairs(self, resource_type: str, query: str) -> Pairs:
        """Parameters of a condition, with fullUrls of entries replaced by their names."""
        from galenic.records.fhir import search_parameters_of  # noqa: PLC0415

        parameters = search_parameters_of(resource_type)
        found = []
        for name, value in parse_qsl(query, keep_blank_values=True):
            parameter = parameters.get(name.partition(":")[0])
            if parameter is not None and parameter.type == "reference":
                value = ",".join(self.names.get(v, v) for v in value.split(","))
            found.append((name, value))
        return tuple(found)

    def find(self, resource_type: str, pairs: Pairs, *, final: bool = False) -> str | None:
        """Name of the one visible resource that matches a condition, or None. Raise ConflictError if several match.

        final: match the state after the transaction; otherwise a changed resource is also found by its present values.
        """
        from galenic.records.fhir import conditions_of  # noqa: PLC0415

        conditions = conditions_of(resource_type, pairs)
        found = self._staged(resource_type, conditions)
        self.repository.refresh()
        request = SearchRequest(resource_type, conditions, scope=self.repository.search_scope(self.context))
        for hit in self._stored(request, 2 + self._existing[resource_type]):
            change = self._changes.get(hit.name)
            if change is None or (change.exact is not None and not final):
                found.add(hit.name)
        if len(found) > 1:
            raise more_than_one(resource_type)
        return next(iter(found), None)

    def _stored(self, request: SearchRequest, limit: int) -> list[SearchHit]:
        """First matches among the stored resources. Raise TooCostlyError if all searches together take too long, because other
        writers wait."""
        started = time.monotonic()
        hits = self.repository.first_matches(request, limit)
        self._seconds += time.monotonic() - started
        if self._seconds > CONDITIONS_SECONDS:
            raise TooCostlyError(
                f"the conditions of the transaction took longer than {CONDITIONS_SECONDS:g} s to search. Nothing was "
                "written. Refer to resources by id or by identifier."
            )
        return hits

    def _staged(self, resource_type: str, conditions: tuple[SearchCondition, ...]) -> set[str]:
        values = self._values.setdefault(resource_type, {})
        for change in self._waiting.pop(resource_type, ()):
            self._index(change, values)
        names: Iterable[str] = values
        for condition in conditions:
            codes = [c.code for c in condition.criteria if isinstance(c, TokenCriterion) and c.code is not None]
            if not condition.negated and len(codes) == len(condition.criteria):
                keys = [(resource_type, getattr(c, "parameter", ""), str(getattr(c, "code", ""))) for c in condition.criteria]
                names = {n for key in keys for n in self._by_token.get(key, ())}
                break
        return {n for n in names if all(self._meets(resource_type, n, c) for c in conditions)}

    def _index(self, change: StagedChange, values: dict[str, Any]) -> None:
        from galenic.records.fhir import search_values_of  # noqa: PLC0415

        found = values[change.name] = search_values_of(change.resource)
        for parameter, _system, code in found.tokens:
            self._by_token.setdefault((change.resource_type, parameter, code), []).append(change.name)

    def _meets(self, resource_type: str, name: str, condition: SearchCondition) -> bool:
        return any(self._matches(resource_type, name, c) for c in condition.criteria) != condition.negated

    def _matches(self, resource_type: str, name: str, criterion: SearchCriterion) -> bool:
        values = self._values[resource_type][name]
        if isinstance(criterion, CompositeCriterion):
            inner = self._matches(resource_type, name, criterion.criterion)
            return inner and self._meets(resource_type, name, criterion.condition)
        if isinstance(criterion, ReferenceCriterion):
            return not self._links(values, criterion.parameter).isdisjoint(criterion.targets)
        if isinstance(criterion, ChainCriterion):
            met = self._staged(criterion.resource_type, criterion.conditions)
            return not self._links(values, criterion.parameter).isdisjoint(met)
        if isinstance(criterion, IdCriterion):
            return name in criterion.names
        return _has_value(values, criterion)

    def _links(self, values: Any, parameter: str) -> set[str]:
        return {self._linked(text) for p, text in values.links if p == parameter}

    def _linked(self, text: str) -> str:
        text = text.removeprefix(f"{self.context.base}/")
        return self.names.get(text, text)


def _has_value(values: Any, criterion: SearchCriterion) -> bool:
    """True if search values hold a code, a date, a text, or any value of a parameter; other criteria are never met."""
    if isinstance(criterion, TokenCriterion):
        wanted = (criterion.parameter, criterion.system, criterion.code)
        return any(all(w in (None, v) for w, v in zip(wanted, token, strict=True)) for token in values.tokens)
    if isinstance(criterion, DateCriterion) and criterion.prefix in RANGES:
        within, first, last = RANGES[criterion.prefix], criterion.low, criterion.high
        return any(p == criterion.parameter and within(low, high, first, last) for p, low, high in values.spans)
    if isinstance(criterion, PresenceCriterion):
        every = (values.tokens, values.links, values.texts, values.spans, values.amounts)
        return any(one[0] == criterion.parameter for some in every for one in some)
    return isinstance(criterion, StringCriterion) and _has_text(values.texts, criterion)


def _has_text(texts: list[tuple[str, str]], criterion: StringCriterion) -> bool:
    from galenic.records.fhir import normalize_text  # noqa: PLC0415

    compare = TEXTS.get(criterion.comparison)
    if compare is None:
        return False
    as_written = criterion.comparison == "exact"
    return any(
        p == criterion.parameter and compare(text if as_written else normalize_text(text), criterion.text) for p, text in texts
    )
