"""Re-identification risk of a table given what a recipient may know (El Emam 2013; EMA Policy 0070).

Three attackers: a prosecutor knows that the person is in the table; a journalist does not, and wants to re-identify anyone; a
marketer wants to re-identify as many as possible. Population figures come from models of population uniqueness given a sample.
"""

from dataclasses import dataclass

import numpy as np

from galenic.privacy.anonymization.population import population_uniques

# highest risk per record that is commonly accepted for data shared under contract (1 in 11)
SHARED_DATA_RISK = 0.09


@dataclass(frozen=True)
class ReidentificationRisk:
    """Risk by attacker.

    equivalence_classes: groups of rows with equal quasi-identifiers; smallest_class: rows of the smallest. prosecutor: (highest,
    mean over rows, share of rows above SHARED_DATA_RISK). journalist: (highest, mean), None without a sampling fraction. marketer:
    expected share of rows that are re-identified. unique: share of rows that are unique in the table. population_unique: (lowest,
    highest) estimate of the share of rows that are unique in the population.
    """

    rows: int
    equivalence_classes: int
    smallest_class: int
    prosecutor: tuple[float, float, float]
    journalist: tuple[float, float] | None
    marketer: float
    unique: float
    population_unique: tuple[float, float] | None

    def as_dict(self) -> dict[str, object]:
        """The risk as JSON."""
        highest, mean, above = self.prosecutor
        return {
            "rows": self.rows,
            "equivalence classes": self.equivalence_classes,
            "smallest class": self.smallest_class,
            "prosecutor": {"highest": highest, "mean": mean, f"share above {SHARED_DATA_RISK}": above},
            "journalist": None if self.journalist is None else dict(zip(("highest", "mean"), self.journalist, strict=True)),
            "marketer": self.marketer,
            "unique in the table": self.unique,
            "unique in the population": self.population_unique,
        }


def measure_risk(sizes: np.ndarray, fraction: float | None = None) -> ReidentificationRisk:
    """Risk of a table whose equivalence classes have these sizes. fraction: share of the population in the table, if known."""
    sizes = np.asarray(sizes, np.int64)
    n = int(sizes.sum())
    if n == 0:
        return ReidentificationRisk(0, 0, 0, (0.0, 0.0, 0.0), None, 0.0, 0.0, None)
    prosecutor = (float(1 / sizes.min()), len(sizes) / n, float(sizes[1 / sizes > SHARED_DATA_RISK].sum() / n))
    journalist, marketer, population_unique = None, len(sizes) / n, None
    if fraction is not None:
        in_population = sizes / fraction  # expected size of each class in the population
        marketer = float((sizes / in_population).sum() / n)
        journalist = (float(1 / in_population.min()), marketer)
        lowest, highest = population_uniques(sizes, fraction)
        population_unique = (lowest / n, highest / n)
    unique = float((sizes == 1).sum() / n)
    return ReidentificationRisk(n, len(sizes), int(sizes.min()), prosecutor, journalist, marketer, unique, population_unique)
