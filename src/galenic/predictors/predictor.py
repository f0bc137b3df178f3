"""Protocol of predictors."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Protocol, Self

from galenic.privacy import Budget
from galenic.schema import Finding, FitCost, NotMeasured, Prediction, Progress, TrainingData


class Predictor(Protocol):
    """Learns from patients and predicts for other patients, with an interval or a refusal.

    name, version: of the engine, as the attestation names it. artifact: its kind in release.ARTIFACTS.
    """

    name: str
    version: str
    artifact: str

    def __init__(self, request: Any) -> None:
        """Creates a predictor that is not fitted."""

    def cost(self, columns: int, rows: int) -> FitCost:
        """Time, memory and epsilon of a fit to data of that size; no data is read."""

    def fit(self, data: TrainingData, budget: Budget | None, progress: Progress) -> Self:
        """Learns from the training half. In private mode (with a budget), every choice that reads a row is charged to the
        budget."""

    def predict(self, records: Any) -> Sequence[Prediction]:
        """A prediction for each patient: a value with an interval, or a refusal with its reason."""

    def explain(self, records: Any) -> Sequence[Mapping[str, float]]:
        """Contribution of each input to each prediction, largest first."""

    def findings(self, budget: Budget | None) -> Mapping[str, tuple[Finding | NotMeasured, ...]]:
        """Public findings of the predictor about itself, by table ("data" where there is one)."""

    def sizes(self) -> Mapping[str, float]:
        """Internal figures, for the signers' sheet."""

    def save(self, folder: Path) -> None:
        """Writes the model to a new folder, without pickle."""

    @classmethod
    def load(cls, folder: Path) -> Any:
        """Loads the model that `save` wrote. Raise RecordError if another engine or version wrote it."""
