"""Generator of kind "table": preparation of a patient table, the fit over a bought domain, and samples as requested."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from fractions import Fraction
from pathlib import Path

import numpy as np

from galenic import records
from galenic.generators.request import SynthesisRequest
from galenic.generators.tables.constrained_sampling import SampledRows
from galenic.generators.tables.engine import MixtureTables
from galenic.generators.tables.engine_version import ENGINE, ENGINE_VERSION
from galenic.generators.tables.findings import constraint_findings, fit_findings
from galenic.generators.tables.fit_summary import fit_cost
from galenic.generators.tables.request_checks import check_request, refuse_few_rows
from galenic.privacy import (
    Budget,
    Domain,
    PrivacyUnit,
    PrivateRows,
    buy_domain,
    deidentify_columns,
    describe_table,
    domain_share,
)
from galenic.records import Source, Split
from galenic.schema import Column, Finding, FitCost, NotMeasured, Progress, Table, TrainingData


@dataclass(frozen=True, kw_only=True)
class TableTrainingData(TrainingData):
    """Two halves of a table. patient: column that tells patients apart, None where each row is its own unit. cap: most rows of one
    patient. columns: what may be learned."""

    real: Source
    held_out: Source
    patient: str | None
    cap: int
    columns: tuple[Column, ...]


def prepare_table(source: Source, request: SynthesisRequest, rng: np.random.Generator) -> TableTrainingData:
    """A described table without identifiers, split by patient. Nothing is spent; OptionError if the request does not fit."""
    described = describe_table(source, request.column_options, private=request.private)
    kept = deidentify_columns(source, described.columns, undeclared=described.undeclared)
    named = {
        "--target": (request.target,) if request.target else (),
        "--group": request.groups,
        "--survival": request.times or (),
    }
    check_request(kept.columns, named=named, given=request.given, balance=request.balance)
    split = _split(source, described.patient, request, rng)
    return TableTrainingData(
        real=split.train,
        held_out=split.test,
        unit=str(PrivacyUnit(described.patient, split.cap)),
        sizes={"train_rows": split.train_rows, "test_rows": split.test_rows, "rows_left_out_by_cap": split.cap_loss},
        dropped=kept.dropped,
        patient=described.patient,
        cap=split.cap,
        columns=kept.columns,
        constraints=described.constraints,
    )


def _split(source: Source, patient: str | None, request: SynthesisRequest, rng: np.random.Generator) -> Split:
    draws = None if request.private else rng  # the split is part of a private mechanism: nobody may predict it
    if request.holdout is not None:
        return records.split_as_given(source, request.holdout, patient, draws, cap=request.cap)
    return records.split_by_patient(source, patient, draws, cap=request.cap)


class TableGenerator:
    """The table engine on a described patient table."""

    name = ENGINE
    version = ENGINE_VERSION
    artifact = "table"
    data: TableTrainingData
    model: MixtureTables
    domain: Domain
    sampled: SampledRows

    def __init__(self, request: SynthesisRequest) -> None:
        self.request = request

    def cost(self, columns: int, rows: int) -> FitCost:
        """Time, memory and epsilon of a fit to a table of that size; no data is read."""
        return fit_cost(columns, rows, self.request.epsilon if self.request.private else None)

    def fit(self, data: TableTrainingData, budget: Budget | None, progress: Progress) -> "TableGenerator":
        """Buys the domain and learns from the training half."""
        self.data = data
        progress("buying the domain", 0.0)
        real = PrivateRows(data.real, data.patient, data.cap, budget)
        sums = {c.columns[0] for c in data.constraints if c.kind == "sum"}
        learned = tuple(c for c in data.columns if c.name not in sums)
        totals = tuple(c if c.kind != "unknown" else c.but(kind="numeric") for c in data.columns if c.name in sums)
        domain = self._buy_domain(real, learned, budget)
        refuse_few_rows(domain.rows, private=real.private)
        self.domain = replace(domain, columns=(*domain.columns, *totals))
        self.model = self._new_model(self.request.seed)
        self.model.fit(real, self.domain, progress=lambda step, share: progress(step, 0.3 + 0.7 * share))
        return self

    def _buy_domain(self, real: PrivateRows, columns: tuple[Column, ...], budget: Budget | None) -> Domain:
        thresholds = budget.threshold_delta if budget else Fraction(0)
        return buy_domain(real, columns, real.rho * domain_share(columns), thresholds, min_patients=self.request.least)

    def _new_model(self, seed: int | None = None) -> MixtureTables:
        request = self.request
        return MixtureTables(target=request.target, constraints=self.data.constraints, least=request.least, seed=seed)

    def sample(self) -> Table:
        """Synthetic rows: balanced, with given values, or as they come."""
        request = self.request
        rows = self.domain.rows if request.rows is None else request.rows
        if request.balance is not None:
            self.sampled = self.model.sample_balanced(request.balance, rows)
        else:
            self.sampled = self.model.sample_rows(rows, request.given)
        return self.sampled.table

    def findings(self, budget: Budget | None) -> Mapping[str, tuple[Finding | NotMeasured, ...]]:
        """Price, noise and fit, and the rows that constraints rejected."""
        fit = fit_findings(self.model.fitted, budget, self.request.cap)
        return {"data": (*fit, *constraint_findings(self.sampled))}

    def sizes(self) -> Mapping[str, float]:
        """Nothing in addition to the sizes of the split."""
        return {}

    def save(self, folder: Path) -> None:
        """Writes the fitted model."""
        self.model.save(folder)

    @classmethod
    def load(cls, folder: Path) -> MixtureTables:
        """The fitted model that `save` wrote."""
        return MixtureTables.load(folder)

    def refit(self, rows: Table, budget: Budget | None) -> Table:
        """Synthetic rows of a model fitted to other training rows. Everything that was bought is bought again."""
        real = PrivateRows(records.in_memory(rows.frame), None, 1, budget)
        domain = self._buy_domain(real, self.data.columns, budget)
        return self._new_model().fit(real, domain).sample(rows.rows)

    def resample(self, n: int) -> Table:
        """n rows as the model draws them."""
        return self.model.sample(n)
