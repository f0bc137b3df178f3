"""Sampling of rows that satisfy declared constraints: sums are computed, other rows are accepted or drawn again."""

import math
from collections.abc import Callable
from dataclasses import dataclass
from itertools import combinations

import numpy as np
import pyarrow as pa

from galenic.errors import DescriptionError, RecordError
from galenic.schema import Column, Constraint, Table, all_hold, decides, holds

SMALLEST_SHARE = 1 / 500  # a smaller share of rows that satisfy all constraints means that they contradict each other
ROWS_TO_TRY, DECIDED = 5_000, 1_000  # rows to try before the constraints are refused, and rows that they must decide
MOST_AT_ONCE = 1_000_000


@dataclass(frozen=True)
class SampledRows:
    """Accepted rows, the number of tried rows, and the number that each constraint rejected."""

    table: Table
    tried: int
    rejected: dict[str, int]

    @property
    def rejection_rate(self) -> float:
        """Share of tried rows that were rejected."""
        return 1 - self.table.rows / self.tried if self.tried else 0.0


def ordered_sums(constraints: tuple[Constraint, ...]) -> tuple[Constraint, ...]:
    """The sums, in an order in which each can be worked out. DescriptionError if they go round in a circle, or one column is two
    sums."""
    sums = {c.columns[0]: c for c in constraints if c.kind == "sum"}
    if len(sums) < sum(c.kind == "sum" for c in constraints):
        raise DescriptionError("a column is declared as the sum of others twice. Keep one of the two constraints.")
    ordered: list[Constraint] = []
    while len(ordered) < len(sums):
        done = {c.columns[0] for c in ordered}
        ready = [c for total, c in sums.items() if total not in done and not (set(c.columns[1:]) & (set(sums) - done))]
        if not ready:
            raise DescriptionError(
                f"constraints {[c.name for t, c in sums.items() if t not in done]} go round in a circle. Cut one."
            )
        ordered += ready
    return tuple(ordered)


def add_totals(table: Table, sums: tuple[Constraint, ...], columns: tuple[Column, ...]) -> Table:
    """The table with the columns that are sums of others; missing where a part is missing."""
    described = {c.name: c for c in columns}
    for rule in sums:
        parts = [np.asarray(table.frame[name].cast(pa.float64()).to_numpy(), dtype=np.float64) for name in rule.columns[1:]]
        whole = np.sum(parts, axis=0)
        column = described[rule.columns[0]]
        kind = pa.int64() if column.kind == "integer" else pa.float64()
        values = pa.array(np.where(np.isnan(whole), 0, np.round(whole, 9)), mask=np.isnan(whole)).cast(kind, safe=False)
        table = Table(table.frame.append_column(column.name, values), (*table.columns, column))
    return table


def sample_within(sample: Callable[[int], Table], n: int, constraints: tuple[Constraint, ...]) -> SampledRows:
    """n rows that satisfy every constraint: rows that do not are drawn again, so the rest keeps the model's shares.

    RecordError, naming the constraints, if next to no row satisfies them.
    """
    if not constraints:
        return SampledRows(sample(n), n, {})
    _refuse_contradictions(sample(ROWS_TO_TRY), constraints)
    kept: list[Table] = []
    have = tried = 0
    rejected = dict.fromkeys((c.name for c in constraints), 0)
    while have < n or not kept:
        share = max(have / tried, SMALLEST_SHARE) if tried else 1.0
        batch = sample(min(math.ceil((n - have) / share * 1.1) if tried else max(n, 1), MOST_AT_ONCE))
        good = all_hold(batch, constraints)
        for c in constraints:
            rejected[c.name] += int((~holds(batch, c)).sum())
        tried += batch.rows
        part = Table(batch.frame.filter(pa.array(good)).slice(0, n - have), batch.columns)
        kept.append(part)
        have += part.rows
        if tried >= ROWS_TO_TRY and have / tried < SMALLEST_SHARE and have < n:
            raise RecordError(contradiction_message([c.name for c in constraints]))
    frame = pa.concat_tables([t.frame for t in kept])
    return SampledRows(Table(frame, kept[0].columns), tried, rejected)


def _refuse_contradictions(batch: Table, constraints: tuple[Constraint, ...]) -> None:
    """RecordError naming the fewest constraints that next to no row satisfies together, among the rows of which all of them say
    something: a row with a gap satisfies an order, but a table of gaps is not what anybody declared."""
    says = {c.name: decides(batch, c) for c in constraints}
    good = {c.name: holds(batch, c) for c in constraints}

    def exclude_each_other(names: list[str]) -> bool:
        decided = np.all([says[n] for n in names], axis=0)
        return int(decided.sum()) >= DECIDED and bool(
            np.mean(np.all([good[n] for n in names], axis=0)[decided]) < SMALLEST_SHARE
        )

    for size in (1, 2):
        for chosen in combinations([c.name for c in constraints], size):
            if exclude_each_other(list(chosen)):
                raise RecordError(contradiction_message(list(chosen)))
    left = [c.name for c in constraints]
    if exclude_each_other(left):
        for name in list(left):
            others = [n for n in left if n != name]
            left = others if exclude_each_other(others) else left
        raise RecordError(contradiction_message(left))


def contradiction_message(names: list[str]) -> str:
    """Error message for constraints that almost no row satisfies together."""
    what = f"constraint {names[0]!r} holds" if len(names) == 1 else f"constraints {names} hold together"
    return (
        f"{what} in fewer than 1 of {round(1 / SMALLEST_SHARE)} rows like these: they contradict each other or what the table holds. Correct "
        "the constraint, or the columns that it names."
    )
