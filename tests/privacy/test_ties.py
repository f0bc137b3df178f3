"""Ties of counts are broken by value: the order of the rows is an exact fact that nobody has paid for."""

from fractions import Fraction

import pyarrow as pa
import pytest
from numpy import array

from galenic import records
from galenic.generators.tables.marginal_measurement import _worth_measuring
from galenic.privacy import Domain, PrivateRows, buy_domain, temporary_ledger
from galenic.schema import Column


def rows(values: list[str]) -> records.Source:
    return records.in_memory(pa.table({"ward": pa.array(values, pa.string())}))


def domain(values: list[str], kind: str = "category", hierarchy: tuple[int, ...] = ()) -> Domain:
    real = PrivateRows(rows(values), None, 1, None)
    return buy_domain(real, (Column("ward", kind, hierarchy=hierarchy),), Fraction(1), Fraction(0))  # type: ignore[arg-type]


@pytest.mark.parametrize("hierarchy", [(), (2,)])
def test_the_order_of_the_rows_does_not_choose_among_equally_frequent_values(hierarchy: tuple[int, ...]) -> None:
    values = [f"w{i:03d}" for i in range(200)] * 6  # more values than are kept, all equally frequent
    kept = domain(values, hierarchy=hierarchy).columns[0].categories
    assert 0 < len(kept) < 200
    assert domain(values[::-1], hierarchy=hierarchy).columns[0].categories == kept
    assert domain(sorted(values, key=lambda v: v[::-1]), hierarchy=hierarchy).columns[0].categories == kept


def test_paid_values_come_back_in_the_order_of_the_values() -> None:
    values = ["b"] * 900 + ["c"] * 300 + ["a"] * 600
    with temporary_ledger() as ledger:
        ledger.declare("tie", epsilon=10.0, delta=1e-6, actor="test")
        budget = ledger.reserve("tie", epsilon=10.0, delta=1e-6, purpose="test", actor="test")
        answers = PrivateRows(rows(values), None, 1, budget).values(
            (Column("ward", "category"),), budget.rho_left, budget.threshold_delta
        )
    assert list(answers["ward"]) == ["a", "b", "c"]


def test_equally_distant_pairs_are_chosen_by_their_columns_places() -> None:
    pairs = [(0, 1), (0, 2), (0, 3), (1, 2), (1, 3), (2, 3)]
    sizes = array([3, 3, 3, 3])
    chosen = {
        tuple(_worth_measuring(dict.fromkeys(order, 10.0), sizes, 1.0, 0.1, 0.5, 3))
        for order in (pairs, pairs[::-1], pairs[2:] + pairs[:2])
    }
    assert chosen == {((0, 1), (0, 2), (0, 3))}
