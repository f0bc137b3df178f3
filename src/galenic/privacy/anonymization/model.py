"""Privacy models for groups of rows: k-anonymity, l-diversity and t-closeness."""

from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class PrivacyModel:
    """Requirements for every group of rows with equal quasi-identifiers.

    k: minimum number of rows. l: minimum number of distinct sensitive values (Machanavajjhala et al. 2007). t: maximum distance
    between the distribution of the sensitive values in the group and in the table (Li et al. 2007; total variation distance, as
    for categories).
    """

    k: int
    l: int = 1  # noqa: E741  # the literature's own letter
    t: float = 1.0


def group_distributions(group: np.ndarray, sensitive: np.ndarray, groups: int) -> tuple[np.ndarray, np.ndarray]:
    """(number of distinct sensitive values, distance from the table's distribution) of each group.

    group: (rows,) group of each row. sensitive: (rows,) integers from 0. groups: number of groups.
    """
    counts = np.zeros((groups, int(sensitive.max(initial=0)) + 1))
    np.add.at(counts, (group, sensitive), 1)
    overall = counts.sum(0) / counts.sum()
    distances = np.abs(counts / counts.sum(1)[:, None] - overall).sum(1) / 2
    return (counts > 0).sum(1), distances
