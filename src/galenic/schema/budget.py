"""Privacy budget of a population according to the audit log."""

from dataclasses import dataclass


@dataclass(frozen=True)
class AuditedReservation:
    """One reservation of (epsilon, delta). rho: what it spent, None before it was settled."""

    epsilon: float
    delta: float
    rho: float | None = None


@dataclass(frozen=True)
class AuditedBudget:
    """The first declaration of a population, and what was reserved of it since."""

    epsilon: float
    delta: float
    reservations: tuple[AuditedReservation, ...] = ()
