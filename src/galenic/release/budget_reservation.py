"""Reservation of the budget of one run."""

import contextlib
from collections.abc import Iterator

from galenic.installation import Installation
from galenic.privacy import DEFAULT_LIMIT, DEFAULT_LIMIT_DELTA, DEFAULT_POPULATION, Budget
from galenic.release.run import Run


def require_population(installation: Installation, population: str) -> None:
    """BudgetError if the population is not declared. The one that pays where none is named is declared here."""
    if population == DEFAULT_POPULATION:
        actor = installation.actor
        installation.ledger.declare(population, epsilon=DEFAULT_LIMIT, delta=DEFAULT_LIMIT_DELTA, actor=actor)
    installation.ledger.statement(population)


@contextlib.contextmanager
def reserve_budget(run: Run, population: str, epsilon: float | None, delta: float) -> Iterator[Budget | None]:
    """The budget that a run may spend, settled when the block ends; both are audited. epsilon: None without privacy, then there is none."""
    if epsilon is None:
        yield None
        return
    ledger, audit, actor = run.installation.ledger, run.installation.audit, run.installation.actor
    require_population(run.installation, population)
    budget = ledger.reserve(population, epsilon=epsilon, delta=delta, purpose=f"synthesize {run.id}", actor=actor)
    audit.append("budget.reserved", run.id, population=population, epsilon=epsilon, delta=delta)
    try:
        yield budget
    finally:
        budget.settle()
        audit.append("budget.settled", run.id, rho=float(budget.rho - budget.rho_left), mechanisms=len(budget.mechanisms))
