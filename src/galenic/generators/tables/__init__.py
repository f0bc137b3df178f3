"""Makers of patient tables."""

from galenic.generators.tables.engine import ENGINE, ENGINE_VERSION, Cost, Fit, MixtureTables, measure_marginals, shipped_audit
from galenic.generators.tables.mixture import Marginal, Mixture, fit_mixture
from galenic.generators.tables.plan import Plan, plan

__all__ = [
    "ENGINE",
    "ENGINE_VERSION",
    "Cost",
    "Fit",
    "Marginal",
    "Mixture",
    "MixtureTables",
    "Plan",
    "fit_mixture",
    "measure_marginals",
    "plan",
    "shipped_audit",
]
