"""Makers of patient tables."""

from galenic.generators.tables.completion import Completed
from galenic.generators.tables.engine import ENGINE, ENGINE_VERSION, Cost, Fit, MixtureTables, shipped_audit
from galenic.generators.tables.findings import constraint_findings, paid_findings
from galenic.generators.tables.mixture import Marginal, Mixture, fit_mixture
from galenic.generators.tables.plan import MarginalPlan, make_plan
from galenic.generators.tables.questions import Answers, measure_marginals
from galenic.generators.tables.related import RelatedTables
from galenic.generators.tables.related_rules import check_rules
from galenic.generators.tables.rules import SampledRows
from galenic.generators.tables.values import check_balance, check_given

__all__ = [
    "ENGINE",
    "ENGINE_VERSION",
    "Answers",
    "Completed",
    "Cost",
    "Fit",
    "Marginal",
    "MarginalPlan",
    "Mixture",
    "MixtureTables",
    "RelatedTables",
    "SampledRows",
    "check_balance",
    "check_given",
    "check_rules",
    "constraint_findings",
    "fit_mixture",
    "make_plan",
    "measure_marginals",
    "paid_findings",
    "shipped_audit",
]
