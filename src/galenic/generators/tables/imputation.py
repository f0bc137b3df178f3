"""Imputation: missing values drawn from the other values of each row, within constraints."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from galenic.errors import UnknownNameError
from galenic.generators.tables.mixture import Mixture
from galenic.generators.tables.sampling import condition_mixture, fill_gaps
from galenic.schema import Codes, Column, Constraint, Table, all_hold, bin_codes, concerns, encode, numbers

ATTEMPTS = 50  # draws of a row before its gaps are left as they are


@dataclass(frozen=True)
class ImputedTable:
    """The rows. filled: how many values were drawn; left: rows with remaining gaps, since no draw satisfied the constraints."""

    table: Table
    filled: int
    left: int


def impute_gaps(
    table: Table,
    columns: tuple[Column, ...],
    mixture: Mixture,
    typed: Callable[[Codes], Table],
    constraints: tuple[Constraint, ...],
    rng: np.random.Generator,
) -> ImputedTable:
    """Rows with their gaps drawn from P(gap | the other values of the row). Present values are unchanged. UnknownNameError if the table has a
    column that the model has not. typed: makes rows of level numbers into values."""
    names = [c.name for c in columns]
    absent = [name for name in table.names if name not in names]
    if absent:
        raise UnknownNameError(f"columns {absent} are not of this model, which knows {names}. Leave them out.")
    codes = np.full((table.rows, len(names)), -1, dtype=np.int64)
    gaps = np.zeros((table.rows, len(table.names)), dtype=np.bool_)
    for place, name in enumerate(table.names):
        j = names.index(name)
        gaps[:, place] = table.frame[name].is_null().to_numpy()
        codes[:, j] = np.where(gaps[:, place], -1, _levels(table, columns[j]))
    present = condition_mixture(mixture, {j: np.arange(c.levels - 1) for j, c in enumerate(columns) if c.missing})
    rules = tuple(c for c in constraints if set(c.named) <= set(table.names))
    done, order = [table.frame.filter(pa.array(~gaps.any(axis=1)))], [np.flatnonzero(~gaps.any(axis=1))]
    todo = np.flatnonzero(gaps.any(axis=1))
    for _ in range(ATTEMPTS):
        if not todo.size:
            break
        drawn = typed(fill_gaps(present, codes[todo], rng)).frame
        rows = table.frame.take(pa.array(todo))
        frame = _kept_missing(_joined(rows, drawn, table.columns), rows, table.columns, rules)
        good = all_hold(Table(frame, table.columns), rules)
        done.append(frame.filter(pa.array(good)))
        order.append(todo[good])
        todo = todo[~good]
    filled = int(gaps.sum()) - int(gaps[todo].sum())
    done.append(table.frame.take(pa.array(todo)))
    order.append(todo)
    back = np.argsort(np.concatenate(order), kind="stable")
    return ImputedTable(Table(pa.concat_tables(done).take(pa.array(back)), table.columns), filled, int(todo.size))


def known_levels(known: pa.Table, columns: tuple[Column, ...]) -> Codes:
    """Level numbers of rows of which some columns are known (missing counts as known), -1 in the others; shape (rows, columns)."""
    names = [c.name for c in columns]
    codes = np.full((known.num_rows, len(columns)), -1, dtype=np.int64)
    for name in known.column_names:
        column = columns[names.index(name)]
        codes[:, names.index(name)] = encode(Table(known.select([name]), (column,)), column)
    return codes


def _joined(rows: pa.Table, drawn: pa.Table, columns: tuple[Column, ...]) -> pa.Table:
    """Present values, else drawn ones; a date that counts from another one keeps its distance from the present one."""
    values = {c.name: pc.coalesce(rows[c.name], drawn[c.name].cast(rows[c.name].type)) for c in columns}
    for c in columns:
        if c.anchor in values:
            days = pc.subtract(drawn[c.name].cast(pa.int32()), drawn[c.anchor].cast(pa.int32()))
            moved = pc.add(values[c.anchor].cast(pa.int32()), days).cast(pa.date32())
            values[c.name] = pc.coalesce(rows[c.name], moved)
    return pa.table(values)


def _kept_missing(filled: pa.Table, rows: pa.Table, columns: tuple[Column, ...], rules: tuple[Constraint, ...]) -> pa.Table:
    """A value that a rule requires to be missing (no dose without treatment) is no gap: it stays missing."""
    for rule in rules:
        empty = [name for name, values in rule.then.items() if not values]
        if not empty:
            continue
        applies = concerns(Table(filled, columns), rule)
        for name in empty:
            gone = pc.if_else(pa.array(applies), pa.scalar(None, filled[name].type), filled[name])
            filled = filled.set_column(filled.column_names.index(name), name, pc.coalesce(rows[name], gone))
    return filled


def _levels(table: Table, column: Column) -> NDArray[np.int64]:
    """Level numbers; -1 where the model has no level for a value."""
    if column.binned:
        return bin_codes(numbers(table, column), column)
    place = pc.index_in(table.frame[column.name], value_set=pa.array(column.categories, pa.string()))
    unlisted = len(column.categories) if column.other else -1
    return np.asarray(pc.fill_null(place, unlisted).to_numpy(), dtype=np.int64)
