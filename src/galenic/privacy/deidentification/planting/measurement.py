"""Recall on planted identifiers: planted copies are de-identified like the input, and their outputs are searched."""

import json
import shutil
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

from galenic.privacy.deidentification.files import deidentify_file
from galenic.privacy.deidentification.output_text import texts_of
from galenic.privacy.deidentification.planted_recall import PlantedRecall
from galenic.privacy.deidentification.planting.copies import PlantedCopy, PlantedOutcomes, Planter, Planting
from galenic.privacy.deidentification.planting.documents import CcdaPlanter
from galenic.privacy.deidentification.planting.identifiers import IdentifierMaker, Plant
from galenic.privacy.deidentification.planting.images import DicomPlanter
from galenic.privacy.deidentification.planting.notes import NotePlanter
from galenic.privacy.deidentification.planting.resources import FhirPlanter, ResourceSample, plant_document
from galenic.privacy.deidentification.planting.scan import ScannedText
from galenic.privacy.deidentification.planting.tables import TablePlanter
from galenic.privacy.deidentification.planting.timelines import MedsPlanter
from galenic.privacy.deidentification.registry import DEIDENTIFIERS, deidentifier_for
from galenic.privacy.deidentification.run import DeidentificationRun

PLANTERS: dict[str, Planter] = {
    "note": NotePlanter(),
    "table": TablePlanter(),
    "fhir": FhirPlanter(),
    "ccda": CcdaPlanter(),
    "dicom": DicomPlanter(),
    "meds": MedsPlanter(),
}
Deidentify = Callable[[list[tuple[int, Any]]], list[Any]]
COPIES_IF_MISSED = (
    5  # times as many copies as a format has otherwise, where a few identifiers were missed: a small file holds few of each
)
MOST_MISSED = 16  # of 520: with more a stratum is refused, however many are planted
MOST_FILES = 40  # files of one format that are sampled
MOST_COMPARED = 2 << 20  # characters of an output that are compared with the planted values
MOST_REFUSALS = 3  # copies of one file in a row that may be refused before it counts as not measured


def measure_planted(files: dict[str, Path], outputs: Path, run: DeidentificationRun, scratch: Path) -> PlantedRecall:
    """Recall on identifiers planted into copies of the files that were written.

    files: input by output name. outputs: folder of the output. scratch: an empty folder for the copies; each is deleted at once.
    """
    recall, maker = PlantedRecall(), IdentifierMaker()
    by_format: dict[str, list[str]] = {}
    for _, name in run.report.files:
        kind = next(k for k, one in DEIDENTIFIERS.items() if one.recognizes(files[name]))
        by_format.setdefault(kind, []).append(name)
    for kind, names in by_format.items():
        planter = PLANTERS.get(kind)
        if planter is None:
            recall.unmeasured[kind] = "test identifiers cannot be planted into files of this format"
            continue
        chosen = [names[i] for i in maker.rng.permutation(len(names))[:MOST_FILES]]
        counts, missed = Counter[str](), Counter[str]()
        prefix = "{}, ".format if kind == "table" else lambda _: ""
        sampled = [
            _SampledFile(n, files[n], outputs / n, planter, Planting(run, maker, counts, prefix(n), missed)) for n in chosen
        ]
        _FormatMeasurement(kind, run, scratch, sampled).measure(planter.most_copies, recall)
    return recall


