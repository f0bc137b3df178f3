"""Compiles a FHIR search to SQL over the search index: the most selective condition drives, the others are looked up by row."""

from collections.abc import Callable
from dataclasses import dataclass, field, replace
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
    SearchRequest,
    SortKey,
    StringCriterion,
    TokenCriterion,
)

MOST_DRIVING_ROWS = 2_000  # rows up to which a condition is counted before the driving one is chosen
FEW_ROWS = 200  # no more selective condition is looked for
CHEAP = {"res": 0, "token": 1, "text": 2, "label": 2}  # tables by the cost of counting
FEW_TARGETS = 8  # targets that are looked up one by one
APPROXIMATE = 0.1  # ap: within a tenth (R4, Search, 3.1.1.4.3)
DAY = 86_400_000_000  # µs
ALL_ROWS = (-1, 2**62)
LAST_CHARACTER = "\U0010ffff"
HashFunction = Callable[[str], int]
RunQuery = Callable[[str, list[Any]], list[Any]]
Sql = tuple[str, list[Any]]
TABLES_OF = {
    "token": ("token",), "reference": ("token",), "string": ("text",), "uri": ("text",), "date": ("span",), "number": ("amount",),
    "quantity": ("amount",), "composite": ("token", "text", "span", "amount"),
}  # fmt: skip


@dataclass(frozen=True)
class Scan:
    """A walk over the rows that meet a condition. exact: every row of the walk meets it; ordered: the rows come in row order."""

    table: str
    where: str
    values: list[Any]
    exact: bool = False
    ordered: bool = False


@dataclass(frozen=True)
class SqlQuery:
    """The FROM and WHERE of a search and its order. It may give the same row twice."""

    sql: str
    values: list[Any]
    order: str
    order_values: list[Any] = field(default_factory=list)

    def count(self, limit: int | None) -> Sql:
        """Selects the number of rows and of distinct rows, up to `limit` rows."""
        end = "" if limit is None else f" LIMIT {limit}"
        sql = f"SELECT count(*), count(DISTINCT row) FROM (SELECT r.row AS row {self.sql}{end})"  # noqa: S608
        return sql, self.values

    def rows(self, after: int, below: int) -> Sql:
        """Selects row, name, subject and whether that is a patient, in order; of the rows in (after, below]."""
        where = " AND r.row > ? AND r.row <= ?" if (after, below) != ALL_ROWS else ""
        sql = f"SELECT r.row, r.name, r.subject, r.patient {self.sql}{where} ORDER BY {self.order}"
        return sql, [*self.values, *([after, below] if where else []), *self.order_values]


@dataclass(frozen=True)
class CompiledSearch:
    """A search as SQL. counted: gives every match; ordered: queries whose rows, one after the other, are the matches in order."""

    counted: SqlQuery
    ordered: tuple[SqlQuery, ...]


