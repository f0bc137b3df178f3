"""Constraints that must hold in every row: order, range, implication, sum. People declare them; they are never read from
patients."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Literal, get_args

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from galenic.errors import DescriptionError
from galenic.schema.table import Table

ConstraintKind = Literal["order", "range", "implies", "sum"]
KINDS: tuple[str, ...] = get_args(ConstraintKind)
Rows = NDArray[np.bool_]


@dataclass(frozen=True)
class Constraint:
    """One constraint for every row. A row in which a compared value is missing satisfies it.

    order: `columns` never fall (strict: always rise). range: `columns` lie in [low, high]. implies: where every column of `when`
    has one of its values, every column of `then` has one of its own; an empty tuple stands for "missing".
    sum: `columns[0]` is the sum of the others, within `tolerance`.
    """

    kind: ConstraintKind
    name: str = ""
    columns: tuple[str, ...] = ()
    strict: bool = False
    low: float | None = None
    high: float | None = None
    when: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    then: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    tolerance: float = 1e-6

    def __post_init__(self) -> None:
        if self.kind not in KINDS:
            raise DescriptionError(
                f"constraint {self.name!r}: the kind is unknown. Expected one of {', '.join(KINDS)}. Correct it."
            )
        if not self.name:
            object.__setattr__(self, "name", f"{self.kind} of {', '.join(self.named)}")
        least = {"order": 2, "range": 1, "sum": 2, "implies": 0}[self.kind]
        if len(self.columns) < least or (self.kind == "implies" and not (self.when and self.then)):
            what = "when and then" if self.kind == "implies" else f"{least} or more columns"
            raise DescriptionError(
                f"constraint {self.name!r} ({self.kind}) is incomplete. Expected {what}. Add what is missing."
            )
        if self.kind == "range" and self.low is None and self.high is None:
            raise DescriptionError(f"constraint {self.name!r} (range) has no bounds. Expected low, high or both. Add one.")
        if self.low is not None and self.high is not None and not self.low <= self.high:
            raise DescriptionError(f"constraint {self.name!r} contradicts itself: low is above high. Correct one of them.")

    @property
    def named(self) -> tuple[str, ...]:
        """All columns that the constraint names."""
        return tuple(dict.fromkeys((*self.columns, *self.when, *self.then)))


def check_names(constraints: tuple[Constraint, ...], names: tuple[str, ...]) -> None:
    """Raise DescriptionError if a constraint names a missing column, or two constraints have the same name."""
    for c in constraints:
        absent = [n for n in c.named if n not in names]
        if absent:
            raise DescriptionError(
                f"constraint {c.name!r} names columns {absent}, which do not exist; there are {list(names)}. Correct the names."
            )
    called = [c.name for c in constraints]
    twice = sorted({n for n in called if called.count(n) > 1})
    if twice:
        raise DescriptionError(f"constraints {twice} are declared twice. Keep one of each, or give each its own name.")


def check_kinds(constraints: tuple[Constraint, ...], kinds: Mapping[str, str]) -> None:
    """Raise DescriptionError if constraints contradict each other for all possible rows, judged from the declared kinds and the
    constraints, before any budget is spent. kinds: of the columns, "unknown" if not declared."""
    for c in constraints:
        words = [n for n in c.columns if kinds.get(n) in ("category", "ordinal")]
        if words:
            raise DescriptionError(
                f"constraint {c.name!r} orders, bounds or adds {words}, which hold categories. Name columns of "
                "numbers or dates."
            )
    _refuse_circles([c for c in constraints if c.kind == "order"])
    bounds: dict[str, tuple[float, float, str]] = {}
    for c in (c for c in constraints if c.kind == "range"):
        for n in c.columns:
            low, high, other = bounds.get(n, (-np.inf, np.inf, ""))
            low, high = max(low, c.low if c.low is not None else -np.inf), min(high, c.high if c.high is not None else np.inf)
            if low > high:
                raise DescriptionError(f"constraints {other!r} and {c.name!r} leave no value for {n!r}. Correct one of them.")
            bounds[n] = (low, high, c.name)


def _refuse_circles(orders: list[Constraint]) -> None:
    """Raise DescriptionError if the order constraints form a cycle."""
    after: dict[str, set[tuple[str, bool]]] = {}
    for c in orders:
        for before, then in pairwise(c.columns):
            after.setdefault(before, set()).add((then, c.strict))
    for start in after:
        seen: dict[tuple[str, bool], None] = {(start, False): None}
        for name, strict in (todo := list(seen)):
            for then, rises in after.get(name, ()):
                step = (then, strict or rises)
                if step == (start, True):
                    named = [c.name for c in orders if start in c.columns]
                    raise DescriptionError(f"constraints {named} require {start!r} to come before itself. Remove one of them.")
                if step not in seen:
                    seen[step] = None
                    todo.append(step)


def holds(table: Table, constraint: Constraint) -> Rows:
    """Mask of the rows that satisfy a constraint, shape (rows,)."""
    if constraint.kind == "implies":
        applies = concerns(table, constraint)
        follows = np.ones(table.rows, dtype=np.bool_)
        for column, allowed in constraint.then.items():
            follows &= _among(table, column, allowed)
        return ~applies | follows
    numbers = [_numbers(table, name) for name in constraint.columns]
    good = np.ones(table.rows, dtype=np.bool_)
    if constraint.kind == "sum":
        gap = np.abs(numbers[0] - np.sum(numbers[1:], axis=0))
        adds_up: Rows = np.isnan(gap) | (gap <= constraint.tolerance)
        return adds_up
    if constraint.kind == "range":
        low = constraint.low if constraint.low is not None else -np.inf
        high = constraint.high if constraint.high is not None else np.inf
        for values in numbers:
            good &= np.isnan(values) | ((values >= low) & (values <= high))
        return good
    for before, after in pairwise(numbers):
        unknown = np.isnan(before) | np.isnan(after)
        good &= unknown | ((before < after) if constraint.strict else (before <= after))
    return good


def concerns(table: Table, constraint: Constraint) -> Rows:
    """Mask of the rows that an `implies` applies to: those in which all of `when` holds, shape (rows,); every row for other kinds."""
    rows = np.ones(table.rows, dtype=np.bool_)
    for column, allowed in constraint.when.items():
        rows &= _among(table, column, allowed)
    return rows


def decides(table: Table, constraint: Constraint) -> Rows:
    """Mask of the rows to which a constraint applies and in which no compared value is missing."""
    if constraint.kind == "implies":
        return concerns(table, constraint)
    rows = np.ones(table.rows, dtype=np.bool_)
    for name in constraint.columns:
        rows &= ~np.isnan(_numbers(table, name))
    return rows


def all_hold(table: Table, constraints: tuple[Constraint, ...]) -> Rows:
    """Mask of the rows that satisfy every constraint, shape (rows,)."""
    good = np.ones(table.rows, dtype=np.bool_)
    for constraint in constraints:
        good &= holds(table, constraint)
    return good


def _among(table: Table, name: str, values: tuple[str, ...]) -> Rows:
    array = table.frame[name]
    if not values:
        return np.asarray(array.is_null().to_numpy(), dtype=np.bool_)
    if not pa.types.is_string(array.type):
        wanted = pa.array(_as_numbers(name, values))
        array = array.cast(pa.int32()) if pa.types.is_date32(array.type) else array
        found = pc.is_in(array.cast(pa.float64(), safe=False), value_set=wanted)
    else:
        found = pc.is_in(array, value_set=pa.array(list(values), pa.string()))
    return np.asarray(pc.fill_null(found, False).to_numpy(), dtype=np.bool_)


def _as_numbers(name: str, values: tuple[str, ...]) -> list[float]:
    try:
        return [float(v) for v in values]
    except ValueError:
        raise DescriptionError(f"a constraint compares {name!r}, which holds numbers, with text. Give numbers.") from None


def _numbers(table: Table, name: str) -> NDArray[np.float64]:
    array = table.frame[name]
    if pa.types.is_string(array.type):
        raise DescriptionError(
            f"a constraint orders or adds {name!r}, which holds categories. Name columns of numbers or dates."
        )
    if pa.types.is_date32(array.type):
        array = array.cast(pa.int32())
    return np.asarray(array.cast(pa.float64()).to_numpy(), dtype=np.float64)
