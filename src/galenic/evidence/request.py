"""Options of an evaluation that travel together."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from galenic.schema import Constraint, Finding, NotMeasured

Refit = Callable[[Any], Any]  # training records -> new records, by a model fitted to them in the same way
Resample = Callable[[int], Any]  # number of records -> new records, without balancing


@dataclass(frozen=True)
class EvaluationRequest:
    """Subject and options of one evaluation.

    target: column that utility predicts. times: (column of the time until an event, column that says whether it happened). groups:
    columns that define groups of people (otherwise recognized by their names). constraints: rules for every row.
    held_out: whether the held-out patients are unknown to the model; False: search for copies instead; None: no attacks.
    private: findings computed from real rows are internal, since the privacy guarantee does not cover them; otherwise public.
    shadows: number of shadow models; they need `refit`. balance: column whose values were made equally frequent; its effect needs
    `resample`. model_findings: findings of the generator about itself, by table, added to the report. seed: used where the caller
    passes no random generator.
    """

    subject: str = "synthetic table"
    target: str | None = None
    times: tuple[str, str] | None = None
    groups: tuple[str, ...] = ()
    constraints: tuple[Constraint, ...] = ()
    held_out: bool | None = True
    private: bool = False
    shadows: int = 0
    balance: str | None = None
    refit: Refit | None = None
    resample: Resample | None = None
    model_findings: Mapping[str, tuple[Finding | NotMeasured, ...]] = field(default_factory=dict)
    seed: int = 0
