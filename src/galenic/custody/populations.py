"""Budget populations: declaration and statements, and comparison of the database with the audit log."""

from galenic.installation import Installation
from galenic.privacy import Statement
from galenic.security import changed_facts


def declare_population(
    installation: Installation, population: str, *, epsilon: float, delta: float, actor: str = ""
) -> Statement:
    """Declares a budget population and its limits. Repeating it changes nothing."""
    return installation.ledger.declare(population, epsilon=epsilon, delta=delta, actor=actor or installation.actor)


def budget_statements(installation: Installation, population: str | None = None) -> tuple[Statement, ...]:
    """Statements of one budget population, or of all."""
    names = (population,) if population else installation.ledger.populations()
    return tuple(installation.ledger.statement(name) for name in names)


def changed_outside(installation: Installation) -> list[str]:
    """Facts and budgets that differ from their last state in the audit log, each as one sentence."""
    return [*changed_facts(installation.facts), *installation.ledger.faults()]
