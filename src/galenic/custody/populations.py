"""Populations with a privacy budget: declaration and statements."""

from galenic.installation import Installation
from galenic.privacy import Statement


def declare_population(
    installation: Installation, population: str, *, epsilon: float, delta: float, actor: str = ""
) -> Statement:
    """Declares a population and the most that may be learned about one of its patients; repeating it changes nothing."""
    statement = installation.ledger.declare(population, epsilon=epsilon, delta=delta, actor=actor or installation.actor)
    installation.audit.append(
        "budget.declared", population, actor=actor or None, epsilon=statement.epsilon_limit, delta=statement.delta
    )
    return statement


def budget_statements(installation: Installation, population: str | None = None) -> tuple[Statement, ...]:
    """Expenses of one population, or of all populations."""
    names = (population,) if population else installation.ledger.populations()
    return tuple(installation.ledger.statement(name) for name in names)
