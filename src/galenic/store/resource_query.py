"""Searches of resources as SQL over the index's tables: the narrowest test drives, the others are looked up by row."""

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any

from galenic.store.criteria import (
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
    ResourceQuery,
    Text,
    Token,
    Updated,
)

LOOK = 2_000  # rows up to which a test is measured before one is chosen to drive
ENOUGH = 200  # rows that are few: nothing narrower is looked for
CHEAP = {"res": 0, "token": 1, "text": 2, "label": 2}
FEW = 8  # names that are looked up one by one
AP = 0.1  # ap: within a tenth (R4, Search, 3.1.1.4.3)
Hash = Callable[[str], int]
Run = Callable[[str, list[Any]], list[Any]]
Sql = tuple[str, list[Any]]
TABLES_OF = {
    "token": ("token",), "reference": ("token",), "string": ("text",), "uri": ("text",), "date": ("span",), "number": ("amount",),
    "quantity": ("amount",), "composite": ("token", "text", "span", "amount"),
}  # fmt: skip


@dataclass(frozen=True)
class Scan:
    """How the rows of a condition are walked. whole: nothing is left to ask of it; ordered: its rows come in their order."""

    table: str
    where: str
    values: list[Any]
    whole: bool = False
    ordered: bool = False


@dataclass(frozen=True)
class Query:
    """A compiled search, without its end. A row may come twice: whoever reads it leaves the second out."""

    sql: str
    values: list[Any]
    order: str
    order_values: list[Any] = field(default_factory=list)

    def counted(self, most: int | None) -> Sql:
        """(how many rows, how many of them different), looked at up to `most`."""
        limit = "" if most is None else f" LIMIT {most}"
        sql = f"SELECT count(*), count(DISTINCT row) FROM (SELECT r.row AS row {self.sql}{limit})"  # noqa: S608
        return sql, self.values

    def rows(self, after: int, below: int) -> Sql:
        """Rows, in order."""
        where = " AND r.row > ? AND r.row <= ?" if (after, below) != (-1, 2**62) else ""
        sql = f"SELECT r.row, r.name, r.subject, r.patient {self.sql}{where} ORDER BY {self.order}"
        return sql, [*self.values, *([after, below] if where else []), *self.order_values]


