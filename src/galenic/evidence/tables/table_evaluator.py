"""Evaluator of kind "table": samples of the real rows, all measurements, and attacks that use the generator."""

from dataclasses import replace

import numpy as np

from galenic.evidence.request import EvaluationRequest
from galenic.evidence.tables.evaluation import audience_of, evaluate_table
from galenic.evidence.tables.fairness import measure_balance_effect
from galenic.evidence.tables.shadow_models import attack_sources
from galenic.records import Source
from galenic.schema import Finding, FitCost, NotMeasured, Progress, Report, Table

MAX_EVALUATED_ROWS = 60_000  # rows of each half that are evaluated; training reads all


class TableEvaluator:
    """Evaluates a synthetic table. Findings of the generator are expected under the table's name, "data"."""

    def measure(
        self,
        real: Source,
        held_out: Source,
        made: Table,
        request: EvaluationRequest,
        rng: np.random.Generator,
        progress: Progress,
    ) -> Report:
        """Fidelity, realism, utility, fairness and privacy attacks; shadow models and the effect of balancing where requested."""
        train, test = (half.sample(MAX_EVALUATED_ROWS, rng).table(made.columns) for half in (real, held_out))
        if not (train.rows and test.rows):
            return nobody_held_out(request).plus(*request.model_findings.get("data", ()))
        report = evaluate_table(train, test, made, request, rng=rng, progress=progress)
        audience = audience_of(request)
        if request.shadows and request.refit is not None:
            attack = attack_sources(request.refit, (real, held_out), made, rng, request.shadows)
            report = report.plus(replace(attack, audience=audience))
        if request.balance is not None and request.resample is not None:
            effect = self._balance_effect(real, held_out, made, request, rng)
            report = report.plus(replace(effect, audience=audience))
        return report.plus(*request.model_findings.get("data", ()))

    @staticmethod
    def _balance_effect(
        real: Source, held_out: Source, made: Table, request: EvaluationRequest, rng: np.random.Generator
    ) -> Finding | NotMeasured:
        """Effect of balancing on the fairness of models trained on the rows."""
        assert request.resample is not None
        unbalanced = request.resample(made.rows)
        train, test = (half.sample(MAX_EVALUATED_ROWS, rng).table(made.columns) for half in (real, held_out))
        return measure_balance_effect(train, test, made, unbalanced, rng, request)


def nobody_held_out(request: EvaluationRequest) -> Report:
    """Report of a private run whose independent draws left one half without a patient, as may happen with few patients. No policy line
    about real patients is met by it."""
    why = "one half of the patients is empty, so nothing can be compared; there are too few patients, or --holdout has none of its own"
    return Report(request.subject, (NotMeasured("privacy.controls", why, audience_of(request)),))


def evaluation_cost(columns: int, rows: int) -> FitCost:
    """Time and memory of an evaluation: 3e-5 s per evaluated cell and 4 s, as measured on tables of 14 to 50 columns and 6,000 to
    100,000 rows."""
    cells = min(rows, MAX_EVALUATED_ROWS) * columns
    return FitCost(4 + 3e-5 * cells, 2.5e-4 * cells, None)
