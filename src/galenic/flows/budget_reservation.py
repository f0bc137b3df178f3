"""Reservation of the budget of one run."""

import contextlib
from collections.abc import Iterator

from galenic.generators import DEFAULT_POPULATION, SynthesisRequest
from galenic.installation import Installation
from galenic.privacy import Budget

DEFAULT_LIMIT, DEFAULT_LIMIT_DELTA = 4.0, 1e-8  # of the default population, declared at its first use


@contextlib.contextmanager
def reserve_budget(installation: Installation, run: str, request: SynthesisRequest) -> Iterator[Budget | None]:
    """The budget that a run may spend (None without privacy), settled when the block ends."""
    if not request.private:
        yield None
        return
    ledger, audit, actor = installation.ledger, installation.audit, installation.actor
    if request.population == DEFAULT_POPULATION:
        ledger.declare(DEFAULT_POPULATION, epsilon=DEFAULT_LIMIT, delta=DEFAULT_LIMIT_DELTA, actor=actor)
    budget = ledger.reserve(
        request.population, epsilon=request.epsilon, delta=request.delta, purpose=f"synthesize {run}", actor=actor
    )
    audit.append("budget.reserved", run, population=request.population, epsilon=request.epsilon, delta=request.delta)
    try:
        yield budget
    finally:
        budget.settle()
        audit.append("budget.settled", run, rho=float(budget.rho - budget.rho_left), mechanisms=len(budget.mechanisms))
