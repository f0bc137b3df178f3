"""Planted copies of an input file: common type of the planters of all formats."""

from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

from galenic.privacy.deidentification.planted_recall import PlantedRecall
from galenic.privacy.deidentification.planting.identifiers import IdentifierMaker, Plant
from galenic.privacy.deidentification.planting.sentences import TextPlanter
from galenic.privacy.deidentification.run import DeidentificationRun

# Identifiers to plant in each column, element or type of text: the first number, and if one of these is missed, the second. None of 120
# missed gives a lower bound of 0.970, 16 of 520 one of 0.951: recall 0.98 passes with probability 0.965, recall 0.95 with 0.024 (decision 19).
# A copy may hold more than are wanted; those beyond the first 120 or 520 are not counted, so that these probabilities hold.
WANTED, WANTED_IF_MISSED = 120, 520
TEXT_LIMIT = 20_000  # characters of one text that a copy holds


@dataclass(frozen=True)
class PlantedCopy:
    """One copy on disk. plants: the identifiers in it. before: text without them. parts: parts of the input in the copy.
    wanted: strata that need identifiers, even if none could be planted. layout: layout of the sampled table. columns:
    function that reads the text of each column from a table, by its name in the input."""

    file: Path
    plants: list[Plant]
    before: str
    parts: frozenset[str] = frozenset()
    wanted: frozenset[str] = frozenset()
    layout: object = None
    columns: Callable[[Path], dict[str, str]] | None = None


@dataclass
class PlantedOutcomes:
    """Kind of each planted identifier and whether it was removed, by stratum, in the order of planting."""

    of: dict[str, list[tuple[str, bool]]] = field(default_factory=dict)

    def add(self, stratum: str, kind: str, *, removed: bool) -> None:
        """Add one planted identifier."""
        self.of.setdefault(stratum, []).append((kind, removed))

    def count_into(self, recall: PlantedRecall) -> None:
        """Count the first ones of each stratum: 520 if any was missed, 120 otherwise."""
        for stratum, outcomes in self.of.items():
            wanted = WANTED if all(removed for _, removed in outcomes) else WANTED_IF_MISSED
            for kind, removed in outcomes[:wanted]:
                recall.add(stratum, kind, removed=removed)


@dataclass(frozen=True)
class Planting:
    """Planting into one file. run: the measured de-identification. counts: identifiers planted so far, by stratum; missed:
    those found in the output; prefix: of the strata of this file."""

    run: DeidentificationRun
    maker: IdentifierMaker
    counts: Counter[str] = field(default_factory=Counter)
    prefix: str = ""
    missed: Counter[str] = field(default_factory=Counter)

    def is_enough(self, stratum: str) -> bool:
        """True if a stratum needs no further identifiers."""
        name = self.prefix + stratum
        return self.counts[name] >= (WANTED_IF_MISSED if self.missed[name] else WANTED)

    def count(self, stratum: str, *, removed: bool) -> None:
        """Count one planted identifier."""
        self.counts[self.prefix + stratum] += 1
        self.missed[self.prefix + stratum] += not removed

    @property
    def kept(self) -> frozenset[str]:
        """Kinds of identifier that the policy keeps."""
        return frozenset(kind for kind, treatment in self.run.report.policy.treat.items() if treatment == "keep")

    @property
    def texts(self) -> TextPlanter:
        """Planter of texts."""
        return TextPlanter(self.maker, self.kept, self.run.language)


class Planter(Protocol):
    """Plants identifiers into copies of files of one format."""

    most_copies: int

    def copies(self, file: Path, folder: Path, planting: Planting) -> Iterator[PlantedCopy]:
        """Copies of a file, each with new identifiers, written into the folder; unlimited, or none if nothing can be planted."""

    def parts(self, output: Path) -> frozenset[str] | None:
        """Names of the parts that an output file has, if some can be left out completely; None otherwise."""

    def part_of(self, stratum: str) -> str:
        """Part that contains the identifiers of a stratum; "" if no part is left out."""
