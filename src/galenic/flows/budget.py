"""Declares populations and shows who spent what on what."""

from galenic.flows.house import House
from galenic.privacy import Statement


def declare(house: House, population: str, *, epsilon: float, delta: float, actor: str = "") -> Statement:
    """Declares a population with the most that may be learned about one of its patients; declaring again changes nothing."""
    statement = house.ledger.declare(population, epsilon=epsilon, delta=delta, actor=actor or house.actor)
    house.audit.append(
        "budget.declared", population, actor=actor or None, epsilon=statement.epsilon_limit, delta=statement.delta
    )
    return statement


def statements(house: House, population: str | None = None) -> tuple[Statement, ...]:
    """The statement of one population, or of all."""
    names = (population,) if population else house.ledger.populations()
    return tuple(house.ledger.statement(name) for name in names)
