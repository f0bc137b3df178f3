"""Fidelity, utility, privacy attacks and fairness of synthetic tables."""

from galenic.evidence.tables.attack_risks import RISKS, AttackRisk, measure_risks
from galenic.evidence.tables.binning import bin_column, encode_columns
from galenic.evidence.tables.evaluation import evaluate_table
from galenic.evidence.tables.fairness import measure_balance_effect
from galenic.evidence.tables.fidelity import column_sets, mean_tvd, measure_fidelity
from galenic.evidence.tables.membership import measure_membership
from galenic.evidence.tables.membership_attacks import (
    ALARM,
    ATTACKS,
    AttackPool,
    AttackResult,
    any_alarm,
    attack_planted_leaks,
    leak_rows,
    noisy_copy,
    shuffle_rows,
)
from galenic.evidence.tables.privacy_audit import AuditedMechanism, PrivacyAudit, audit_events, audit_mechanism, confirm
from galenic.evidence.tables.related import RelatedTablesEvaluator, combine_reports
from galenic.evidence.tables.shadow_models import shadow_attack
from galenic.evidence.tables.sources import ComparedSources, evaluate_sources
from galenic.evidence.tables.table_evaluator import TableEvaluator, evaluation_cost
from galenic.evidence.tables.utility import measure_utility

__all__ = [
    "ALARM",
    "ATTACKS",
    "RISKS",
    "AttackPool",
    "AttackResult",
    "AttackRisk",
    "AuditedMechanism",
    "ComparedSources",
    "PrivacyAudit",
    "RelatedTablesEvaluator",
    "TableEvaluator",
    "any_alarm",
    "attack_planted_leaks",
    "audit_events",
    "audit_mechanism",
    "bin_column",
    "column_sets",
    "combine_reports",
    "confirm",
    "encode_columns",
    "evaluate_sources",
    "evaluate_table",
    "evaluation_cost",
    "leak_rows",
    "mean_tvd",
    "measure_balance_effect",
    "measure_fidelity",
    "measure_membership",
    "measure_risks",
    "measure_utility",
    "noisy_copy",
    "shadow_attack",
    "shuffle_rows",
]
