"""Generators of patient tables: one table, or several tables of the same patients."""

from galenic.generators.tables.audited_steps import (
    AuditLedger,
    MeasuringStep,
    RelatedStep,
    SelectingStep,
    domain_disclosures,
)
from galenic.generators.tables.constrained_sampling import SampledRows
from galenic.generators.tables.engine import MixtureTables
from galenic.generators.tables.engine_version import ENGINE, ENGINE_VERSION, shipped_audit
from galenic.generators.tables.findings import constraint_findings, fit_findings
from galenic.generators.tables.fit_summary import FitSummary
from galenic.generators.tables.imputation import ImputedTable
from galenic.generators.tables.marginal_measurement import MeasuredMarginals, measure_marginals
from galenic.generators.tables.marginal_plan import MarginalPlan, make_plan
from galenic.generators.tables.mixture import Marginal, Mixture, fit_mixture
from galenic.generators.tables.quality_estimate import (
    MOST_LEVELS,
    ExpectedOutcome,
    ExpectedQuality,
    TableSize,
    expected_quality,
    least_epsilon,
    least_patients,
    levels_of,
)
from galenic.generators.tables.related import RelatedTables
from galenic.generators.tables.related_constraints import check_relation_constraints
from galenic.generators.tables.related_description import describe_relations
from galenic.generators.tables.related_generator import (
    RelatedTablesGenerator,
    RelatedTrainingData,
    prepare_related_tables,
    related_unit,
)
from galenic.generators.tables.table_generator import TableGenerator, TableTrainingData, prepare_table

__all__ = [
    "ENGINE",
    "ENGINE_VERSION",
    "MOST_LEVELS",
    "AuditLedger",
    "ExpectedOutcome",
    "ExpectedQuality",
    "FitSummary",
    "ImputedTable",
    "Marginal",
    "MarginalPlan",
    "MeasuredMarginals",
    "MeasuringStep",
    "Mixture",
    "MixtureTables",
    "RelatedStep",
    "RelatedTables",
    "RelatedTablesGenerator",
    "RelatedTrainingData",
    "SampledRows",
    "SelectingStep",
    "TableGenerator",
    "TableSize",
    "TableTrainingData",
    "check_relation_constraints",
    "constraint_findings",
    "describe_relations",
    "domain_disclosures",
    "expected_quality",
    "fit_findings",
    "fit_mixture",
    "least_epsilon",
    "least_patients",
    "levels_of",
    "make_plan",
    "measure_marginals",
    "prepare_related_tables",
    "prepare_table",
    "related_unit",
    "shipped_audit",
]
