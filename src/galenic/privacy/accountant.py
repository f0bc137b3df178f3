"""Converts between zero-concentrated and approximate differential privacy.

Canonne, Kamath & Steinke 2020, Proposition 12 (the tight form that later became Corollary 13's optimum over alpha).
"""

import math
from fractions import Fraction

from galenic.errors import DescriptionError

SMALLEST_EPSILON = 1e-6
LARGEST_EPSILON = 1e3


def checked_epsilon(epsilon: float) -> float:
    """The same epsilon if it is a number a guarantee can be made of; DescriptionError otherwise."""
    if not math.isfinite(epsilon) or not SMALLEST_EPSILON <= epsilon <= LARGEST_EPSILON:
        raise DescriptionError(
            f"epsilon is {epsilon!r}: no privacy guarantee can be made of it. Expected a number from {SMALLEST_EPSILON:g} "
            f"to {LARGEST_EPSILON:g}; 0.1 to 3 is usual. Choose another epsilon, or --no-privacy for a fit without one."
        )
    return float(epsilon)


def checked_delta(delta: float) -> float:
    """The same delta if it lies in [1e-15, 0.01], what the ledger can count; DescriptionError otherwise."""
    if not math.isfinite(delta) or not 1e-15 <= delta <= 0.01:
        raise DescriptionError(
            f"delta is {delta!r}: expected a number from 1e-15 to 0.01; choose one far below 1 / number of patients."
        )
    return float(delta)


def delta_of(rho: float, epsilon: float) -> float:
    """Smallest delta such that rho-zCDP implies (epsilon, delta)-DP.

    delta = min over alpha > 1 of exp((alpha - 1)(alpha rho - epsilon)) / (alpha - 1) * (1 - 1/alpha)^alpha.
    """
    if rho <= 0:
        return 0.0
    low, high = 1.01, (epsilon + 1) / (2 * rho) + 2
    for _ in range(200):  # bisection on the sign of the derivative of the log
        alpha = (low + high) / 2
        slope = (2 * alpha - 1) * rho - epsilon + math.log1p(-1.0 / alpha)
        low, high = (alpha, high) if slope < 0 else (low, alpha)
    log_delta = (alpha - 1) * (alpha * rho - epsilon) + alpha * math.log1p(-1 / alpha) - math.log(alpha - 1)
    return min(math.exp(log_delta), 1.0) if log_delta < 0 else 1.0


def epsilon_of(rho: float, delta: float) -> float:
    """Smallest epsilon such that rho-zCDP implies (epsilon, delta)-DP, rounded up by at most 1e-9 relative."""
    if rho <= 0:
        return 0.0
    low, high = 0.0, rho + 2 * math.sqrt(rho * math.log(1 / delta)) + 1e-12
    for _ in range(200):
        middle = (low + high) / 2
        low, high = (middle, high) if delta_of(rho, middle) > delta else (low, middle)
    return high


def rho_of(epsilon: float, delta: float) -> Fraction:
    """Largest rho such that rho-zCDP implies (epsilon, delta)-DP, rounded down to a multiple of 1e-12."""
    low, high = 0.0, epsilon + 1.0
    for _ in range(200):
        middle = (low + high) / 2
        low, high = (middle, high) if delta_of(middle, epsilon) <= delta else (low, middle)
    return Fraction(math.floor(low * 10**12), 10**12)
