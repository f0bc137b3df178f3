"""Constraints on related tables: rows are checked in their final form, and those that violate a constraint are drawn again."""

import math
from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from galenic.errors import DescriptionError, RecordError
from galenic.generators.tables.constrained_sampling import (
    MOST_AT_ONCE,
    ROWS_TO_TRY,
    SMALLEST_SHARE,
    SampledRows,
    add_totals,
    contradiction_message,
    ordered_sums,
)
from galenic.schema import (
    Column,
    Constraint,
    Kind,
    Relation,
    Table,
    all_hold,
    ancestors,
    check_kinds,
    check_names,
    holds,
)

ABOVE = "="  # begins the names of columns that hold values of ancestors, in their final form
TRIES = 50  # draws of a row before its line ends there
MANY_LINES = 20  # lines of which none finds a row in so many draws: no row satisfies the rules
KINDS: dict[pa.DataType, Kind] = {pa.string(): "category", pa.int64(): "integer", pa.float64(): "numeric", pa.date32(): "date"}
Days = NDArray[np.int64]


def check_relation_constraints(relations: tuple[Relation, ...]) -> None:
    """DescriptionError if a rule names a column that neither its table nor an ancestor has, or if rules contradict each other. Columns of an
    ancestor are named as TABLE.COLUMN."""
    for r in relations:
        kinds = {c.name: c.kind for c in r.columns if c.role == "value" and c.kind not in ("identifier", "text")}
        kinds |= {f"{up.name}.{c.name}": c.kind for up in ancestors(r, relations) for c in up.values}
        try:
            check_names(r.constraints, tuple(kinds))
            check_kinds(r.constraints, kinds)
            sums = ordered_sums(r.constraints)
        except DescriptionError as error:
            raise DescriptionError(f"table {r.name!r}: {error}") from None
        strangers = [
            c.name
            for c in sums
            if set(c.columns) & {f"{up.name}.{n.name}" for up in ancestors(r, relations) for n in up.values}
        ]
        keys = {r.order, r.key, r.foreign_key, *r.links}
        if strangers or any(c.columns[0] in keys for c in sums):
            raise DescriptionError(
                f"table {r.name!r}: a sum adds columns of its own table, none of them a key or a date. Correct {[c.name for c in sums]}."
            )


def with_dates_and_totals(r: Relation, frame: pa.Table, day: Days) -> pa.Table:
    """Rows of a table with their dates and totals as columns. day: of each row, its own date (days from 1970)."""
    for c in r.values:
        if c.name == r.order and r.parent:
            frame = frame.append_column(c.name, dates(day, np.zeros(day.size, dtype=np.bool_)))
        elif f"@after.{c.name}" in frame.column_names:
            after = frame[f"@after.{c.name}"]
            days = np.asarray(after.cast(pa.float64()).to_numpy(), dtype=np.float64)
            gone = np.isnan(days)
            frame = frame.append_column(c.name, dates(day + np.where(gone, 0, days).astype(np.int64), gone))
    sums = ordered_sums(r.constraints)
    if not sums:
        return frame
    described = tuple(c.but(kind="numeric") if c.kind == "unknown" else c for c in r.columns)
    parts = [n for n in frame.column_names if any(n in c.columns for c in sums)]
    whole = add_totals(_table(frame.select(parts)), sums, described).frame
    for name in (rule.columns[0] for rule in sums):
        frame = frame.append_column(name, whole[name])
    return frame


def dates(days: Days, missing: NDArray[np.bool_]) -> pa.Array:
    """Days from 1970 as dates."""
    return pa.array(days.astype(np.int32), mask=missing).cast(pa.date32())


def _table(frame: pa.Table) -> Table:
    return Table(frame, tuple(Column(f.name, KINDS[f.type]) for f in frame.schema))


