"""Differential privacy in words, for the pages of budgets and synthesis."""

import math

RAISED = str.maketrans("-0123456789", "⁻⁰¹²³⁴⁵⁶⁷⁸⁹")
MOST_FACTOR = 1e6  # above it the guarantee says nothing


def epsilon_factor(epsilon: float) -> str:
    """The factor e^ε as a number to read: 2.7 for ε = 1."""
    factor = math.exp(min(epsilon, 700))
    if factor >= MOST_FACTOR:
        return "more than a million"
    return f"{factor:.1f}" if factor < 20 else f"{factor:,.0f}"


def epsilon_in_words(epsilon: float) -> str:
    """One sentence on what ε limits."""
    return (
        f"With ε = {epsilon:g}, the data of any one patient changes the probability of any result by at most "
        f"{epsilon_factor(epsilon)} times."
    )


def delta_in_words(delta: float) -> str:
    """One sentence on what δ limits."""
    digit, _, exponent = f"{delta:.0e}".partition("e")
    power = f"10{str(int(exponent)).translate(RAISED)}"
    return f"With δ = {power if digit == '1' else f'{digit}·{power}'}, this can fail with a probability of at most 1 in {round(1 / delta):,}."