@dataclass
class _SampledFile:
    """Input file with planted copies. found: (plant, True if it was removed). left_out: parts that only copies lack. wanted:
    strata that need identifiers."""

    name: str
    file: Path
    output: Path
    planter: Planter
    planting: Planting
    found: list[tuple[Plant, bool]] = field(default_factory=list)
    left_out: set[str] = field(default_factory=set)
    wanted: set[str] = field(default_factory=set)
    copies: int = 0
    refusals: int = 0
    source: Iterator[PlantedCopy] | None = None
    before: tuple[str, ScannedText] | None = None

    def __post_init__(self) -> None:
        self.parts = self.planter.parts(self.output)

    def next_copy(self, folder: Path) -> PlantedCopy | None:
        """A further copy; None if nothing can be planted."""
        if self.source is None:
            self.source = self.planter.copies(self.file, folder, self.planting)
        return next(self.source, None)

    def add(self, copy: PlantedCopy, output: Path) -> None:
        """Search the output of a copy. Values that the copy does not contain, and values that the input or its output contain
        anyway, are not counted."""
        if self.before is None or self.before[0] is not copy.before:
            self.before = (copy.before, ScannedText(copy.before))
        scan = ScannedText("".join(texts_of(output)))
        parts = self.planter.parts(output)
        missing = (self.parts & copy.parts) - parts if self.parts is not None and parts is not None else frozenset()
        self.left_out |= missing
        part_of = self.planter.part_of
        present, planted = (self.before[1], self.written), ScannedText("".join(texts_of(copy.file)))
        own = _ColumnScans(copy, part_of)
        held = [
            p
            for p in copy.plants
            if part_of(p.stratum) not in missing and (planted if not p.is_local else own.of(copy.file, p)).holds(p)
        ]
        fresh = [p for p in held if p.is_local or not any(s.holds(p) for s in present)]
        renamed = self.parts is not None and bool(self.parts - copy.parts)
        strata = copy.wanted | {p.stratum for p in copy.plants}
        self.wanted |= {s for s in strata if self.parts is None or renamed or part_of(s) in self.parts}
        self.found += [(p, not (own.of(output, p) if p.is_local else scan).holds(p)) for p in fresh]

    @cached_property
    def written(self) -> ScannedText:
        """Beginning of the real output. Values in it, such as a shifted date or a surrogate, are not counted."""
        parts, length = list[str](), 0
        for text in texts_of(self.output):
            parts.append(text[: MOST_COMPARED - length])
            length += len(parts[-1])
            if length >= MOST_COMPARED:
                break
        return ScannedText("".join(parts))


class _ColumnScans:
    """Columns of a planted table and of its output, each searched separately."""

    def __init__(self, copy: PlantedCopy, part_of: Callable[[str], str]) -> None:
        self.columns, self.part_of = copy.columns, part_of
        self.texts: dict[Path, dict[str, str]] = {}
        self.scans: dict[tuple[Path, str], ScannedText] = {}

    def of(self, file: Path, plant: Plant) -> ScannedText:
        """Column of a file in which a plant was planted."""
        column = self.part_of(plant.stratum)
        if file not in self.texts:
            self.texts[file] = self.columns(file) if self.columns else {}
        if (file, column) not in self.scans:
            self.scans[file, column] = ScannedText(self.texts[file].get(column, ""))
        return self.scans[file, column]


