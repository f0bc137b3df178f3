"""Cost of a fit of the table engine, and its summary afterwards."""

from dataclasses import dataclass

from galenic.schema import FitCost


@dataclass(frozen=True)
class FitSummary:
    """Figures of a fit, all of them post-processing of paid measurements. bins: most levels of an ordered column within pairs, 0 where
    they were used as they are; triples: with the target; components: of each member."""

    rows: int
    pairs: int
    possible_pairs: int
    triples: int
    bins: int
    members: int
    components: int
    chi2: float
    one_noise: float
    pair_noise: float
    private: bool


def fit_cost(columns: int, rows: int, epsilon: float | None = None) -> FitCost:
    """Cost of a fit to a table of that size; no data is read."""
    levels = columns * 12
    fit = 500 * 480 * levels**2 * 4 / 4e10
    count = rows * columns**2 * 2e-9 + rows * columns * 1e-6
    return FitCost(3 + fit + count, 250 + (3 * 4 * levels**2 + 65_536 * columns * 40) / 1e6, epsilon)