class Compiler:
    """Compiles one search. shown: what keeps it to the subjects that are shown; run: asks the index, to choose what drives."""

    def __init__(self, h: Hash, shown: Sql, run: Run) -> None:
        self.h, self.shown, self.run = h, shown, run

    def compile(self, asked: ResourceQuery) -> list[Query]:
        """Queries whose rows, one after the other, are the answer."""
        kind, conditions = asked.kind, [self.narrowed(c) for c in asked.conditions]
        driver, number = self.driver(kind, conditions)
        by_date = asked.order and asked.order[0].type == "date" and (driver is None or number >= LOOK)
        if by_date:
            return self.by_date(asked, conditions)
        if driver is not None and number >= LOOK and not driver[1].ordered:
            driver = None
        if driver is not None and driver[1].whole:
            conditions.remove(driver[0])
        where, values = self.wheres(kind, conditions)
        order, order_values = self.order(kind, asked.order)
        if driver is None:
            return [Query(f"FROM res r WHERE {where}", values, order or "r.row", order_values)]
        scan = driver[1]
        sql = f"FROM {scan.table} d CROSS JOIN res r WHERE {scan.where} AND r.row = d.row AND {where}"
        ordered = order or ("d.row" if scan.ordered else "r.row")
        return [Query(sql, [*scan.values, *values], ordered, order_values)]

    def by_date(self, asked: ResourceQuery, conditions: list[OneOf]) -> list[Query]:
        """Many rows in the order of a date: along the dates, then those that have none."""
        where, values = self.wheres(asked.kind, conditions)
        first = asked.order[0]
        p, way = self.h(f"{asked.kind}.{first.name}"), "DESC" if first.down else "ASC"
        dated = f"FROM span d CROSS JOIN res r WHERE d.p = ? AND r.row = d.row AND {where}"
        undated = "NOT EXISTS (SELECT 1 FROM span x WHERE x.row = r.row AND x.p = ?)"
        other = f"FROM res r WHERE {where} AND {undated}"
        return [Query(dated, [p, *values], f"d.low {way}"), Query(other, [*values, p], "r.row")]

    def wheres(self, kind: str, conditions: list[OneOf]) -> Sql:
        """Every condition, and what keeps the answer to what is shown."""
        where, values = "r.type = ? AND r.live" + self.shown[0], [self.h(kind), *self.shown[1]]
        for condition in conditions:
            sql, more = self.one_of(kind, condition, "r")
            where, values = f"{where} AND {sql}", values + more
        return where, values

    def narrowed(self, condition: OneOf) -> OneOf:
        """A chain whose end is narrow becomes the names that it reaches."""
        if len(condition.tests) != 1 or condition.negated:
            return condition
        test = condition.tests[0]
        if not isinstance(test, Refers | Referred):
            return condition
        inner = ResourceQuery(test.kind, test.inner)
        queries = self.compile(inner)
        rows: dict[int, str] = {}
        for query in queries:
            sql, values = query.rows(-1, 2**62)
            for row, name, *_ in self.run(f"{sql} LIMIT {LOOK}", values):
                rows[row] = name
        if len(rows) >= LOOK:
            return condition
        if isinstance(test, Refers):
            return OneOf((Link(test.name, tuple(rows.values())),))
        p = self.h(f"{test.kind}.{test.name}")
        keys = [r[0] for part in _parts(list(rows)) for r in self.run(
            f"SELECT DISTINCT h FROM link WHERE p = ? AND row IN ({_marks(part)})", [p, *part])]  # fmt: skip  # noqa: S608
        return OneOf((Named((), tuple(dict.fromkeys(keys))),))

    def driver(self, kind: str, conditions: list[OneOf]) -> tuple[tuple[OneOf, Scan] | None, int]:
        """(the condition that drives and how; how many rows it has, counted up to LOOK)."""
        found = [(c, s) for c in conditions if not c.negated and (s := self.scan(kind, c)) is not None]
        if not found:
            return None, LOOK
        found.sort(
            key=lambda one: CHEAP.get(one[1].table, 9)
        )  # names and codes are counted at a glance, times and amounts are not
        sizes: list[tuple[int, bool]] = []
        for _condition, scan in found:
            counted = f"SELECT count(*) FROM (SELECT 1 FROM {scan.table} d WHERE {scan.where} LIMIT {LOOK})"  # noqa: S608
            sizes.append((int(self.run(counted, scan.values)[0][0]), not scan.ordered))
            if sizes[-1][0] <= ENOUGH:
                break
        best = sizes.index(min(sizes))
        return found[best], sizes[best][0]

    def scan(self, kind: str, condition: OneOf) -> Scan | None:
        """How the rows of a condition are walked, where all its tests are of one kind and parameter."""
        tests, one = condition.tests, condition.tests[0]
        if any(type(t) is not type(one) for t in tests) or len({getattr(t, "name", "") for t in tests}) != 1:
            return None
        if isinstance(one, Named):
            keys = [k for t in tests if isinstance(t, Named) for k in self.keys(t)]
            return Scan("res", f"d.key IN ({_marks(keys)})", keys, True)
        if isinstance(one, Both):
            inner = self.scan(kind, OneOf((one.test,))) if len(tests) == 1 else None
            return None if inner is None else replace(inner, whole=False)
        if isinstance(one, Token | Link):
            if any(isinstance(t, Token) and t.code is None for t in tests):
                return None
            codes = [self.h(str(t.code)) for t in tests if isinstance(t, Token)]
            codes += [self.h(target) for t in tests if isinstance(t, Link) for target in t.targets]
            whole = all(isinstance(t, Link) or (isinstance(t, Token) and t.system is None) for t in tests)
            where = f"d.p = ? AND d.h IN ({_marks(codes)})" if len(codes) != 1 else "d.p = ? AND d.h = ?"
            return Scan("token", where, [self.h(f"{kind}.{one.name}"), *codes], whole, len(codes) == 1)
        if len(tests) > 1:
            return None
        if isinstance(one, Text) and one.how != "over":
            words, values = self.words(kind, one)
            return Scan(_table(one), f"d.p = ? AND d.w IN ({words})", [self.h(f"{kind}.{one.name}"), *values], True)
        if isinstance(one, DateRange | Amount) and one.prefix != "ne":
            where, values = _span("d.low", "d.high", one) if isinstance(one, DateRange) else self.amounts(one, "d")
            table = "span" if isinstance(one, DateRange) else "amount"
            return Scan(table, f"d.p = ? AND {where}", [self.h(f"{kind}.{one.name}"), *values], True)
        return None

    def keys(self, test: Named) -> list[int]:
        """Keys of the names."""
        return [*map(self.h, test.names), *test.keys]

    def one_of(self, kind: str, condition: OneOf, r: str) -> Sql:
        """A condition on the resource that `r` names."""
        parts = [self.test(kind, t, r) for t in condition.tests]
        sql = "(" + " OR ".join(p[0] for p in parts) + ")"
        return ("NOT " if condition.negated else "") + sql, [v for p in parts for v in p[1]]

    def test(self, kind: str, test: Criterion, r: str) -> Sql:
        """One test of the resource that `r` names."""
        if isinstance(test, Both):
            first, beside = self.test(kind, test.test, r), self.one_of(kind, test.beside, r)
            return f"({first[0]} AND {beside[0]})", first[1] + beside[1]
        if isinstance(test, Named):
            keys = self.keys(test)
            return f"{r}.key IN ({_marks(keys)})", list(keys)
        if isinstance(test, Updated):
            return _span(f"{r}.updated", f"({r}.updated + 1000)", test)
        if isinstance(test, Refers | Referred):
            return self.through(kind, test, r)
        p = self.h(f"{kind}.{test.name}")
        if isinstance(test, Present):
            tables = TABLES_OF.get(test.type, ())
            parts = [f"{r}.row IN (SELECT row FROM {t} WHERE p = ?)" for t in tables]  # noqa: S608
            return "(" + " OR ".join(parts) + ")", [p] * len(parts)
        if isinstance(test, Token):
            return self.token(p, test, r)
        table, where, values = self.value(kind, test)
        return f"EXISTS (SELECT 1 FROM {table} x WHERE x.row = {r}.row AND x.p = ? AND {where})", [p, *values]  # noqa: S608

    def value(self, kind: str, test: Link | Text | DateRange | Amount) -> tuple[str, str, list[Any]]:
        """(table, WHERE, values) of a test of one value."""
        if isinstance(test, Link):
            codes = [self.h(t) for t in test.targets]
            return "link" if len(codes) > FEW else "token", f"x.h IN ({_marks(codes)})", codes
        if isinstance(test, Text):
            words, values = self.words(kind, test)
            return _table(test), f"x.w IN ({words})", values
        if isinstance(test, DateRange):
            return "span", *_span("x.low", "x.high", test)
        return "amount", *self.amounts(test, "x")

    def token(self, p: int, test: Token, r: str) -> Sql:
        """A code, of one system or any; or any code of a system."""
        s = self.h(test.system) if test.system else 0
        if test.code is None:
            return f"{r}.row IN (SELECT x.row FROM token x WHERE x.p = ? AND x.s = ?)", [p, s]  # noqa: S608
        exists = f"EXISTS (SELECT 1 FROM token x WHERE x.p = ? AND x.h = ? AND x.row = {r}.row"  # noqa: S608
        values = [p, self.h(test.code)]
        return (exists + ")", values) if test.system is None else (exists + " AND x.s = ?)", [*values, s])

    def words(self, kind: str, test: Text) -> Sql:
        """The words that a text matches."""
        p, text = self.h(f"{kind}.{test.name}"), test.text
        return {
            "exact": ("SELECT w FROM word WHERE p = ? AND exact = ?", [p, text]),
            "starts": ("SELECT w FROM word WHERE p = ? AND plain >= ? AND plain < ?", [p, text, text + "\U0010ffff"]),
            "contains": ("SELECT w FROM word WHERE p = ? AND instr(plain, ?) > 0", [p, text]),
            "under": (
                "SELECT w FROM word WHERE p = ? AND (exact = ? OR (exact >= ? AND exact < ?))",
                [p, text, text.rstrip("/") + "/", text.rstrip("/") + "0"],
            ),
            "over": (
                "SELECT w FROM word WHERE p = ? AND (exact = ? OR substr(?, 1, length(exact) + 1) = exact || '/')",
                [p, text, text],
            ),
        }[test.how]

    def amounts(self, test: Amount, x: str) -> Sql:
        """A number, and its unit where one is asked."""
        where, values = _number(test, x)
        if test.code is None:
            return where, values
        code = self.h(test.code)
        if test.system:
            return f"{where} AND {x}.s = ? AND {x}.c = ?", [*values, self.h(test.system), code]
        return f"{where} AND ({x}.c = ? OR {x}.u = ?)", [*values, code, code]

    def through(self, kind: str, test: Refers | Referred, r: str) -> Sql:
        """Chains: what is reached on the way is kept to what is shown, as the result is."""
        other = f"{r}1"
        where = f"{other}.type = ? AND {other}.live{self.shown[0].replace('r.', other + '.')}"
        values: list[Any] = [self.h(test.kind), *self.shown[1]]
        for condition in test.inner:
            sql, more = self.one_of(test.kind, condition, other)
            where, values = f"{where} AND {sql}", values + more
        if isinstance(test, Refers):
            p = self.h(f"{kind}.{test.name}")
            joined = f"link t CROSS JOIN res {other} ON {other}.key = t.h WHERE t.row = {r}.row AND t.p = ?"
        else:
            p = self.h(f"{test.kind}.{test.name}")
            joined = f"token t CROSS JOIN res {other} ON {other}.row = t.row WHERE t.p = ? AND t.h = {r}.key"
        return f"EXISTS (SELECT 1 FROM {joined} AND {where})", [p, *values]  # noqa: S608

    def order(self, kind: str, order: tuple[Order, ...]) -> Sql:
        """ORDER BY; what has no value comes last. Empty for the order of writing."""
        parts: list[str] = []
        values: list[Any] = []
        for one in order:
            way, pick = ("DESC", "max") if one.down else ("ASC", "min")
            if one.type in ("updated", "name"):
                parts.append(f"r.{'row' if one.type == 'updated' else 'name'} {way}")  # rows are written in the order of time
                continue
            inner = {
                "date": f"SELECT {pick}(x.low) FROM span x WHERE x.row = r.row AND x.p = ?",  # noqa: S608
                "number": f"SELECT {pick}(x.low) FROM amount x WHERE x.row = r.row AND x.p = ?",  # noqa: S608
                "string": f"SELECT {pick}(w.plain) FROM text x JOIN word w ON w.w = x.w WHERE x.row = r.row AND x.p = ?",  # noqa: S608
            }[one.type]
            parts.append(f"({inner}) {way} NULLS LAST")
            values.append(self.h(f"{kind}.{one.name}"))
        return ", ".join([*parts, "r.row"]) if parts else "", values


def _parts(things: list[int]) -> list[list[int]]:
    return [things[i : i + 500] for i in range(0, len(things), 500)]


def _marks(things: Any) -> str:
    return ",".join("?" * len(things))


def _table(test: Text) -> str:
    return "label" if test.name.endswith(":text") else "text"


def _span(low: str, high: str, test: DateRange | Updated) -> Sql:
    """R4's prefixes over ranges (Search, 3.1.1.4.5): what is searched is first to last, what is there low to high, ends open."""
    first, last = test.low, test.high
    if test.prefix == "ap":
        width = max(int((last - first) * AP), 86_400_000_000)
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
    }[test.prefix]


def _number(test: Amount, x: str) -> Sql:
    value, low, high = test.value, test.low, test.high
    if test.prefix == "ap":
        width = abs(value) * AP
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
    }[test.prefix]