@dataclass
class _FormatMeasurement:
    kind: str
    run: DeidentificationRun
    scratch: Path
    files: list[_SampledFile]
    outcomes: PlantedOutcomes = field(default_factory=PlantedOutcomes)

    def measure(self, most_copies: int, recall: PlantedRecall) -> None:
        """Plant until every stratum has enough identifiers, or the limit of copies is reached."""
        active = list(self.files)
        for number in range(COPIES_IF_MISSED * most_copies):
            active = [one for one in active if number < most_copies or _is_undecided(one.planting)]
            active = [one for one in active if self._measure_copy(one, recall)]
            active = [one for one in active if not self._is_enough(one)]
            if not active:
                break
        self.outcomes.count_into(recall)
        for one in self.files:
            self._settle(one, recall)
        for stratum in {
            one.planting.prefix + s for one in self.files for s in one.wanted if one.planter.part_of(s) not in one.left_out
        }:
            if not recall.count(stratum):
                recall.unmeasured[stratum] = "no test identifier could be planted that differs from the values of the input"
        if not any(one.copies for one in self.files):
            recall.unmeasured[self.kind] = (
                "no place was found where a test identifier can be planted, or every planted copy was refused"
            )

    def _measure_copy(self, one: _SampledFile, recall: PlantedRecall) -> bool:
        """True if a further copy of the file can follow."""
        folder = self.scratch / "copy"
        folder.mkdir(exist_ok=True)
        one.planting.maker.used.clear()
        copy = one.next_copy(folder)
        if copy is None:
            return False
        out = self.scratch / "output"
        out.mkdir()
        try:
            run = self._run_for(copy, one.planting.maker.used)
            deidentify_file(copy.file, one.name, out, run)
            if (out / one.name).exists() and not run.report.refusals:
                before = len(one.found)
                one.add(copy, out / one.name)
                for plant, removed in one.found[before:]:
                    one.planting.count(plant.stratum, removed=removed)
                    self.outcomes.add(one.planting.prefix + plant.stratum, plant.kind, removed=removed)
                one.copies, one.refusals = one.copies + 1, 0
                recall.copies += 1
            else:
                one.refusals += 1
        finally:
            shutil.rmtree(out)
            shutil.rmtree(folder)
        return one.refusals < MOST_REFUSALS

    def _run_for(self, copy: PlantedCopy, planted_names: set[str]) -> DeidentificationRun:
        """A run with the same settings and what the input's records state; its counts are not reported. No surrogate is a planted
        name: it would be taken for one that was left."""
        run = self.run.for_copy()
        run.layout = copy.layout
        deidentifier = deidentifier_for(copy.file)
        if deidentifier is not None:
            deidentifier.learn(copy.file, run)
        run.reserve_names()
        run.reserved_words |= planted_names
        return run

    def _is_enough(self, one: _SampledFile) -> bool:
        strata = {plant.stratum for plant, _ in one.found}
        return bool(strata) and all(one.planting.is_enough(stratum) for stratum in strata)

    def _settle(self, one: _SampledFile, recall: PlantedRecall) -> None:
        for part in one.left_out - {one.planter.part_of(plant.stratum) for plant, _ in one.found}:
            recall.unmeasured[f"{one.name}, column {part}"] = "was written, but was left out of the planted copies"
        if one.refusals >= MOST_REFUSALS:
            recall.unmeasured[one.name] = "the planted copies were refused, although the file was written"


def _is_undecided(planting: Planting) -> bool:
    """True if some stratum has few missed identifiers, and too few planted ones to decide on it."""
    return any(
        0 < n <= MOST_MISSED and not planting.is_enough(s.removeprefix(planting.prefix)) for s, n in planting.missed.items()
    )


def measure_planted_resources(resources: list[Any], deidentify: Deidentify, run: DeidentificationRun) -> PlantedRecall:
    """Recall on identifiers planted into FHIR resources in memory, for a sample of stored records.

    deidentify: function that de-identifies resources, each given with its position in the list.
    """
    recall, planting, outcomes = PlantedRecall(), Planting(run, IdentifierMaker()), PlantedOutcomes()
    sample = ResourceSample(resources)
    before = ScannedText(sample.before)
    for number in range(COPIES_IF_MISSED * FhirPlanter.most_copies):
        if number >= FhirPlanter.most_copies and not _is_undecided(planting):
            break
        planting.maker.used.clear()
        places = sample.places(planting)
        planted = [(place, *plant_document(resources[place], planting)) for place in places]
        if not any(plants for *_, plants in planted):
            break
        written = deidentify([(place, json.loads(content)) for place, content, _ in planted])
        scan = ScannedText("\n".join(json.dumps(one, ensure_ascii=False) for one in written))
        for plant in (p for *_, plants in planted for p in plants if not before.holds(p)):
            removed = not scan.holds(plant)
            outcomes.add(plant.stratum, plant.kind, removed=removed)
            planting.count(plant.stratum, removed=removed)
        recall.copies += 1
    outcomes.count_into(recall)
    return recall
