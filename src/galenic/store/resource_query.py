"""Compiler of FHIR searches to SQL on the search index. The most selective condition drives the query; the others are checked
row by row."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from galenic.schema import (
    ChainCriterion,
    CompositeCriterion,
    DateCriterion,
    IdCriterion,
    QuantityCriterion,
    ReferenceCriterion,
    ReverseChainCriterion,
    SearchCondition,
    SearchCriterion,
    SearchHit,
    SearchRequest,
    SortKey,
    StringCriterion,
    TokenCriterion,
)
from galenic.store.criterion_sql import CriterionSql, HashFunction, Sql, compare_range, grouped, in_list, table_of, words

MOST_DRIVING_ROWS = 2_000  # rows up to which a condition is counted before the driving one is chosen
FEW_ROWS = 200  # no more selective condition is searched for
FEW_CANDIDATES = 8  # maximum of rows for which all referring resources may be checked
CHEAP = {"res": 0, "token": 1, "text": 2, "label": 2}  # tables by the cost of counting
RunQuery = Callable[[str, list[Any]], list[Any]]
WITHOUT_VALUE = {
    "date": "SELECT 1 FROM span x WHERE x.row = r.row AND x.p = ?",
    "number": "SELECT 1 FROM amount x WHERE x.row = r.row AND x.p = ?",
    "string": "SELECT 1 FROM text x WHERE x.row = r.row AND x.p = ?",
}


@dataclass(frozen=True)
class SortedWalk:
    """An index of values in order. tables, keys: for all rows; own_tables, own_keys: for one row."""

    tables: str
    keys: tuple[str, ...]
    own_tables: str
    own_keys: tuple[str, ...]


WALKS = {  # by type of a sort key
    "date": SortedWalk("span d", ("d.low", "d.high", "d.row"), "span y", ("y.low", "y.high", "y.row")),
    "number": SortedWalk(
        "amount d", ("d.low", "d.high", "d.s", "d.c", "d.u", "d.row"),
        "amount y", ("y.low", "y.high", "y.s", "y.c", "y.u", "y.row"),
    ),
    "string": SortedWalk(
        "word w CROSS JOIN text d ON d.p = w.p AND d.w = w.w", ("w.plain", "w.w", "d.row"),
        "text y CROSS JOIN word v ON v.w = y.w", ("v.plain", "v.w", "y.row"),
    ),
}  # fmt: skip


@dataclass(frozen=True)
class Scan:
    """Scan of the rows that match a condition. exact: every row of the scan matches; ordered: the rows are in row order."""

    table: str
    where: str
    values: list[Any]
    exact: bool = False
    ordered: bool = False


@dataclass(frozen=True)
class SearchPlace:
    """Start of a page: after a row of one of the queries of a search, or after a number of matches."""

    query: int = 0
    row: int | None = None
    offset: int = 0


@dataclass(frozen=True)
class SqlQuery:
    """The FROM and WHERE of a search and its order. It may return the same row twice. keys: columns that give a total order;
    key_of: SQL of the values of these columns for a row; order: used instead of keys if no index provides the order."""

    sql: str
    values: list[Any]
    keys: tuple[str, ...] = ("r.row",)
    descending: bool = False
    key_of: Sql = ("SELECT ?", [])
    order: str = ""
    order_values: list[Any] = field(default_factory=list)

    def count(self, limit: int | None) -> Sql:
        """Selects the number of rows and of distinct rows, up to `limit` rows."""
        end = "" if limit is None else f" LIMIT {limit}"
        sql = f"SELECT count(*), count(DISTINCT row) FROM (SELECT r.row AS row {self.sql}{end})"  # noqa: S608
        return sql, self.values

    def rows(self, after: Sequence[Any] = (), below: int | None = None) -> Sql:
        """Selects row, name, subject and a patient flag, in order. after: only rows after these keys; below: only rows up to
        this number."""
        where, values = "", list(self.values)
        if after:
            sign, marks = "<" if self.descending else ">", ", ".join("?" * len(after))
            where, values = f" AND ({', '.join(self.keys)}) {sign} ({marks})", [*values, *after]
        if below is not None:
            where, values = f"{where} AND r.row <= ?", [*values, below]
        direction = " DESC" if self.descending else ""
        order = self.order or ", ".join(f"{k}{direction}" for k in self.keys)
        return f"SELECT r.row, r.name, r.subject, r.patient {self.sql}{where} ORDER BY {order}", [*values, *self.order_values]


@dataclass(frozen=True)
class CompiledSearch:
    """Search as SQL. counted: returns all matches; ordered: queries whose rows, in sequence, are the matches in order."""

    counted: SqlQuery
    ordered: tuple[SqlQuery, ...]


class Compiler:
    """Compiles searches. hashed: the index's hash of a text; scope: limits a query to the visible subjects; run: queries the
    index, to count the rows of a condition."""

    def __init__(self, hashed: HashFunction, scope: Sql, run: RunQuery) -> None:
        self.hashed, self.scope, self.run = hashed, scope, run
        self.criteria = CriterionSql(hashed, scope, self.matching)

    def compile(self, request: SearchRequest) -> CompiledSearch:
        """The search as SQL for counting and for listing its matches."""
        resource_type = request.resource_type
        conditions = [self.resolved(c) for c in request.conditions]
        driver, size = self.driver(resource_type, conditions)
        counted = self.driven(resource_type, conditions, driver, size)
        if not request.sort:
            return CompiledSearch(counted, (counted,))
        first, *others = request.sort
        if first.type == "updated":  # rows are numbered in the order of time
            return CompiledSearch(counted, (replace(counted, descending=first.descending),))
        if not others and first.type in WALKS and (driver is None or size >= MOST_DRIVING_ROWS):
            return CompiledSearch(counted, self.walked(resource_type, first, conditions))
        order, order_values = self.order(resource_type, request.sort)
        return CompiledSearch(counted, (replace(counted, keys=(), order=order, order_values=order_values),))

    def matching(self, resource_type: str, conditions: tuple[SearchCondition, ...]) -> Sql:
        """FROM and WHERE of all resources of a type that meet conditions, with the alias r."""
        found = self.compile(SearchRequest(resource_type, conditions)).counted
        return found.sql, found.values

    def driven(
        self, resource_type: str, conditions: list[SearchCondition], driver: tuple[SearchCondition, Scan] | None, size: int
    ) -> SqlQuery:
        """All matches, in row order, along the rows of the driving condition if it is selective enough."""
        if driver is not None and size >= MOST_DRIVING_ROWS and not driver[1].ordered:
            driver = None
        if driver is not None and driver[1].exact:
            conditions = [c for c in conditions if c is not driver[0]]
        where, values = self.wheres(resource_type, conditions, few=driver is not None and size <= FEW_CANDIDATES)
        if driver is None:
            return SqlQuery(f"FROM res r WHERE {where}", values)
        scan = driver[1]
        sql = f"FROM {scan.table} d CROSS JOIN res r WHERE {scan.where} AND r.row = d.row AND {where}"
        return SqlQuery(sql, [*scan.values, *values], ("d.row",) if scan.ordered else ("r.row",))

    def walked(self, resource_type: str, key: SortKey, conditions: list[SearchCondition]) -> tuple[SqlQuery, SqlQuery]:
        """Many matches sorted by one key: along the index of its values, each row once, then the matches without a value."""
        where, values = self.wheres(resource_type, conditions)
        p, walk, end = self.hashed(f"{resource_type}.{key.parameter}"), WALKS[key.type], "DESC" if key.descending else "ASC"
        column, sign = "w.p" if key.type == "string" else "d.p", ">" if key.descending else "<"
        earlier = f"y.row = d.row AND y.p = d.p AND ({', '.join(walk.own_keys)}) {sign} ({', '.join(walk.keys)})"
        first = f"NOT EXISTS (SELECT 1 FROM {walk.own_tables} WHERE {earlier})"  # noqa: S608
        valued = f"FROM {walk.tables} CROSS JOIN res r WHERE {column} = ? AND r.row = d.row AND {where} AND {first}"
        order = ", ".join(f"{k} {end}" for k in walk.own_keys)
        of_row = (
            f"SELECT {', '.join(walk.own_keys)} FROM {walk.own_tables} WHERE y.row = ? AND y.p = ? ORDER BY {order} LIMIT 1"  # noqa: S608
        )
        without = f"FROM res r WHERE {where} AND NOT EXISTS ({WITHOUT_VALUE[key.type]})"
        return (
            SqlQuery(valued, [p, *values], walk.keys, key.descending, (of_row, [p])),
            SqlQuery(without, [*values, p]),
        )

    def wheres(self, resource_type: str, conditions: list[SearchCondition], *, few: bool = False) -> Sql:
        """Current resources of the type that are in scope and match all conditions. few: True if there are few candidates."""
        where, values = "r.type = ? AND r.live" + self.scope[0], [self.hashed(resource_type), *self.scope[1]]
        for condition in conditions:
            sql, more = self.criteria.condition(resource_type, condition, "r", few=few)
            where, values = f"{where} AND {sql}", values + more
        return where, values

    # chains with few matches

    def resolved(self, condition: SearchCondition) -> SearchCondition:
        """Chained condition with few matches at its end, replaced by a condition on the names of those matches."""
        chains = [c for c in condition.criteria if isinstance(c, ChainCriterion | ReverseChainCriterion)]
        if not chains or len(chains) != len(condition.criteria) or len({(type(c), c.parameter) for c in chains}) > 1:
            return condition
        found: list[dict[int, str]] = []
        for chain in chains:
            sql, values = self.compile(SearchRequest(chain.resource_type, chain.conditions)).counted.rows()
            found.append({row: name for row, name, *_ in self.run(f"{sql} LIMIT {MOST_DRIVING_ROWS}", values)})
            if sum(map(len, found)) >= MOST_DRIVING_ROWS:
                return condition
        if isinstance(chains[0], ChainCriterion):
            names = tuple(name for some in found for name in some.values())
            return SearchCondition((ReferenceCriterion(chains[0].parameter, names),), condition.negated)
        keys = [k for chain, rows in zip(chains, found, strict=True) for k in self.targets(chain, list(rows))]
        return SearchCondition((IdCriterion((), tuple(dict.fromkeys(keys))),), condition.negated)

    def targets(self, chain: ChainCriterion | ReverseChainCriterion, rows: list[int]) -> list[int]:
        """Hashes of the names that rows refer to by the parameter of a chain."""
        p = self.hashed(f"{chain.resource_type}.{chain.parameter}")
        return [int(r[0]) for r in self.run(f"SELECT DISTINCT h FROM link WHERE p = ? AND row {in_list(rows)}", [p])]  # noqa: S608

    # the driving condition

    def driver(
        self, resource_type: str, conditions: Iterable[SearchCondition]
    ) -> tuple[tuple[SearchCondition, Scan] | None, int]:
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
        """Scan of a condition whose criteria have the same kind and parameter; None if there is none."""
        criteria, one = condition.criteria, condition.criteria[0]
        if any(type(t) is not type(one) for t in criteria) or len({getattr(t, "parameter", "") for t in criteria}) != 1:
            return None
        if isinstance(one, IdCriterion):
            return Scan("res", f"d.key {in_list(self.criteria.keys(criteria))}", [], True)
        if isinstance(one, TokenCriterion | ReferenceCriterion):
            return self.code_scan(resource_type, one.parameter, criteria)
        if isinstance(one, StringCriterion):
            return self.text_scan(resource_type, [t for t in criteria if isinstance(t, StringCriterion)])
        if len(criteria) > 1:
            return None
        if isinstance(one, CompositeCriterion):
            inner = self.scan(resource_type, SearchCondition((one.criterion,)))
            return None if inner is None else replace(inner, exact=False)
        return self.value_scan(resource_type, one)

    def code_scan(self, resource_type: str, parameter: str, criteria: tuple[SearchCriterion, ...]) -> Scan | None:
        """Scan of codes, or of references; None if only the system of a code is known."""
        if any(isinstance(t, TokenCriterion) and t.code is None for t in criteria):
            return None
        codes = [self.hashed(str(t.code)) for t in criteria if isinstance(t, TokenCriterion)]
        codes += [self.hashed(target) for t in criteria if isinstance(t, ReferenceCriterion) for target in t.targets]
        exact = all(not isinstance(t, TokenCriterion) or t.system is None for t in criteria)
        where = f"d.p = ? AND d.h {in_list(codes)}"
        return Scan("token", where, [self.hashed(f"{resource_type}.{parameter}")], exact, len(codes) == 1)

    def text_scan(self, resource_type: str, criteria: list[StringCriterion]) -> Scan | None:
        """Scan of texts; None if all words would have to be compared."""
        if len(grouped(criteria)) > 1 or criteria[0].comparison == "above":
            return None
        p = self.hashed(f"{resource_type}.{criteria[0].parameter}")
        where, values = words(criteria, "w")
        listed = f"SELECT w.w FROM word w WHERE w.p = ? AND {where}"  # noqa: S608
        return Scan(table_of(criteria[0]), f"d.p = ? AND d.w IN ({listed})", [p, p, *values], True)

    def value_scan(self, resource_type: str, one: SearchCriterion) -> Scan | None:
        """The scan of one time or amount."""
        if not isinstance(one, DateCriterion | QuantityCriterion) or one.prefix == "ne":
            return None
        p = self.hashed(f"{resource_type}.{one.parameter}")
        if isinstance(one, DateCriterion):
            table, (where, values) = "span", compare_range("d.low", "d.high", one)
        else:
            table, (where, values) = "amount", self.criteria.amounts(one, "d")
        return Scan(table, f"d.p = ? AND {where}", [p, *values], True)

    def order(self, resource_type: str, sort: tuple[SortKey, ...]) -> Sql:
        """ORDER BY; resources without a value come last."""
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
        return ", ".join([*parts, "r.row"]), values


def hit_of(row: Sequence[Any]) -> SearchHit:
    """A row that SqlQuery.rows selects."""
    name = str(row[1])
    return SearchHit(int(row[0]), name.partition("/")[0], name, int(row[2]), bool(row[3]))
