"""Criteria of a FHIR search as SQL conditions on one row of the search index.

A condition costs a few look-ups for each checked row, or is a set of rows that SQLite computes once per query. No condition
reads all rows again for each row, so the time of a search is at most proportional to the index, even if it is nested.
"""

from collections.abc import Callable, Iterable, Sequence
from typing import Any

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
    StringCriterion,
    TokenCriterion,
)

FEW_VALUES = 8  # codes or targets that are looked up individually
APPROXIMATE = 0.1  # ap: within a tenth (R4, Search, 3.1.1.4.3)
DAY = 86_400_000_000  # µs
LAST_CHARACTER = "\U0010ffff"
HashFunction = Callable[[str], int]
Sql = tuple[str, list[Any]]
MatchingRows = Callable[[str, tuple[SearchCondition, ...]], Sql]
PROBED = {"string": "text", "uri": "text", "reference": "link", "date": "span", "number": "amount", "quantity": "amount"}
LISTED = {"token": ("token",), "composite": ("token", "text", "span", "amount")}  # some of these tables have no index by row


class CriterionSql:
    """Criteria as SQL. hashed: the index's hash of a text; scope: limits a query to the visible subjects; matching: FROM and
    WHERE of all resources of a type that match conditions, with the alias r."""

    def __init__(self, hashed: HashFunction, scope: Sql, matching: MatchingRows) -> None:
        self.hashed, self.scope, self.matching = hashed, scope, matching

    def condition(self, resource_type: str, condition: SearchCondition, r: str, *, few: bool = False) -> Sql:
        """Condition on the resource with the table alias `r`. few: True if it is checked for few rows."""
        parts = [self.alternatives(resource_type, group, r, few=few) for group in grouped(condition.criteria)]
        sql = any_of([p[0] for p in parts])
        return ("NOT " if condition.negated else "") + sql, [v for p in parts for v in p[1]]

    def alternatives(self, resource_type: str, group: Sequence[SearchCriterion], r: str, *, few: bool) -> Sql:
        """Criteria of one kind and parameter, of which one must match."""
        one = group[0]
        if isinstance(one, IdCriterion):
            return f"{r}.key {in_list(self.keys(group))}", []
        if isinstance(one, TokenCriterion):
            return self.codes(resource_type, one, [str(t.code) for t in group if isinstance(t, TokenCriterion)], r, few=few)
        if isinstance(one, ReferenceCriterion):
            targets = [self.hashed(t) for c in group if isinstance(c, ReferenceCriterion) for t in c.targets]
            p = self.hashed(f"{resource_type}.{one.parameter}")
            if len(targets) <= FEW_VALUES:
                return f"EXISTS (SELECT 1 FROM token x WHERE x.row = {r}.row AND x.p = ? AND x.h {in_list(targets)})", [p]  # noqa: S608
            # + keeps SQLite from looking up every target for every row
            return f"EXISTS (SELECT 1 FROM link x WHERE x.row = {r}.row AND x.p = ? AND +x.h {in_list(targets)})", [p]  # noqa: S608
        if isinstance(one, StringCriterion):
            return self.texts(resource_type, [t for t in group if isinstance(t, StringCriterion)], r)
        return self.criterion(resource_type, one, r, few=few)

    def criterion(self, resource_type: str, criterion: SearchCriterion, r: str, *, few: bool) -> Sql:
        """One criterion of another kind."""
        if isinstance(criterion, CompositeCriterion):
            first = self.condition(resource_type, SearchCondition((criterion.criterion,)), r, few=few)
            other = self.condition(resource_type, criterion.condition, r, few=few)
            return f"({first[0]} AND {other[0]})", first[1] + other[1]
        if isinstance(criterion, LastUpdatedCriterion):
            return compare_range(f"{r}.updated", f"({r}.updated + 1000)", criterion)
        if isinstance(criterion, ChainCriterion):
            return self.chain(resource_type, criterion, r)
        if isinstance(criterion, ReverseChainCriterion):
            return self.reverse_probe(criterion, r) if few else self.reverse_list(criterion, r)
        if isinstance(criterion, PresenceCriterion):
            return self.presence(resource_type, criterion, r)
        assert isinstance(criterion, DateCriterion | QuantityCriterion)
        p = self.hashed(f"{resource_type}.{criterion.parameter}")
        if isinstance(criterion, DateCriterion):
            table, (where, values) = "span", compare_range("x.low", "x.high", criterion)
        else:
            table, (where, values) = "amount", self.amounts(criterion, "x")
        return f"EXISTS (SELECT 1 FROM {table} x WHERE x.row = {r}.row AND x.p = ? AND {where})", [p, *values]  # noqa: S608

    def presence(self, resource_type: str, criterion: PresenceCriterion, r: str) -> Sql:
        """True if a parameter has any value."""
        p = self.hashed(f"{resource_type}.{criterion.parameter}")
        if criterion.type in PROBED:
            return f"EXISTS (SELECT 1 FROM {PROBED[criterion.type]} x WHERE x.row = {r}.row AND x.p = ?)", [p]  # noqa: S608
        tables = LISTED.get(criterion.type, ())
        return any_of([f"{r}.row IN (SELECT row FROM {t} WHERE p = ?)" for t in tables]), [p] * len(tables)  # noqa: S608

    def keys(self, criteria: Iterable[SearchCriterion]) -> list[int]:
        """Hashes of names."""
        return [k for c in criteria if isinstance(c, IdCriterion) for k in (*map(self.hashed, c.names), *c.keys)]

    def codes(self, resource_type: str, one: TokenCriterion, codes: list[str], r: str, *, few: bool) -> Sql:
        """Codes of one system or of any; or any code of a system."""
        p, s = self.hashed(f"{resource_type}.{one.parameter}"), self.hashed(one.system) if one.system else 0
        if one.code is None:
            return f"{r}.row IN (SELECT x.row FROM token x WHERE x.p = ? AND x.s = ?)", [p, s]  # noqa: S608
        where, values = f"x.p = ? AND x.h {in_list([self.hashed(c) for c in codes])}", [p]
        if one.system is not None:
            where, values = f"{where} AND x.s = ?", [*values, s]
        if few or len(codes) <= FEW_VALUES:
            return f"EXISTS (SELECT 1 FROM token x WHERE x.row = {r}.row AND {where})", values  # noqa: S608
        return f"{r}.row IN (SELECT x.row FROM token x WHERE {where})", values  # noqa: S608

    def texts(self, resource_type: str, criteria: Sequence[StringCriterion], r: str) -> Sql:
        """Texts that are compared in one way."""
        p = self.hashed(f"{resource_type}.{criteria[0].parameter}")
        where, values = words(criteria, "w")
        if table_of(criteria[0]) == "label":  # it has no index by row
            listed = f"SELECT x.row FROM label x WHERE x.p = ? AND x.w IN (SELECT w.w FROM word w WHERE w.p = ? AND {where})"  # noqa: S608
            return f"{r}.row IN ({listed})", [p, p, *values]
        joined = f"text x CROSS JOIN word w ON w.w = x.w WHERE x.row = {r}.row AND x.p = ? AND {where}"
        return f"EXISTS (SELECT 1 FROM {joined})", [p, *values]  # noqa: S608

    def amounts(self, criterion: QuantityCriterion, x: str) -> Sql:
        """Number, and its unit if the search names one."""
        where, values = _compare_number(criterion, x)
        if criterion.code is None:
            return where, values
        code = self.hashed(criterion.code)
        if criterion.system:
            return f"{where} AND {x}.s = ? AND {x}.c = ?", [*values, self.hashed(criterion.system), code]
        return f"{where} AND ({x}.c = ? OR {x}.u = ?)", [*values, code, code]

    # chains: intermediate resources must be in scope, like the matches

    def chain(self, resource_type: str, chain: ChainCriterion, r: str) -> Sql:
        """Chain: the few resources that one row refers to are checked."""
        where, values = self._end_of(chain, f"{r}1")
        joined = f"link t CROSS JOIN res {r}1 ON {r}1.key = t.h WHERE t.row = {r}.row AND t.p = ? AND {where}"
        return f"EXISTS (SELECT 1 FROM {joined})", [self.hashed(f"{resource_type}.{chain.parameter}"), *values]  # noqa: S608

    def reverse_probe(self, chain: ReverseChainCriterion, r: str) -> Sql:
        """Reverse chain: all resources that refer to one row are checked, which may be many."""
        where, values = self._end_of(chain, f"{r}1")
        joined = f"token t CROSS JOIN res {r}1 ON {r}1.row = t.row WHERE t.p = ? AND t.h = {r}.key AND {where}"
        return f"EXISTS (SELECT 1 FROM {joined})", [self.hashed(f"{chain.resource_type}.{chain.parameter}"), *values]  # noqa: S608

    def reverse_list(self, chain: ReverseChainCriterion, r: str) -> Sql:
        """Reverse chain: all targets of its matches are listed once."""
        sql, values = self.matching(chain.resource_type, chain.conditions)
        p = self.hashed(f"{chain.resource_type}.{chain.parameter}")
        listed = f"SELECT l.h FROM (SELECT r.row AS row {sql}) m CROSS JOIN link l WHERE l.row = m.row AND l.p = ?"  # noqa: S608
        return f"{r}.key IN ({listed})", [*values, p]

    def _end_of(self, chain: ChainCriterion | ReverseChainCriterion, other: str) -> Sql:
        where = f"{other}.type = ? AND {other}.live{self.scope[0].replace('r.', other + '.')}"
        values: list[Any] = [self.hashed(chain.resource_type), *self.scope[1]]
        for condition in chain.conditions:
            sql, more = self.condition(chain.resource_type, condition, other)
            where, values = f"{where} AND {sql}", values + more
        return where, values


