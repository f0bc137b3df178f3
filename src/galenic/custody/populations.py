"""Populations with a privacy budget: declaration and statements, and comparison of database and audit log."""

from galenic.installation import Installation
from galenic.privacy import Statement
from galenic.security import changed_facts


def declare_population(
    installation: Installation, population: str, *, epsilon: float, delta: float, actor: str = ""
) -> Statement:
    """Declares a population and the most that may be learned about one of its patients; repeating it changes nothing."""
    return installation.ledger.declare(population, epsilon=epsilon, delta=delta, actor=actor or installation.actor)


def budget_statements(installation: Installation, population: str | None = None) -> tuple[Statement, ...]:
    """Expenses of one population, or of all populations."""
    names = (population,) if population else installation.ledger.populations()
    return tuple(installation.ledger.statement(name) for name in names)


def changed_outside(installation: Installation) -> list[str]:
    """Facts and budgets that are not as the audit log says they were last written, each as one sentence."""
    return [*changed_facts(installation.facts), *installation.ledger.faults()]