class Compiler:
    """Compiles searches. hashed: the index's hash of a text; scope: limits a query to the visible subjects; run: queries the
    index, to count the rows of a condition."""

    def __init__(self, hashed: HashFunction, scope: Sql, run: RunQuery) -> None:
        self.hashed, self.scope, self.run = hashed, scope, run

    def compile(self, request: SearchRequest) -> CompiledSearch:
        """The search as SQL for counting and for listing its matches."""
        resource_type = request.resource_type
        conditions = [self.resolved(c) for c in request.conditions]
        driver, size = self.driver(resource_type, conditions)
        counted = self.driven(resource_type, conditions, driver, size)
        first = request.sort[0] if request.sort else None
        if first is not None and first.type == "date" and (driver is None or size >= MOST_DRIVING_ROWS):
            return CompiledSearch(counted, self.by_date(resource_type, first, conditions))
        order, order_values = self.order(resource_type, request.sort)
        return CompiledSearch(counted, (replace(counted, order=order or counted.order, order_values=order_values),))

    def driven(
        self, resource_type: str, conditions: list[SearchCondition], driver: tuple[SearchCondition, Scan] | None, size: int
    ) -> SqlQuery:
        """All matches, in row order, along the rows of the driving condition if it is selective enough."""
        if driver is not None and size >= MOST_DRIVING_ROWS and not driver[1].ordered:
            driver = None
        if driver is not None and driver[1].exact:
            conditions = [c for c in conditions if c is not driver[0]]
        where, values = self.wheres(resource_type, conditions)
        if driver is None:
            return SqlQuery(f"FROM res r WHERE {where}", values, "r.row")
        scan = driver[1]
        sql = f"FROM {scan.table} d CROSS JOIN res r WHERE {scan.where} AND r.row = d.row AND {where}"
        return SqlQuery(sql, [*scan.values, *values], "d.row" if scan.ordered else "r.row")

    def by_date(self, resource_type: str, first: SortKey, conditions: list[SearchCondition]) -> tuple[SqlQuery, SqlQuery]:
        """Many matches sorted by a date: along the index of dates, then the matches that have no date."""
        where, values = self.wheres(resource_type, conditions)
        p, direction = self.hashed(f"{resource_type}.{first.parameter}"), "DESC" if first.descending else "ASC"
        dated = f"FROM span d CROSS JOIN res r WHERE d.p = ? AND r.row = d.row AND {where}"
        without_date = "NOT EXISTS (SELECT 1 FROM span x WHERE x.row = r.row AND x.p = ?)"
        undated = f"FROM res r WHERE {where} AND {without_date}"
        return SqlQuery(dated, [p, *values], f"d.low {direction}"), SqlQuery(undated, [*values, p], "r.row")

    def wheres(self, resource_type: str, conditions: list[SearchCondition]) -> Sql:
        """Current resources of the type that are in scope and meet every condition."""
        where, values = "r.type = ? AND r.live" + self.scope[0], [self.hashed(resource_type), *self.scope[1]]
        for condition in conditions:
            sql, more = self.condition(resource_type, condition, "r")
            where, values = f"{where} AND {sql}", values + more
        return where, values

    def resolved(self, condition: SearchCondition) -> SearchCondition:
        """A chained condition with few matches at its end becomes a condition on the names of those matches."""
        if len(condition.criteria) != 1 or condition.negated:
            return condition
        chain = condition.criteria[0]
        if not isinstance(chain, ChainCriterion | ReverseChainCriterion):
            return condition
        sql, values = self.compile(SearchRequest(chain.resource_type, chain.conditions)).counted.rows(*ALL_ROWS)
        rows: dict[int, str] = {row: name for row, name, *_ in self.run(f"{sql} LIMIT {MOST_DRIVING_ROWS}", values)}
        if len(rows) >= MOST_DRIVING_ROWS:
            return condition
        if isinstance(chain, ChainCriterion):
            return SearchCondition((ReferenceCriterion(chain.parameter, tuple(rows.values())),))
        p = self.hashed(f"{chain.resource_type}.{chain.parameter}")
        keys = [r[0] for part in _parts(list(rows)) for r in self.run(
            f"SELECT DISTINCT h FROM link WHERE p = ? AND row IN ({_marks(part)})", [p, *part])]  # fmt: skip  # noqa: S608
        return SearchCondition((IdCriterion((), tuple(dict.fromkeys(keys))),))

    def driver(self, resource_type: str, conditions: list[SearchCondition]) -> tuple[tuple[SearchCondition, Scan] | None, int]:
        """(the most selective condition and its scan; its number of rows, counted up to MOST_DRIVING_ROWS)."""
        found = [(c, s) for c in conditions if not c.negated and (s := self.scan(resource_type, c)) is not None]
        if not found:
            return None, MOST_DRIVING_ROWS
        found.sort(key=lambda one: CHEAP.get(one[1].table, 9))  # counting names and codes is cheap, times and amounts are not
        sizes: list[tuple[int, bool]] = []
        for _condition, scan in found:
            sql = f"SELECT count(*) FROM (SELECT 1 FROM {scan.table} d WHERE {scan.where} LIMIT {MOST_DRIVING_ROWS})"  # noqa: S608
            sizes.append((int(self.run(sql, scan.values)[0][0]), not scan.ordered))
            if sizes[-1][0] <= FEW_ROWS:
                break
        best = sizes.index(min(sizes))
        return found[best], sizes[best][0]

    def scan(self, resource_type: str, condition: SearchCondition) -> Scan | None:
        """The scan of a condition whose criteria are all of one kind and parameter; None where there is none."""
        criteria, one = condition.criteria, condition.criteria[0]
        if any(type(t) is not type(one) for t in criteria) or len({getattr(t, "parameter", "") for t in criteria}) != 1:
            return None
        if isinstance(one, IdCriterion):
            keys = [k for t in criteria if isinstance(t, IdCriterion) for k in self.keys(t)]
            return Scan("res", f"d.key IN ({_marks(keys)})", keys, True)
        if isinstance(one, TokenCriterion | ReferenceCriterion):
            return self.code_scan(resource_type, one.parameter, criteria)
        if len(criteria) > 1:
            return None
        if isinstance(one, CompositeCriterion):
            inner = self.scan(resource_type, SearchCondition((one.criterion,)))
            return None if inner is None else replace(inner, exact=False)
        return self.value_scan(resource_type, one)

    def code_scan(self, resource_type: str, parameter: str, criteria: tuple[SearchCriterion, ...]) -> Scan | None:
        """The scan of codes, or of references; None where only the system of a code is known."""
        if any(isinstance(t, TokenCriterion) and t.code is None for t in criteria):
            return None
        codes = [self.hashed(str(t.code)) for t in criteria if isinstance(t, TokenCriterion)]
        codes += [self.hashed(target) for t in criteria if isinstance(t, ReferenceCriterion) for target in t.targets]
        exact = all(not isinstance(t, TokenCriterion) or t.system is None for t in criteria)
        where = f"d.p = ? AND d.h IN ({_marks(codes)})" if len(codes) != 1 else "d.p = ? AND d.h = ?"
        return Scan("token", where, [self.hashed(f"{resource_type}.{parameter}"), *codes], exact, len(codes) == 1)

    def value_scan(self, resource_type: str, one: SearchCriterion) -> Scan | None:
        """The scan of one text, time or amount."""
        if isinstance(one, StringCriterion) and one.comparison != "above":
            words, values = self.words(resource_type, one)
            p = self.hashed(f"{resource_type}.{one.parameter}")
            return Scan(_table(one), f"d.p = ? AND d.w IN ({words})", [p, *values], True)
        if not isinstance(one, DateCriterion | QuantityCriterion) or one.prefix == "ne":
            return None
        p = self.hashed(f"{resource_type}.{one.parameter}")
        if isinstance(one, DateCriterion):
            table, (where, values) = "span", _compare_range("d.low", "d.high", one)
        else:
            table, (where, values) = "amount", self.amounts(one, "d")
        return Scan(table, f"d.p = ? AND {where}", [p, *values], True)

    def keys(self, criterion: IdCriterion) -> list[int]:
        """Hashes of the names."""
        return [*map(self.hashed, criterion.names), *criterion.keys]

    def condition(self, resource_type: str, condition: SearchCondition, r: str) -> Sql:
        """A condition on the resource with the table alias `r`."""
        parts = [self.criterion(resource_type, t, r) for t in condition.criteria]
        sql = "(" + " OR ".join(p[0] for p in parts) + ")"
        return ("NOT " if condition.negated else "") + sql, [v for p in parts for v in p[1]]

    def criterion(self, resource_type: str, criterion: SearchCriterion, r: str) -> Sql:
        """One criterion on the resource with the table alias `r`."""
        if isinstance(criterion, CompositeCriterion):
            first = self.criterion(resource_type, criterion.criterion, r)
            other = self.condition(resource_type, criterion.condition, r)
            return f"({first[0]} AND {other[0]})", first[1] + other[1]
        if isinstance(criterion, IdCriterion):
            keys = self.keys(criterion)
            return f"{r}.key IN ({_marks(keys)})", list(keys)
        if isinstance(criterion, LastUpdatedCriterion):
            return _compare_range(f"{r}.updated", f"({r}.updated + 1000)", criterion)
        if isinstance(criterion, ChainCriterion | ReverseChainCriterion):
            return self.chain(resource_type, criterion, r)
        p = self.hashed(f"{resource_type}.{criterion.parameter}")
        if isinstance(criterion, PresenceCriterion):
            tables = TABLES_OF.get(criterion.type, ())
            parts = [f"{r}.row IN (SELECT row FROM {t} WHERE p = ?)" for t in tables]  # noqa: S608
            return "(" + " OR ".join(parts) + ")", [p] * len(parts)
        if isinstance(criterion, TokenCriterion):
            return self.token(p, criterion, r)
        table, where, values = self.value(resource_type, criterion)
        return f"EXISTS (SELECT 1 FROM {table} x WHERE x.row = {r}.row AND x.p = ? AND {where})", [p, *values]  # noqa: S608

    def value(
        self, resource_type: str, criterion: ReferenceCriterion | StringCriterion | DateCriterion | QuantityCriterion
    ) -> tuple[str, str, list[Any]]:
        """(table, WHERE, values) of a criterion on one value."""
        if isinstance(criterion, ReferenceCriterion):
            codes = [self.hashed(t) for t in criterion.targets]
            return "link" if len(codes) > FEW_TARGETS else "token", f"x.h IN ({_marks(codes)})", codes
        if isinstance(criterion, StringCriterion):
            words, values = self.words(resource_type, criterion)
            return _table(criterion), f"x.w IN ({words})", values
        if isinstance(criterion, DateCriterion):
            return "span", *_compare_range("x.low", "x.high", criterion)
        return "amount", *self.amounts(criterion, "x")

    def token(self, p: int, criterion: TokenCriterion, r: str) -> Sql:
        """A code of one system or of any; or any code of a system."""
        s = self.hashed(criterion.system) if criterion.system else 0
        if criterion.code is None:
            return f"{r}.row IN (SELECT x.row FROM token x WHERE x.p = ? AND x.s = ?)", [p, s]  # noqa: S608
        exists = f"EXISTS (SELECT 1 FROM token x WHERE x.p = ? AND x.h = ? AND x.row = {r}.row"  # noqa: S608
        values = [p, self.hashed(criterion.code)]
        return (exists + ")", values) if criterion.system is None else (exists + " AND x.s = ?)", [*values, s])

    def words(self, resource_type: str, criterion: StringCriterion) -> Sql:
        """The ids of indexed words that match a text."""
        p, text = self.hashed(f"{resource_type}.{criterion.parameter}"), criterion.text
        return {
            "exact": ("SELECT w FROM word WHERE p = ? AND exact = ?", [p, text]),
            "starts": ("SELECT w FROM word WHERE p = ? AND plain >= ? AND plain < ?", [p, text, text + LAST_CHARACTER]),
            "contains": ("SELECT w FROM word WHERE p = ? AND instr(plain, ?) > 0", [p, text]),
            "below": (
                "SELECT w FROM word WHERE p = ? AND (exact = ? OR (exact >= ? AND exact < ?))",
                [p, text, text.rstrip("/") + "/", text.rstrip("/") + "0"],
            ),
            "above": (
                "SELECT w FROM word WHERE p = ? AND (exact = ? OR substr(?, 1, length(exact) + 1) = exact || '/')",
                [p, text, text],
            ),
        }[criterion.comparison]

    def amounts(self, criterion: QuantityCriterion, x: str) -> Sql:
        """A number, and its unit where the search names one."""
        where, values = _compare_number(criterion, x)
        if criterion.code is None:
            return where, values
        code = self.hashed(criterion.code)
        if criterion.system:
            return f"{where} AND {x}.s = ? AND {x}.c = ?", [*values, self.hashed(criterion.system), code]
        return f"{where} AND ({x}.c = ? OR {x}.u = ?)", [*values, code, code]

    def chain(self, resource_type: str, chain: ChainCriterion | ReverseChainCriterion, r: str) -> Sql:
        """A chain; resources on the way must be in scope, as the matches must."""
        other = f"{r}1"
        where = f"{other}.type = ? AND {other}.live{self.scope[0].replace('r.', other + '.')}"
        values: list[Any] = [self.hashed(chain.resource_type), *self.scope[1]]
        for condition in chain.conditions:
            sql, more = self.condition(chain.resource_type, condition, other)
            where, values = f"{where} AND {sql}", values + more
        if isinstance(chain, ChainCriterion):
            p = self.hashed(f"{resource_type}.{chain.parameter}")
            joined = f"link t CROSS JOIN res {other} ON {other}.key = t.h WHERE t.row = {r}.row AND t.p = ?"
        else:
            p = self.hashed(f"{chain.resource_type}.{chain.parameter}")
            joined = f"token t CROSS JOIN res {other} ON {other}.row = t.row WHERE t.p = ? AND t.h = {r}.key"
        return f"EXISTS (SELECT 1 FROM {joined} AND {where})", [p, *values]  # noqa: S608

    def order(self, resource_type: str, sort: tuple[SortKey, ...]) -> Sql:
        """ORDER BY; resources without a value come last. Empty without sort keys."""
        parts: list[str] = []
        values: list[Any] = []
        for key in sort:
            direction, pick = ("DESC", "max") if key.descending else ("ASC", "min")
            if key.type in ("updated", "name"):
                column = "row" if key.type == "updated" else "name"  # rows are numbered in the order of time
                parts.append(f"r.{column} {direction}")
                continue
            value = {
                "date": f"SELECT {pick}(x.low) FROM span x WHERE x.row = r.row AND x.p = ?",  # noqa: S608
                "number": f"SELECT {pick}(x.low) FROM amount x WHERE x.row = r.row AND x.p = ?",  # noqa: S608
                "string": f"SELECT {pick}(w.plain) FROM text x JOIN word w ON w.w = x.w WHERE x.row = r.row AND x.p = ?",  # noqa: S608
            }[key.type]
            parts.append(f"({value}) {direction} NULLS LAST")
            values.append(self.hashed(f"{resource_type}.{key.parameter}"))
        return ", ".join([*parts, "r.row"]) if parts else "", values


def _parts(rows: list[int]) -> list[list[int]]:
    return [rows[i : i + 500] for i in range(0, len(rows), 500)]


def _marks(values: list[int]) -> str:
    return ",".join("?" * len(values))


def _table(criterion: StringCriterion) -> str:
    return "label" if criterion.parameter.endswith(":text") else "text"


def _compare_range(low: str, high: str, criterion: DateCriterion | LastUpdatedCriterion) -> Sql:
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
