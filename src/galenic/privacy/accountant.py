"""Conversion between Gaussian and approximate differential privacy.

Every mechanism of Galenic adds discrete Gaussian noise whose trade-off curve is that of a Gaussian at least as noisy
(`gaussian_mu`), so all of them together are mu-GDP with mu^2 the sum of their squares (Dong, Roth & Su 2022, Corollary 3.3;
amounts may depend on earlier answers: Smith & Thakurta 2022). The ledger counts rho = mu^2 / 2, which adds up.
"""

import math
from fractions import Fraction

from galenic.errors import OptionError

SMALLEST_EPSILON = 1e-6
LARGEST_EPSILON = 1e3


def check_epsilon(epsilon: float) -> float:
    """Epsilon if it allows a guarantee. Raise OptionError otherwise."""
    if not math.isfinite(epsilon) or not SMALLEST_EPSILON <= epsilon <= LARGEST_EPSILON:
        raise OptionError(
            f"epsilon is {epsilon!r}, which gives no privacy guarantee. Expected a number from {SMALLEST_EPSILON:g} to "
            f"{LARGEST_EPSILON:g}; 0.1 to 3 is usual. Choose another epsilon, or use --no-privacy to fit without a "
            "guarantee."
        )
    return float(epsilon)


def check_delta(delta: float) -> float:
    """Delta if it is in [1e-15, 0.01], which the ledger can count. Raise OptionError otherwise."""
    if not math.isfinite(delta) or not 1e-15 <= delta <= 0.01:
        raise OptionError(
            f"delta is {delta!r}. Expected a number from 1e-15 to 0.01, far below 1 / number of patients. Choose a "
            "smaller delta."
        )
    return float(delta)


def gaussian_mu(sigma2: float, shift: float) -> float:
    """mu of the discrete Gaussian N_Z(0, sigma2) when one unit moves a count by `shift`: shift / sqrt(sigma2 - 1/8).

    Its tail P(X >= k) is a Gaussian's beyond k - 1/2 with variance sigma2 - 1/12 up to terms of higher order; the most that any
    point of the trade-off curve requires, over sigma2 >= 1/2 and shifts of 1 to 8, is sigma2 - 0.089 (tests/truth).
    """
    return shift / math.sqrt(sigma2 - 0.125)


def delta_of(rho: float, epsilon: float) -> float:
    """Smallest delta such that sqrt(2 rho)-GDP implies (epsilon, delta)-DP (Dong, Roth & Su 2022, Corollary 2.13), rounded up by
    1e-9 relative: Phi(mu/2 - epsilon/mu) - e^epsilon Phi(-mu/2 - epsilon/mu)."""
    if rho <= 0:
        return 0.0
    mu = math.sqrt(2 * rho)
    near, far = (epsilon / mu - mu / 2) / math.sqrt(2), (epsilon / mu + mu / 2) / math.sqrt(2)
    if far > 26:  # the far tail is below the smallest double; without it the result is only larger
        return min(0.5 * math.erfc(near) * (1 + 1e-9), 1.0)
    return min(max(0.5 * (math.erfc(near) - math.exp(epsilon) * math.erfc(far)), 0.0) * (1 + 1e-9), 1.0)


def epsilon_of(rho: float, delta: float) -> float:
    """Smallest epsilon such that sqrt(2 rho)-GDP implies (epsilon, delta)-DP, rounded up by at most 1e-9 relative."""
    if rho <= 0 or delta_of(rho, 0.0) <= delta:
        return 0.0
    low, high = 0.0, rho + 2 * math.sqrt(rho * math.log(1 / delta)) + 1e-12
    for _ in range(200):
        middle = (low + high) / 2
        low, high = (middle, high) if delta_of(rho, middle) > delta else (low, middle)
    return high


def rho_of(epsilon: float, delta: float) -> Fraction:
    """Largest rho such that sqrt(2 rho)-GDP implies (epsilon, delta)-DP, rounded down to a multiple of 1e-12."""
    low, high = 0.0, epsilon + 1.0
    for _ in range(200):
        middle = (low + high) / 2
        low, high = (middle, high) if delta_of(middle, epsilon) <= delta else (low, middle)
    return Fraction(math.floor(low * 10**12), 10**12)
