"""Conversions between epsilon, delta and rho, and a reservation drawn to its last unit."""

import math
from fractions import Fraction
from pathlib import Path

import pytest
from scipy.stats import norm

from galenic import store
from galenic.errors import BudgetError, OptionError
from galenic.privacy import Budget, Ledger, Mechanism
from galenic.privacy.accountant import check_delta, check_epsilon, delta_of, epsilon_of, gaussian_mu, rho_of
from galenic.privacy.ledger import DELTA_UNIT, RHO_UNIT, _up, split_delta


@pytest.mark.parametrize("epsilon", [1e-6, 1.0, 1e3])
def test_the_smallest_and_largest_epsilon_are_accepted(epsilon: float) -> None:
    assert check_epsilon(epsilon) == epsilon


@pytest.mark.parametrize("epsilon", [0.99e-6, 1.001e3, math.inf, math.nan])
def test_an_epsilon_just_outside_is_refused(epsilon: float) -> None:
    with pytest.raises(OptionError, match="epsilon is"):
        check_epsilon(epsilon)


@pytest.mark.parametrize("delta", [1e-15, 1e-9, 0.01])
def test_the_smallest_and_largest_delta_are_accepted(delta: float) -> None:
    assert check_delta(delta) == delta


@pytest.mark.parametrize("delta", [0.99e-15, 0.0101, math.inf, math.nan])
def test_a_delta_just_outside_is_refused(delta: float) -> None:
    with pytest.raises(OptionError, match=r"from 1e-15 to 0\.01"):
        check_delta(delta)


@pytest.mark.parametrize(("sigma2", "shift", "mu"), [(1.125, 1, 1.0), (4.125, 2, 1.0), (0.375, 1, 2.0)])
def test_discrete_noise_counts_as_gaussian_noise_of_an_eighth_less_variance(sigma2: float, shift: float, mu: float) -> None:
    assert gaussian_mu(sigma2, shift) == pytest.approx(mu)


@pytest.mark.parametrize(("rho", "epsilon"), [(0.01, 0.1), (0.5, 1.0), (0.5, 0.0), (2.0, 5.0), (0.02, 1.5)])
def test_delta_is_that_of_the_gaussian_trade_off(rho: float, epsilon: float) -> None:
    mu = math.sqrt(2 * rho)
    exact = norm.cdf(mu / 2 - epsilon / mu) - math.exp(epsilon) * norm.cdf(-mu / 2 - epsilon / mu)
    assert exact <= delta_of(rho, epsilon) <= exact * (1 + 1e-6) + 1e-18


def test_delta_ends_at_0_and_1_and_never_falls_as_rho_grows() -> None:
    assert delta_of(0, 1.0) == delta_of(-1, 1.0) == 0.0
    assert delta_of(1e6, 1.0) == 1.0
    assert delta_of(5_000.0, 1.0) == delta_of(450.0, 1.0) == 1.0
    found = [delta_of(rho, 1.0) for rho in (1e-6, 1e-4, 1e-3, 0.01, 0.1, 1.0, 10.0, 100.0)]
    assert found == sorted(found)
    assert found[0] >= 0.0


def test_without_the_far_tail_delta_is_only_larger() -> None:
    small = 0.0004  # the far tail leaves the doubles
    assert delta_of(small, 1.1) == pytest.approx(
        float(norm.sf(1.1 / math.sqrt(2 * small) - math.sqrt(2 * small) / 2)), rel=0.05
    )


def test_epsilon_of_nothing_is_nothing_and_a_large_delta_needs_none() -> None:
    assert epsilon_of(0, 1e-9) == epsilon_of(-1.0, 1e-9) == 0.0
    assert epsilon_of(1e-12, 0.01) == 0.0
    exactly = delta_of(0.001, 0.0)
    assert epsilon_of(0.001, exactly) == 0.0
    assert epsilon_of(0.001, exactly * 0.999) > 0.0


@pytest.mark.parametrize(("epsilon", "delta"), [(0.1, 1e-6), (1.0, 1e-9), (3.0, 1e-12), (10.0, 0.01)])
def test_rho_is_the_most_that_stays_within_epsilon_and_delta(epsilon: float, delta: float) -> None:
    rho = rho_of(epsilon, delta)
    assert isinstance(rho, Fraction)
    assert (rho * 10**12).denominator == 1
    assert delta_of(float(rho), epsilon) <= delta * (1 + 1e-9)
    assert delta_of(float(rho) * 1.001, epsilon) > delta
    assert epsilon_of(float(rho), delta) == pytest.approx(epsilon, rel=1e-6)


