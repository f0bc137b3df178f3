"""The noise is exactly what is claimed. Statistical tests state their false-alarm rate."""

from fractions import Fraction

import numpy as np
import pytest
from scipy.stats import chi2

from galenic.privacy import noise

FALSE_ALARM = 1e-6


def chi_square_p(draws: np.ndarray, sigma2: float) -> float:
    """Probability of so bad a fit to the discrete Gaussian, cells of expected count above 10 and two tails."""
    reach = int(6 * np.sqrt(sigma2)) + 2
    support = np.arange(-60 * reach, 60 * reach + 1) if reach < 50 else np.arange(-20 * reach, 20 * reach + 1)
    weight = np.exp(-(support.astype(float) ** 2) / (2 * sigma2))
    expected = weight / weight.sum() * draws.size
    inner = np.flatnonzero(expected > 10)
    counts = np.array([(draws == support[i]).sum() for i in inner])
    low, high = support[inner[0]], support[inner[-1]]
    seen = [(draws < low).sum() + (draws > high).sum(), *counts]
    wanted = [expected[: inner[0]].sum() + expected[inner[-1] + 1 :].sum() + 1e-9, *expected[inner]]
    if wanted[0] < 1:
        seen, wanted = seen[1:], wanted[1:]
    statistic = sum((s - w) ** 2 / w for s, w in zip(seen, wanted, strict=True))
    return float(chi2.sf(statistic, len(wanted) - 1))


@pytest.mark.parametrize("sigma2", [Fraction(1, 4), Fraction(1), Fraction(7, 3), Fraction(100), Fraction(2_500)])
def test_draws_follow_the_discrete_gaussian(sigma2: Fraction) -> None:
    draws = noise.discrete_gaussian(sigma2, 100_000)
    assert chi_square_p(draws, float(sigma2)) > FALSE_ALARM


def test_the_unbounded_path_follows_the_same_law() -> None:
    draws = np.array([noise._wide(Fraction(9)) for _ in range(30_000)])
    assert chi_square_p(draws, 9.0) > FALSE_ALARM


def test_very_large_noise_does_not_overflow() -> None:
    draws = noise.discrete_gaussian(Fraction(10**10), 400)
    # the standard deviation of 400 draws is within 30 % with probability above 1 - 1e-14
    assert 0.7 < draws.std() / 1e5 < 1.3


def test_noise_is_never_the_same_twice() -> None:
    np.random.default_rng(0)
    first, second = noise.discrete_gaussian(Fraction(10_000), 50), noise.discrete_gaussian(Fraction(10_000), 50)
    assert not np.array_equal(first, second)


@pytest.mark.parametrize("sigma2", [Fraction(0), Fraction(-1)])
def test_noise_without_variance_is_refused(sigma2: Fraction) -> None:
    with pytest.raises(ValueError, match="above 0"):
        noise.discrete_gaussian(sigma2, 1)


@pytest.mark.parametrize(
    ("sigma2", "wide"),
    [
        pytest.param(Fraction(32_000_000), False, id="products within 62 bits"),
        pytest.param(Fraction(34_000_000), True, id="products beyond them"),
        pytest.param(Fraction(1, 2**31), True, id="a large denominator"),
        pytest.param(Fraction(1, 2**20), False, id="a denominator that fits"),
    ],
)
def test_parameters_whose_products_leave_64_bits_are_computed_in_unbounded_integers(sigma2: Fraction, wide: bool) -> None:
    p, q = sigma2.numerator, sigma2.denominator
    t = noise._proposal_scale(sigma2)
    assert noise._is_wide(sigma2) is wide
    assert ((64 * t * t * q + p) ** 2 >= 2**62) is wide


def test_uniform_integers_are_uniform() -> None:
    bound = np.full(70_000, 7, dtype=np.int64)
    counts = np.bincount(noise._uniform_below(bound), minlength=7)
    assert chi2.sf(((counts - 10_000) ** 2 / 10_000).sum(), 6) > FALSE_ALARM


@pytest.mark.slow
@pytest.mark.parametrize("sigma2", [Fraction(1), Fraction(16)])
def test_ten_million_draws_follow_the_discrete_gaussian(sigma2: Fraction) -> None:
    draws = np.concatenate([noise.discrete_gaussian(sigma2, 10**6) for _ in range(10)])
    assert chi_square_p(draws, float(sigma2)) > FALSE_ALARM