def grouped(criteria: Iterable[SearchCriterion]) -> list[list[SearchCriterion]]:
    """Criteria in groups that a single look-up can answer."""
    groups: dict[object, list[SearchCriterion]] = {}
    for number, one in enumerate(criteria):
        key: object = number
        if isinstance(one, TokenCriterion) and one.code is not None:
            key = ("token", one.parameter, one.system)
        elif isinstance(one, ReferenceCriterion):
            key = ("reference", one.parameter)
        elif isinstance(one, StringCriterion):
            key = ("string", one.parameter, one.comparison)
        elif isinstance(one, IdCriterion):
            key = "id"
        groups.setdefault(key, []).append(one)
    return list(groups.values())


def any_of(parts: list[str]) -> str:
    """Parts joined by OR as a balanced tree: SQLite limits the depth of an expression, not its width."""
    if len(parts) == 1:
        return parts[0]
    half = len(parts) // 2
    return f"({any_of(parts[:half])} OR {any_of(parts[half:])})" if parts else "0"


def in_list(values: list[int]) -> str:
    """IN with hashes; these are numbers of this index and do not come from the client."""
    return f"IN ({','.join(map(str, values))})"


def table_of(criterion: StringCriterion) -> str:
    """Table of a text; labels of codes have a separate one."""
    return "label" if criterion.parameter.endswith(":text") else "text"