def test_a_tenth_of_delta_is_kept_for_thresholds() -> None:
    converts, thresholds = split_delta(1e-6)
    assert converts == pytest.approx(0.9e-6)
    assert thresholds == pytest.approx(1e-7 * DELTA_UNIT, abs=1)
    assert thresholds == int(thresholds)


def test_what_is_spent_is_rounded_up_to_whole_units() -> None:
    assert _up(Fraction(1, RHO_UNIT)) == 1
    assert _up(Fraction(1, 3 * RHO_UNIT)) == 1
    assert _up(Fraction(4, 3 * RHO_UNIT)) == 2


@pytest.fixture
def reserved(tmp_path: Path) -> Budget:
    ledger = Ledger(store.Database(f"sqlite:///{tmp_path / 'l.db'}"))
    ledger.declare("p", epsilon=1.0, delta=1e-6, actor="t")
    return ledger.reserve("p", epsilon=1.0, delta=1e-6, purpose="t", actor="t")


def mechanism(budget: Budget) -> Mechanism:
    return Mechanism("a count", float(budget.rho), 1, 1.0, 10.0)


def test_a_reservation_can_be_drawn_to_its_last_unit_and_no_further(reserved: Budget) -> None:
    one = Fraction(1, RHO_UNIT)
    reserved.draw(mechanism(reserved), reserved.rho - one, reserved.threshold_delta)
    assert (reserved.rho_left, reserved.delta_left) == (one, 0)
    with pytest.raises(BudgetError, match="left of this reservation"):
        reserved.draw(mechanism(reserved), one, Fraction(1, DELTA_UNIT))
    reserved.draw(mechanism(reserved), one)
    assert reserved.epsilon_spent == pytest.approx(1.0, rel=1e-6)
    with pytest.raises(BudgetError, match="left of this reservation"):
        reserved.draw(mechanism(reserved), Fraction(1, 10**20))
    assert len(reserved.mechanisms) == 2


@pytest.mark.parametrize(("rho", "delta"), [(Fraction(0), Fraction(0)), (Fraction(1, 10**6), Fraction(-1, 10**18))])
def test_nothing_and_less_than_nothing_cannot_be_drawn(reserved: Budget, rho: Fraction, delta: Fraction) -> None:
    with pytest.raises(BudgetError, match="left of this reservation"):
        reserved.draw(mechanism(reserved), rho, delta)
    assert reserved.epsilon_spent == 0.0


def test_settling_returns_the_delta_that_was_not_drawn(reserved: Budget) -> None:
    reserved.draw(mechanism(reserved), Fraction(1, 1000), Fraction(5, DELTA_UNIT))
    reserved.settle()
    (charge,) = reserved.ledger.statement("p").charges
    assert (charge["rho_spent"], charge["delta_spent"]) == (10**9, 5)
    assert reserved.ledger.statement("p").rho_spent == pytest.approx(0.001)


@pytest.mark.parametrize("name", ["", "x" * 201, "a\nb"])
def test_a_population_needs_a_printable_name_of_at_most_200_characters(reserved: Budget, name: str) -> None:
    with pytest.raises(BudgetError, match="1 to 200 printable characters"):
        reserved.ledger.declare(name, epsilon=1.0, delta=1e-6, actor="t")


def test_names_of_1_and_of_200_characters_are_accepted_and_listed(reserved: Budget) -> None:
    for name in ("q", "x" * 200):
        found = reserved.ledger.declare(name, epsilon=2.0, delta=1e-6, actor="t")
        assert (found.epsilon_limit, found.delta, found.rho_spent, found.refusals) == (2.0, 1e-6, 0.0, 0)
        assert found.rho_limit == pytest.approx(float(rho_of(2.0, 0.9e-6)))
    assert set(reserved.ledger.populations()) == {"p", "q", "x" * 200}


def test_refusals_are_counted_and_the_message_says_what_is_left(reserved: Budget) -> None:
    ledger = reserved.ledger
    assert ledger.count_refusal("p") == 1
    assert ledger.count_refusal("p") == 2
    assert ledger.statement("p").refusals == 2
    with pytest.raises(
        BudgetError, match=r"epsilon=0.5 at delta=1e-06 costs rho=[\d.e-]+, but of population 'p'.* only rho=0 is left"
    ):
        ledger.reserve("p", epsilon=0.5, delta=1e-6, purpose="t", actor="t")
    with pytest.raises(BudgetError, match="'z' is not declared"):
        ledger.statement("z")
    with pytest.raises(BudgetError, match="'z' is not declared"):
        ledger.reserve("z", epsilon=0.5, delta=1e-6, purpose="t", actor="t")
