"""Which marginals are measured, and for how much, from sizes alone."""

from dataclasses import astuple
from fractions import Fraction

import numpy as np
import pytest

from galenic.errors import BudgetError
from galenic.generators.tables.marginal_plan import MOST_LEVELS, MarginalPlan, exact_plan, make_plan, noise, refuse_wide, shares


def test_as_many_levels_as_the_engine_handles_are_accepted_and_one_more_is_refused() -> None:
    refuse_wide(np.array([MOST_LEVELS - 1, 1]))
    with pytest.raises(BudgetError, match=r"2 columns with 4001 levels in all; this engine handles 4000"):
        refuse_wide(np.array([MOST_LEVELS, 1]))


@pytest.mark.parametrize("target", [None, 0])
def test_columns_that_are_too_wide_are_refused_with_and_without_a_budget(target: int | None) -> None:
    wide = np.array([MOST_LEVELS, 1])
    with pytest.raises(BudgetError, match="levels in all"):
        exact_plan(wide, target)
    with pytest.raises(BudgetError, match="levels in all"):
        make_plan(wide, np.array([False, False]), 10**6, Fraction(1), 1, target)


def total(plan: MarginalPlan) -> float:
    return plan.ones + plan.choose_target + plan.target + plan.choose_pairs + plan.pair + plan.triple


def test_without_a_budget_every_pair_but_those_of_the_target_is_asked() -> None:
    sizes = np.array([3, 4, 5, 6])
    assert exact_plan(sizes).pairs == 6
    assert exact_plan(sizes, 0).pairs == 3
    assert total(exact_plan(sizes)) == 1


def test_shares_favor_large_marginals_by_the_power_two_thirds() -> None:
    found = shares(np.array([1.0, 8.0]))
    assert found.tolist() == pytest.approx([0.2, 0.8])


def test_noise_falls_with_rows_and_the_root_of_rho_and_grows_with_the_cap() -> None:
    cells = np.array([10.0, 10.0])
    one = noise(cells, 1.0, 1, 1_000)
    assert one.tolist() == pytest.approx([0.5 * 10 * np.sqrt(2 / np.pi) / 1_000] * 2)
    assert noise(cells, 4.0, 1, 1_000) == pytest.approx(one / 2)
    assert noise(cells, 1.0, 3, 1_000) == pytest.approx(one * 3)
    assert noise(cells, 1.0, 1, 2_000) == pytest.approx(one / 2)


@pytest.mark.parametrize("target", [None, 2])
@pytest.mark.parametrize("rows", [2_000, 20_000, 2_000_000])
def test_the_parts_of_a_plan_add_up_to_the_whole_budget(rows: int, target: int | None) -> None:
    sizes, ordered = np.array([8, 20, 3, 12, 5, 30]), np.array([True, True, False, True, False, True])
    plan = make_plan(sizes, ordered, rows, Fraction(1, 20), 1, target)
    assert total(plan) == pytest.approx(1.0)
    assert (plan.target > 0) == (target is not None)
    assert 0 < plan.pairs <= (15 if target is None else 10)


@pytest.mark.parametrize(
    ("rows", "target", "cap", "expected"),
    [
        pytest.param(2_000, None, 1, (0.3, 0, 0, 0.05, 0.65, 0, None, 0, 15, 0.0336, 0.397), id="few rows choose pairs"),
        pytest.param(2_000, 2, 1, (0.3, 0.05, 0.26, 0.05, 0.34, 0, 16, 0, 10, 0.0336, 0.4342), id="and pairs of the target"),
        pytest.param(20_000, 2, 1, (0.02, 0, 0.196, 0, 0.784, 0, None, 0, 10, 0.013, 0.042), id="more rows ask every pair"),
        pytest.param(200_000, 2, 3, (0.02, 0, 0.132, 0, 0.748, 0.1, None, 4, 10, 0.0039, 0.0129), id="and coarse triples"),
        pytest.param(10**6, 1, 1, (0.02, 0, 0.132, 0, 0.748, 0.1, None, 16, 10, 0.0003, 0.0004), id="and fine triples"),
    ],
)
def test_more_rows_ask_more(rows: int, target: int | None, cap: int, expected: tuple) -> None:
    sizes, ordered = np.array([8, 20, 3, 12, 5, 30]), np.array([True, True, False, True, False, True])
    found = astuple(make_plan(sizes, ordered, rows, Fraction(1, 20), cap, target))
    assert [part if part is None else round(part, 4) for part in found] == list(expected)


@pytest.mark.parametrize(("rows", "bins", "pairs"), [(4_000, 4, 10), (6_000, 4, 15), (9_000, None, 28)])
def test_columns_that_cannot_be_made_coarser_have_fewer_pairs_measured(rows: int, bins: int | None, pairs: int) -> None:
    plan = make_plan(np.full(8, 20), np.zeros(8, bool), rows, Fraction(1, 20), 1)
    assert (plan.bins, plan.pairs) == (bins, pairs)


def test_one_column_takes_the_whole_budget_and_noise_is_refused_with_the_arithmetic() -> None:
    sizes, ordered = np.array([10]), np.array([True])
    plan = make_plan(sizes, ordered, 10_000, Fraction(1), 1)
    assert astuple(plan) == (1.0, 0.0, 0.0, 0.0, 0.0, 0.0, None, 0, 0, plan.one_noise, 0.0)
    assert plan.one_noise == pytest.approx(0.5 * 10 * np.sqrt(1 / np.pi) / 10_000)
    with pytest.raises(BudgetError, match=r"too little to say anything: 1 columns of 10\.0 levels"):
        make_plan(sizes, ordered, 10, Fraction(1, 100), 1)
    with pytest.raises(BudgetError, match="too little to say anything: 2 columns"):
        make_plan(np.array([10, 10]), np.array([True, True]), 0, Fraction(1, 100), 1)


def test_two_columns_of_which_one_is_the_target_leave_no_other_pair() -> None:
    plan = make_plan(np.array([4, 2]), np.array([True, False]), 10**5, Fraction(1), 1, 1)
    assert (plan.pairs, plan.pair, plan.bins, plan.triple_bins) == (0, 0.0, None, 0)
    assert total(plan) == pytest.approx(1.0)
