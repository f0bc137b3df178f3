"""A new kind needs one module per package and one line per registry: a toy format, generator, predictor, evaluator and artifact,
all defined here, go through the release workflow to a verified release."""

from collections.abc import Iterator, Mapping, Sequence
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from galenic import flows, records, release
from galenic.errors import OptionError, RecordError
from galenic.evidence import EVALUATORS, EvaluationRequest
from galenic.generators import GENERATORS, SynthesisRequest
from galenic.installation import Installation
from galenic.predictors import PREDICTORS
from galenic.privacy import Budget, PrivateRows
from galenic.records import FORMATS
from galenic.release import ARTIFACTS, Decision, Run, RunOutcome, WorkflowResult
from galenic.schema import Finding, FitCost, NotMeasured, Prediction, Progress, Report, TrainingData, no_progress

POLICY = """
name = "walks"
version = 1
purpose = "Tests."
roles = ["privacy-officer", "clinician"]
identity = "unverified"

[[rule]]
finding = "walks.score"
at_least = 0.5
reason = "Walks have to be like those of people."
"""
USUAL, SPREAD = 6_000.0, 1_000.0  # steps a day: public knowledge
Walks = tuple[float, ...]  # steps of a day, one for each patient


# records/walk_format.py
class WalkFormat:
    has_events = False

    def recognize(self, path: Path) -> bool:
        return path.suffix == ".walk"

    def read(self, paths: list[Path]) -> Walks:
        try:
            return tuple(float(line) for path in paths for line in path.read_text().split())
        except ValueError:
            raise RecordError("a line of a .walk file is no number. Expected the steps of one day.") from None

    def to_events(self, paths: list[Path]) -> Iterator[pa.Table]:
        raise OptionError("a walk has no events.")

    def write(self, events: Iterator[pa.Table], target: Path, source: Any) -> Any:
        raise OptionError("events cannot be written as a walk.")


# generators/walk_generator.py and predictors/walk_predictor.py
class WalkModel:
    """Both toys know how many people walk: that number is paid for."""

    version = "1"
    people = 0

    def __init__(self, request: SynthesisRequest) -> None:
        self.request = request

    def cost(self, columns: int, rows: int) -> FitCost:
        return FitCost(1e-6 * rows, 1.0, self.request.epsilon)

    def fit(self, data: TrainingData, budget: Budget | None, progress: Progress) -> Any:
        rows = records.in_memory(pa.table({"patient": [str(k) for k in range(len(data.real))]}))
        real = PrivateRows(rows, "patient", 1, budget)
        self.people, _sigma = real.size(real.rho if real.private else Fraction(0))
        progress("counted", 1.0)
        return self

    def findings(self, budget: Budget | None) -> Mapping[str, tuple[Finding | NotMeasured, ...]]:
        epsilon = budget.epsilon if budget else 0.0
        return {"data": (Finding("privacy.epsilon", epsilon, "one paid count", audience="public"),)}

    def sizes(self) -> Mapping[str, float]:
        return {"people": float(self.people)}

    def save(self, folder: Path) -> None:
        folder.mkdir()
        (folder / "people.txt").write_text(str(self.people))

    @classmethod
    def load(cls, folder: Path) -> Any:
        model = cls(SynthesisRequest())
        model.people = int((folder / "people.txt").read_text())
        return model


class WalkGenerator(WalkModel):
    name, artifact = "walk-generator", "walks"

    def sample(self) -> Walks:
        return tuple(np.random.default_rng(0).normal(USUAL, SPREAD, self.people).tolist())


class WalkPredictor(WalkModel):
    name, artifact = "walk-predictor", "walks"

    def predict(self, walks: Walks) -> Sequence[Prediction]:
        value = Prediction(USUAL, (USUAL - 2 * SPREAD, USUAL + 2 * SPREAD), unit="steps")
        return [value if steps >= 0 else Prediction(refusal="no steps were counted") for steps in walks]

    def explain(self, walks: Walks) -> Sequence[Mapping[str, float]]:
        return [{"usual": USUAL} for _ in walks]


# evidence/walks.py
class WalkEvaluator:
    def measure(
        self, real: Walks, held_out: Walks, made: Walks, request: EvaluationRequest, rng: Any, progress: Progress
    ) -> Report:
        score = 1 - abs(float(np.mean(made)) - float(np.mean(held_out))) / USUAL
        found = Finding("walks.score", score, "likeness of means", "higher", audience="public")
        return Report(request.subject, (found, *request.model_findings["data"]))


class ForecastEvaluator:
    def measure(
        self, real: Walks, held_out: Walks, made: Any, request: EvaluationRequest, rng: Any, progress: Progress
    ) -> Report:
        answered = [(p.interval, steps) for p, steps in zip(made, held_out, strict=True) if not p.refusal]
        covered = float(np.mean([low <= steps <= high for (low, high), steps in answered]))
        found = Finding("walks.score", covered, "share of held-out walks in the interval", "higher", audience="public")
        return Report(request.subject, (found, *request.model_findings["data"]))


