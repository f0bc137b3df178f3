"""Makers of patient tables."""

from galenic.generators.tables.engine import ENGINE, ENGINE_VERSION, Cost, Fit, MixtureTables, shipped_audit
from galenic.generators.tables.mixture import Marginal, Mixture, fit_mixture
from galenic.generators.tables.plan import Plan, plan
from galenic.generators.tables.questions import Answers, measure_marginals

__all__ = [
    "ENGINE",
    "ENGINE_VERSION",
    "Answers",
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
