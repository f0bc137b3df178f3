"""Recall on planted identifiers: counts by column, element or text type, with exact intervals."""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from scipy.special import betaincinv

CONFIDENCE = 0.95


def recall_interval(removed: int, planted: int) -> tuple[float, float]:
    """Exact 95 % interval of a share (Clopper and Pearson 1934).

    >>> tuple(round(bound, 3) for bound in recall_interval(100, 100))
    (0.964, 1.0)
    """
    tail = (1 - CONFIDENCE) / 2
    low = float(betaincinv(removed, planted - removed + 1, tail)) if removed else 0.0
    high = float(betaincinv(removed + 1, planted - removed, 1 - tail)) if removed < planted else 1.0
    return low, high


@dataclass(frozen=True)
class PlantedStratum:
    """Planted identifiers of one column, element or text type. planted, removed: their numbers, by kind."""

    name: str
    planted: Mapping[str, int]
    removed: Mapping[str, int]

    @property
    def count(self) -> int:
        """Number of planted identifiers."""
        return sum(self.planted.values())

    @property
    def removed_count(self) -> int:
        """Number of planted identifiers that the output no longer contains."""
        return sum(self.removed.values())

    @property
    def interval(self) -> tuple[float, float]:
        """Exact 95 % interval of the recall."""
        return recall_interval(self.removed_count, self.count)

    def to_json(self) -> dict[str, Any]:
        """Counts and recall of the stratum."""
        low, high = self.interval
        kinds = {kind: [self.removed.get(kind, 0), n] for kind, n in sorted(self.planted.items())}
        return {
            "where": self.name,
            "planted": self.count,
            "removed": self.removed_count,
            "recall": self.removed_count / self.count,
            "low": low,
            "high": high,
            "kinds": kinds,
        }


@dataclass
class PlantedRecall:
    """Recall on identifiers that were planted into copies of this input.

    copies: planted copies that were de-identified. unmeasured: reasons why recall is unknown, by column, element or file.
    """

    planted: dict[str, Counter[str]] = field(default_factory=dict)
    removed: dict[str, Counter[str]] = field(default_factory=dict)
    unmeasured: dict[str, str] = field(default_factory=dict)
    copies: int = 0

    def add(self, stratum: str, kind: str, *, removed: bool) -> None:
        """Count one planted identifier."""
        self.planted.setdefault(stratum, Counter())[kind] += 1
        self.removed.setdefault(stratum, Counter())[kind] += removed

    def count(self, stratum: str) -> int:
        """Number of identifiers planted in a stratum so far."""
        return self.planted[stratum].total() if stratum in self.planted else 0

    @property
    def strata(self) -> list[PlantedStratum]:
        """All strata, the one with the lowest bound first."""
        strata = [PlantedStratum(name, kinds, self.removed[name]) for name, kinds in self.planted.items()]
        return sorted(strata, key=lambda s: (s.interval[0], s.name))

    @property
    def worst(self) -> PlantedStratum | None:
        """The stratum with the lowest bound; None if nothing was planted."""
        return next(iter(self.strata), None)

    def to_json(self) -> dict[str, Any]:
        """Counts, never a planted value."""
        return {
            "strata": [s.to_json() for s in self.strata],
            "not measured": [{"where": where, "why": why} for where, why in sorted(self.unmeasured.items())],
            "copies": self.copies,
            "confidence": CONFIDENCE,
        }
