"""Privacy budget of a population according to the audit log."""

from dataclasses import dataclass


@dataclass(frozen=True)
class AuditedReservation:
    """One reservation of (epsilon, delta). rho: spent amount, None before the reservation is closed."""

    epsilon: float
    delta: float
    rho: float | None = None


@dataclass(frozen=True)
class AuditedBudget:
    """First declaration of a population, and its reservations since."""

    epsilon: float
    delta: float
    reservations: tuple[AuditedReservation, ...] = ()
