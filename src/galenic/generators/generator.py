"""Protocol of generators."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Protocol, Self, runtime_checkable

from galenic.generators.request import SynthesisRequest
from galenic.privacy import Budget
from galenic.schema import Finding, FitCost, NotMeasured, Progress


class Generator(Protocol):
    """Learns from patients and generates new data of one kind.

    name, version: of the engine, as the attestation names it. artifact: its kind in release.ARTIFACTS.
    """

    name: str
    version: str
    artifact: str

    def __init__(self, request: SynthesisRequest) -> None:
        """A generator that is not fitted."""

    def cost(self, columns: int, rows: int) -> FitCost:
        """Time, memory and epsilon of a fit to data of that size; no data is read."""

    def fit(self, data: Any, budget: Budget | None, progress: Progress) -> Self:
        """Learns from the training half. In private mode (with a budget) every choice that reads a row is paid from the budget."""

    def sample(self) -> Any:
        """New data, as much as the request asks for. Post-processing: nothing is paid."""

    def findings(self, budget: Budget | None) -> Mapping[str, tuple[Finding | NotMeasured, ...]]:
        """Public findings of the generator about itself (price, noise, rejected records), by table ("data" where there is one)."""

    def sizes(self) -> Mapping[str, float]:
        """Internal figures of the sampling, for the signers' sheet."""

    def save(self, folder: Path) -> None:
        """Writes the model to a folder that does not exist yet. No pickle."""

    @classmethod
    def load(cls, folder: Path) -> Any:
        """The model that `save` wrote; RecordError if it is of another engine or version."""


@runtime_checkable
class Refittable(Protocol):
    """A generator whose evaluator may fit it again (shadow models) or sample it without balancing."""

    def refit(self, records: Any, budget: Budget | None, /) -> Any:
        """As many new records by a model that was fitted to other training records in the same way."""

    def resample(self, n: int, /) -> Any:
        """n new records of the fitted model, without balancing or given values."""
