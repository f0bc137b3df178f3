"""Release workflow of every registered kind: fit, sample or predict, measure, decide. The run is refused or waits for
signatures."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from galenic.evidence import EVALUATORS
from galenic.flows.evaluator_binding import evaluation_options, with_refits
from galenic.generators import GENERATORS, SynthesisRequest
from galenic.predictors import PREDICTORS
from galenic.release import Decision, Engine, ResourceUsage, Run, WorkflowResult, reserve_budget, workflow_content
from galenic.schema import Progress, TrainingData, progress_part


@dataclass(frozen=True)
class ReleaseWorkflow:
    """A started run, its kind in the registries, the request, and the random generator of the split and the evaluation."""

    run: Run
    kind: str
    request: SynthesisRequest
    rng: np.random.Generator
    progress: Progress

    def generate(self, data: TrainingData) -> tuple[Path, Decision, WorkflowResult]:
        """(the run's folder, the decision, the new data with its evidence)."""
        return self._run(data, GENERATORS[self.kind](self.request), lambda model: model.sample())

    def predict(self, data: TrainingData) -> tuple[Path, Decision, WorkflowResult]:
        """(the run's folder, the decision, predictions for the held-out patients with their evidence)."""
        return self._run(data, PREDICTORS[self.kind](self.request), lambda model: model.predict(data.held_out))

    def _run(self, data: TrainingData, model: Any, apply: Callable[[Any], Any]) -> tuple[Path, Decision, WorkflowResult]:
        epsilon = self.request.epsilon if self.request.private else None
        with reserve_budget(self.run, self.request.population, epsilon, self.request.delta) as budget:
            model.fit(data, budget, progress_part(self.progress, 0.05, 0.5))
        made, usage = apply(model), ResourceUsage.until_now()
        progress = progress_part(self.progress, 0.5, 0.9)
        options = replace(evaluation_options(self.run.id, self.request, data), model_findings=model.findings(budget))
        with with_refits(options, model, self.request, progress) as bound:
            report = EVALUATORS[self.kind].measure(data.real, data.held_out, made, bound, self.rng, progress)
        result = WorkflowResult(
            made=made,
            training=data,
            model=model,
            engine=Engine(model.name, model.version),
            report=report,
            sizes={**data.sizes, **model.sizes()},
            budget=budget,
            usage=usage,
        )
        return *self.run.decide_and_write(workflow_content(model.artifact, result)), result