@dataclass
class RelatedConstraints:
    """The rules of one table. tried, rejected: rows that were checked, and how many each rule rejected; ended: lines of rows that
    end early because no next row satisfied the rules."""

    relation: Relation
    rules: tuple[Constraint, ...] = field(init=False)
    tried: int = 0
    rejected: dict[str, int] = field(init=False)
    ended: int = 0

    def __post_init__(self) -> None:
        self.rules = tuple(c for c in self.relation.constraints if c.kind != "sum")
        self.reset()

    def reset(self) -> None:
        """Counts from here on."""
        self.tried, self.ended, self.rejected = 0, 0, {c.name: 0 for c in self.rules}

    def good(self, frame: pa.Table, day: Days, above: pa.Table | None = None) -> NDArray[np.bool_]:
        """Mask of the rows that satisfy every rule. above: values of their ancestors, columns TABLE.COLUMN."""
        seen = with_dates_and_totals(self.relation, frame, day)
        named = {n for c in self.rules for n in c.named}
        seen = seen.select([n for n in seen.column_names if n in named])
        if above is not None:
            for name in named & set(above.column_names):
                seen = seen.append_column(name, above[name])
        table = _table(seen)
        self.tried += frame.num_rows
        for rule in self.rules:
            self.rejected[rule.name] += int((~holds(table, rule)).sum())
        return all_hold(table, self.rules)

    def whole(self, draw: Callable[[int], tuple[pa.Table, Days]], rows: int) -> tuple[pa.Table, Days]:
        """(that many rows which satisfy every rule, their days): of rows that owe nothing to one another, those that do not are left.

        RecordError if next to no row satisfies the rules.
        """
        if not self.rules:
            return draw(rows)
        parts: list[tuple[pa.Table, Days]] = []
        have = tried = 0
        while have < rows or not parts:
            share = max(have / tried, SMALLEST_SHARE) if tried else 1.0
            frame, day = draw(min(math.ceil(max(rows - have, 1) / share * 1.1), MOST_AT_ONCE))
            fine = np.flatnonzero(self.good(frame, day))[: rows - have]
            parts.append((frame.take(pa.array(fine)), day[fine]))
            have, tried = have + fine.size, tried + frame.num_rows
            if tried >= ROWS_TO_TRY and have < min(SMALLEST_SHARE * tried, rows):
                raise RecordError(f"table {self.relation.name!r}: {contradiction_message([c.name for c in self.rules])}")
        return pa.concat_tables([f for f, _ in parts]), np.concatenate([d for _, d in parts])

    def lines(
        self, draw: Callable[[NDArray[np.intp]], tuple[pa.Table, Days]], rows: int, above: pa.Table
    ) -> tuple[pa.Table, Days, NDArray[np.bool_]]:
        """(a row for each of `rows` lines, its day, whether it satisfies every rule), drawn again up to TRIES times where it does not.

        draw: rows and days for the lines with these numbers. RecordError if next to no row satisfies the rules.
        """
        frame, day = draw(np.arange(rows))
        if not self.rules:
            return frame, day, np.ones(rows, dtype=np.bool_)
        fine = self.good(frame, day, above)
        tried, kept = rows, int(fine.sum())
        for _ in range(TRIES):
            again = np.flatnonzero(~fine)
            if not again.size:
                break
            if tried >= ROWS_TO_TRY and kept < SMALLEST_SHARE * tried:
                raise RecordError(f"table {self.relation.name!r}: {contradiction_message([c.name for c in self.rules])}")
            fresh, later = draw(again)
            place = np.arange(rows)
            place[again] = rows + np.arange(again.size)
            frame = pa.concat_tables([frame, fresh]).take(pa.array(place))
            day[again] = later
            fine[again] = self.good(fresh, later, above.take(pa.array(again)))
            tried, kept = tried + again.size, int(fine.sum())
        if rows >= MANY_LINES and not fine.any():  # a small table must not become empty without an error
            raise RecordError(f"table {self.relation.name!r}: {contradiction_message([c.name for c in self.rules])}")
        self.ended += int((~fine).sum())
        return frame, day, fine

    def summary(self, table: Table) -> SampledRows:
        """A finished table with its rejected rows."""
        return SampledRows(table, max(self.tried, table.rows), self.rejected)


def add_values_for_descendants(frame: pa.Table, r: Relation, day: Days, above: pa.Table) -> pa.Table:
    """The rows with values of themselves and their ancestors, for the rules of their children. above: columns TABLE.COLUMN."""
    whole = with_dates_and_totals(r, frame, day)
    for c in r.values:
        if c.name in whole.column_names:
            frame = frame.append_column(f"{ABOVE}{r.name}.{c.name}", whole[c.name])
    for name in above.column_names:
        frame = frame.append_column(f"{ABOVE}{name}", above[name])
    return frame


def ancestor_values(frame: pa.Table) -> pa.Table:
    """Values of rows and their ancestors: the columns that `handed` added, without the mark."""
    names = [n for n in frame.column_names if n.startswith(ABOVE)]
    return frame.select(names).rename_columns([n.removeprefix(ABOVE) for n in names])
