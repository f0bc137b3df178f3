"""Makers of patient tables."""

from galenic.generators.tables.constrained_sampling import SampledRows
from galenic.generators.tables.decoding import check_balance, check_given
from galenic.generators.tables.engine import ENGINE, ENGINE_VERSION, FitCost, FitSummary, MixtureTables, shipped_audit
from galenic.generators.tables.findings import constraint_findings, fit_findings
from galenic.generators.tables.imputation import ImputedTable
from galenic.generators.tables.marginal_measurement import MeasuredMarginals, measure_marginals
from galenic.generators.tables.marginal_plan import MarginalPlan, make_plan
from galenic.generators.tables.mixture import Marginal, Mixture, fit_mixture
from galenic.generators.tables.related import RelatedTables
from galenic.generators.tables.related_constraints import check_relation_constraints

__all__ = [
    "ENGINE",
    "ENGINE_VERSION",
    "FitCost",
    "FitSummary",
    "ImputedTable",
    "Marginal",
    "MarginalPlan",
    "MeasuredMarginals",
    "Mixture",
    "MixtureTables",
    "RelatedTables",
    "SampledRows",
    "check_balance",
    "check_given",
    "check_relation_constraints",
    "constraint_findings",
    "fit_findings",
    "fit_mixture",
    "make_plan",
    "measure_marginals",
    "shipped_audit",
]
