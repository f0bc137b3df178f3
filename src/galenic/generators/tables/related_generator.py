"""Generator of kind "related-tables": preparation of several tables of the same patients, their fit, and new patients."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from galenic import records
from galenic.generators.request import SynthesisRequest
from galenic.generators.tables.engine_version import ENGINE, ENGINE_VERSION
from galenic.generators.tables.findings import constraint_findings, fit_findings
from galenic.generators.tables.fit_summary import fit_cost
from galenic.generators.tables.related import RelatedTables
from galenic.privacy import Budget, rows_in_words
from galenic.records import Source, Split, SyntheticTables
from galenic.schema import Finding, FitCost, NotMeasured, Progress, Relation, TrainingData

FEW_PATIENTS = 5_000  # up to which half of them are held out: attacks on fewer would see too little
HALF_SHARE, USUAL_SHARE = 0.5, 0.3


@dataclass(frozen=True, kw_only=True)
class RelatedTrainingData(TrainingData):
    """Two halves of the flat tables, by name. relations: parents first. folder: where rows are written while they are joined."""

    real: Mapping[str, Source]
    held_out: Mapping[str, Source]
    relations: tuple[Relation, ...]
    folder: Path


def prepare_related_tables(
    relations: tuple[Relation, ...],
    sources: Mapping[str, Source],
    folder: Path,
    request: SynthesisRequest,
    rng: np.random.Generator,
    dropped: Mapping[str, str] | None = None,
) -> RelatedTrainingData:
    """The flat tables, split by patient. folder: empties itself when the caller removes it; it holds patients' rows until then."""
    flat = records.flatten(relations, sources, folder / "real")
    # a private fit must not choose by the exact number of patients
    few = not request.private and flat[relations[0].name].count() <= FEW_PATIENTS
    draws = None if request.private else rng  # the split is part of a private mechanism: nobody may predict it
    halves = records.split_related(flat, relations, draws, test_share=HALF_SHARE if few else USUAL_SHARE)
    return RelatedTrainingData(
        real={name: half.train for name, half in halves.items()},
        held_out={name: half.test for name, half in halves.items()},
        unit=related_unit(relations),
        sizes=_sizes(relations, sources, flat, halves),
        dropped=dropped or {},
        relations=relations,
        folder=folder,
    )


def related_unit(relations: tuple[Relation, ...]) -> str:
    """Whom a guarantee for related tables protects, in words. relations: parents first."""
    root, *others = relations
    most = "".join(f", at most {rows_in_words(r.rows_of_a_patient)} of {r.name}" for r in others)
    return f"patient: column {root.key} of {root.name}, in all tables together, 1 row of {root.name}{most}"


def _sizes(
    relations: tuple[Relation, ...], sources: Mapping[str, Source], flat: Mapping[str, Source], halves: Mapping[str, Split]
) -> dict[str, float]:
    """Rows of each half, and the share of each table's rows that its cap left out."""
    sides = ("train_rows", "test_rows")
    sizes: dict[str, float] = {f"{name}.{side}": getattr(half, side) for name, half in halves.items() for side in sides}
    return sizes | {f"{r.name}.rows_left_out": 1 - flat[r.name].count() / max(sources[r.name].count(), 1) for r in relations}


class RelatedTablesGenerator:
    """The table engine on several tables of the same patients. One patient's rows in all tables are protected together."""

    name = ENGINE
    version = ENGINE_VERSION
    artifact = "table"
    data: RelatedTrainingData
    model: RelatedTables
    synthetic: SyntheticTables

    def __init__(self, request: SynthesisRequest) -> None:
        self.request = request

    def cost(self, columns: int, rows: int) -> FitCost:
        """Time, memory and epsilon of a fit to flat tables of that size in all; no data is read."""
        return fit_cost(columns, rows, self.request.epsilon if self.request.private else None)

    def fit(self, data: RelatedTrainingData, budget: Budget | None, progress: Progress) -> "RelatedTablesGenerator":
        """Learns table by table from the training half."""
        self.data = data
        self.model = RelatedTables(data.relations, least=self.request.least, seed=self.request.seed)
        self.model.fit(data.real, budget, progress=progress)
        return self

    def sample(self) -> SyntheticTables:
        """Tables of new patients."""
        patients = self.request.rows if self.request.rows is not None else self.model.patients
        tables = self.model.sample(patients)
        columns = {name: model.columns for name, model in self.model.models.items()}
        self.synthetic = SyntheticTables(self.model.relations, tables, columns, self.data.folder / "made")
        return self.synthetic

    def findings(self, budget: Budget | None) -> Mapping[str, tuple[Finding | NotMeasured, ...]]:
        """Price, noise and fit of each table, and the rows that constraints rejected."""
        return {r.name: self._table_findings(r, budget) for r in self.data.relations}

    def _table_findings(self, r: Relation, budget: Budget | None) -> tuple[Finding | NotMeasured, ...]:
        rejected = self.model.rules[r.name].summary(self.synthetic.tables[r.name])
        fit = fit_findings(self.model.models[r.name].fitted, budget, r.rows_of_a_patient)
        return (*fit, *constraint_findings(rejected))

    def sizes(self) -> Mapping[str, float]:
        """Lines of rows that ended early because no next row satisfied the constraints."""
        return {f"{name}.lines_ended_early": rules.ended for name, rules in self.model.rules.items() if rules.rules}

    def save(self, folder: Path) -> None:
        """Writes every table's model."""
        self.model.save(folder)

    @classmethod
    def load(cls, folder: Path) -> RelatedTables:
        """The models that `save` wrote."""
        return RelatedTables.load(folder)
