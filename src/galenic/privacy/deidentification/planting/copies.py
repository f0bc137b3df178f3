"""Planted copies of an input file: what every format's planter yields."""

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

from galenic.privacy.deidentification.planting.identifiers import IdentifierMaker, Plant
from galenic.privacy.deidentification.planting.sentences import TextPlanter
from galenic.privacy.deidentification.run import DeidentificationRun

WANTED = 120  # identifiers to plant in each column or element: one missed gives a lower bound of 0.954
WANTED_IN_TEXT = 400  # identifiers to plant in each type of text: 11 missed give a lower bound of 0.951
TEXT_LIMIT = 20_000  # characters of one text that a copy holds


@dataclass(frozen=True)
class PlantedCopy:
    """One copy on disk. plants: the identifiers in it. before: the text without them. parts: those of the input that it has.
    wanted: strata in which identifiers were wanted, also where none could be planted."""

    file: Path
    plants: list[Plant]
    before: str
    parts: frozenset[str] = frozenset()
    wanted: frozenset[str] = frozenset()


@dataclass(frozen=True)
class Planting:
    """Planting into one file. run: the de-identification that is measured. counts: identifiers planted so far, by stratum; prefix:
    of the strata of this file."""

    run: DeidentificationRun
    maker: IdentifierMaker
    counts: Counter[str] = field(default_factory=Counter)
    prefix: str = ""

    def is_enough(self, stratum: str) -> bool:
        """Whether a stratum needs no further identifiers."""
        return self.counts[self.prefix + stratum] >= (WANTED_IN_TEXT if stratum.endswith(("text", "element")) else WANTED)

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
        """Copies of a file, each with fresh identifiers, written into the folder; endless, or none if nothing can be planted."""

    def parts(self, output: Path) -> frozenset[str] | None:
        """Names of the parts that an output file has, where some may be left out whole; None where none is."""

    def part_of(self, stratum: str) -> str:
        """The part in which the identifiers of a stratum are; "" where no part is left out."""
