"""Binding of an evaluator to a fitted model: options of the request, findings of the model, and shadow fits."""

import contextlib
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

from galenic.evidence import EvaluationRequest
from galenic.generators import Refittable, SynthesisRequest
from galenic.privacy import temporary_ledger
from galenic.schema import Progress, TrainingData

ACTOR = "shadow"


def evaluation_options(subject: str, request: SynthesisRequest, data: TrainingData) -> EvaluationRequest:
    """Options of the evaluation of a run."""
    return EvaluationRequest(
        subject=subject,
        target=request.target,
        times=request.times,
        groups=request.groups,
        constraints=data.constraints,
        private=request.private,
        shadows=request.shadows,
        balance=request.balance,
    )


@contextlib.contextmanager
def with_refits(
    options: EvaluationRequest, model: object, request: SynthesisRequest, progress: Progress
) -> Iterator[EvaluationRequest]:
    """Options with functions that fit the model again.

    Shadow fits are charged to a temporary ledger. Like all attacks of the evaluation, they read real rows, and their findings
    are only for the signers.
    """
    if not isinstance(model, Refittable):
        yield options
        return
    refittable, price = model, {"epsilon": request.epsilon, "delta": request.delta}
    with temporary_ledger() as ledger:

        def refit(records: Any) -> Any:
            number = len(ledger.populations()) + 1
            progress(f"shadow {number} of {request.shadows}", min(number / max(request.shadows, 1), 1.0))
            name = f"shadow-{number}"
            ledger.declare(name, **price, actor=ACTOR)
            budget = ledger.reserve(name, **price, purpose=ACTOR, actor=ACTOR) if request.private else None
            return refittable.refit(records, budget)

        yield replace(options, refit=refit, resample=refittable.resample)
