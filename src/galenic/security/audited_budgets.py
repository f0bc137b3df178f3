"""Declarations and reservations of privacy budgets in the audit log, so that changes are detected."""

from collections.abc import Callable
from functools import cached_property

from galenic.schema import AuditedBudget, AuditedReservation
from galenic.security.audit import AuditedActions, AuditLog, plain


class AuditedBudgets:
    """Budgets of one installation according to its audit log."""

    def __init__(self, log: Callable[[], AuditLog]) -> None:
        self._log = log  # opened only when a budget is declared or compared

    @cached_property
    def _rows(self) -> AuditedActions:
        return AuditedActions(self._log(), "budget.declared", "budget.reserved", "budget.settled")

    def declare(self, population: str, epsilon: float, delta: float, actor: str) -> None:
        """Records the limit of a new population."""
        self._log().append("budget.declared", population, actor=actor or None, epsilon=epsilon, delta=delta)

    def get(self, population: str) -> AuditedBudget | None:
        """First declaration and reservations of a population in the log; None if it was never declared."""
        declared: tuple[float, float] | None = None
        name, reserved, settled = plain(population), [], {}
        for row in self._rows.all():
            detail = row.detail
            if row.action == "budget.settled":
                settled[row.resource] = float(detail["rho"])
            elif row.action == "budget.reserved" and detail["population"] == population:
                reserved.append((row.resource, float(detail["epsilon"]), float(detail["delta"])))
            elif row.action == "budget.declared" and row.resource == name and declared is None:
                declared = float(detail["epsilon"]), float(detail["delta"])
        if declared is None:
            return None
        return AuditedBudget(*declared, tuple(AuditedReservation(e, d, settled.get(run)) for run, e, d in reserved))
