"""Training data of one run, and the cost of a fit."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from galenic.schema.constraint import Constraint


@dataclass(frozen=True, kw_only=True)
class TrainingData:
    """Patients of one run, in two halves without a common patient.

    real, held_out: of the type that the generator or predictor and the evaluator of the kind read; the held-out half is never trained
    on. constraints: rules for every record, counted by the evaluation. unit: who is protected, in words. sizes: rows read, for the
    signers' sheet. dropped: what was left out, with the reason.
    """

    real: Any
    held_out: Any
    constraints: tuple[Constraint, ...] = ()
    unit: str = "patient"
    sizes: Mapping[str, float] = field(default_factory=dict)
    dropped: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class FitCost:
    """Expected time, memory and epsilon of a fit, measured on 2 cores: an order of magnitude."""

    seconds: float
    megabytes: float
    epsilon: float | None