def words(criteria: Sequence[StringCriterion], w: str) -> Sql:
    """Words, with the table alias `w`, that match one of the texts. The parameter is compared elsewhere."""
    parts = [_word(c, w) for c in criteria]
    return any_of([f"({p[0]})" for p in parts]), [v for p in parts for v in p[1]]


def _word(criterion: StringCriterion, w: str) -> Sql:
    text = criterion.text
    below = f"{w}.exact = ? OR ({w}.exact >= ? AND {w}.exact < ?)"
    return {
        "exact": (f"{w}.exact = ?", [text]),
        "starts": (f"{w}.plain >= ? AND {w}.plain < ?", [text, text + LAST_CHARACTER]),
        "contains": (f"instr({w}.plain, ?) > 0", [text]),
        "below": (below, [text, text.rstrip("/") + "/", text.rstrip("/") + "0"]),
        "above": (f"{w}.exact = ? OR substr(?, 1, length({w}.exact) + 1) = {w}.exact || '/'", [text, text]),
    }[criterion.comparison]


def compare_range(low: str, high: str, criterion: DateCriterion | LastUpdatedCriterion) -> Sql:
    """R4's prefixes on time ranges (Search, 3.1.1.4.5): the criterion's range against the columns low and high, ends exclusive."""
    first, last = criterion.low, criterion.high
    if criterion.prefix == "ap":
        width = max(int((last - first) * APPROXIMATE), DAY)
        return f"({high} > ? AND {low} < ?)", [first - width, last + width]
    return {
        "eq": (f"({low} >= ? AND {low} < ? AND {high} <= ?)", [first, last, last]),
        "ne": (f"NOT ({low} >= ? AND {high} <= ?)", [first, last]),
        "gt": (f"{high} > ?", [last]),
        "lt": (f"{low} < ?", [first]),
        "ge": (f"({low} >= ? OR {high} > ?)", [first, last]),
        "le": (f"({high} <= ? OR {low} < ?)", [last, first]),
        "sa": (f"{low} >= ?", [last]),
        "eb": (f"{high} <= ?", [first]),
    }[criterion.prefix]


def _compare_number(criterion: QuantityCriterion, x: str) -> Sql:
    """R4's prefixes on numbers (Search, 3.1.1.4.6)."""
    value, low, high = criterion.value, criterion.low, criterion.high
    if criterion.prefix == "ap":
        width = abs(value) * APPROXIMATE
        return f"({x}.high >= ? AND {x}.low <= ?)", [value - width, value + width]
    return {
        "eq": (f"({x}.low >= ? AND {x}.low < ? AND {x}.high < ?)", [low, high, high]),
        "ne": (f"NOT ({x}.low >= ? AND {x}.high < ?)", [low, high]),
        "gt": (f"{x}.high > ?", [value]),
        "lt": (f"{x}.low < ?", [value]),
        "ge": (f"{x}.high >= ?", [value]),
        "le": (f"{x}.low <= ?", [value]),
        "sa": (f"{x}.low > ?", [value]),
        "eb": (f"{x}.high < ?", [value]),
    }[criterion.prefix]