# release/walk_artifact.py
class WalkArtifact:
    action = "walk"
    lineage_kind = "walk"

    def write(self, content: WorkflowResult, outcome: RunOutcome, folder: Path) -> None:
        (folder / "walks.txt").write_text("\n".join(str(walk) for walk in content.made))

    def save_model(self, content: WorkflowResult, folder: Path) -> None:
        content.model.save(folder)

    def card(self, content: WorkflowResult, outcome: RunOutcome) -> str:
        return f"<h1>{len(content.made)} walks</h1>"

    def signers_report(self, content: WorkflowResult, outcome: RunOutcome) -> str:
        return f"<h1>{len(content.made)} walks, {len(content.training.held_out)} held out</h1>"

    def sheet(self, content: WorkflowResult) -> dict[str, Any]:
        return {"sizes": dict(content.sizes)}

    def forget(self, run: Run, artifact: dict[str, Any]) -> str:
        return "kept: one paid count"


@pytest.fixture
def walks(monkeypatch: pytest.MonkeyPatch) -> None:
    """One line per registry."""
    monkeypatch.setitem(FORMATS, "walk", WalkFormat())
    monkeypatch.setitem(GENERATORS, "walk", WalkGenerator)
    monkeypatch.setitem(PREDICTORS, "walk-forecast", WalkPredictor)
    monkeypatch.setitem(EVALUATORS, "walk", WalkEvaluator())
    monkeypatch.setitem(EVALUATORS, "walk-forecast", ForecastEvaluator())
    monkeypatch.setitem(ARTIFACTS, "walks", WalkArtifact())


def split(everybody: Walks, rng: np.random.Generator) -> TrainingData:
    shuffled = rng.permutation(np.array(everybody)).tolist()
    third = len(shuffled) // 3
    return TrainingData(real=tuple(shuffled[third:]), held_out=tuple(shuffled[:third]))


def run_workflow(installation: Installation, kind: str, folder: Path) -> tuple[str, Decision, WorkflowResult]:
    policy, file = folder / "walks.toml", folder / "people.walk"
    policy.write_text(POLICY)
    file.write_text("\n".join(str(USUAL + k % 100) for k in range(300)))
    installation.ledger.declare("walkers", epsilon=3.0, delta=1e-9, actor="test")
    request = SynthesisRequest(epsilon=1.0, population="walkers", policy=str(policy))
    rng = flows.new_split_rng(request)
    with flows.start_run(installation, kind, request) as run:
        data = split(FORMATS["walk"].read([file]), rng)
        workflow = flows.ReleaseWorkflow(run, kind, request, rng, no_progress)
        _folder, decision, result = (workflow.generate if kind in GENERATORS else workflow.predict)(data)
    return run.id, decision, result


@pytest.mark.parametrize("kind", ["walk", "walk-forecast"])
def test_kinds_from_outside_go_to_a_verified_release(
    installation: Installation, walks: None, kind: str, tmp_path: Path
) -> None:
    run, decision, result = run_workflow(installation, kind, tmp_path)
    assert decision.accepted
    assert installation.ledger.statement("walkers").epsilon_spent == pytest.approx(1.0, rel=0.01)
    for name, role in (("ada", "privacy-officer"), ("bea", "clinician")):
        installation.keys.create(name, role)
        release.sign_with_key(installation, run, name)
    target, _lines = release.write_release(installation, run, tmp_path / "out")
    assert release.check_release(target, installation=installation)
    assert len((target / "walks.txt").read_text().splitlines()) == len(result.made)
    stored = release.Run.open(installation, run)
    assert stored.sheet["sizes"]["people"] == result.model.people
    learner: Any = GENERATORS.get(kind) or PREDICTORS[kind]
    assert learner.load(stored.model_folder).people == result.model.people
    actions = [e.action for e in installation.audit.entries() if e.resource == run]
    assert actions[:4] == ["walk.requested", "budget.reserved", "budget.settled", "decision"]


def test_the_format_is_recognized_by_its_files(walks: None, tmp_path: Path) -> None:
    file = tmp_path / "a.walk"
    file.write_text("1\n2\n")
    assert next(kind for kind, one in reversed(FORMATS.items()) if one.recognize(file)) == "walk"
    assert FORMATS["walk"].read([file]) == (1.0, 2.0)


def test_a_prediction_without_data_is_a_refusal_with_its_reason(walks: None) -> None:
    model = WalkPredictor(SynthesisRequest())
    assert [p.refusal for p in model.predict((5_000.0, -1.0))] == ["", "no steps were counted"]
