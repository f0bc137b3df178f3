"""Fidelity, utility, privacy attacks and fairness of synthetic tables."""

from galenic.evidence.tables.attacks import (
    ALARM,
    ATTACKS,
    AttackPool,
    AttackResult,
    any_alarm,
    membership,
    noisy_copy,
    planted,
    shuffled,
    with_leak,
)
from galenic.evidence.tables.coding import encode_columns, judge_column
from galenic.evidence.tables.engine_audit import Audit, audit, audit_events
from galenic.evidence.tables.evaluation import evaluate_table
from galenic.evidence.tables.fairness import balance_effect
from galenic.evidence.tables.fidelity import column_sets, mean_tvd, measure_fidelity
from galenic.evidence.tables.risks import RISKS, AttackRisk, measure_risks
from galenic.evidence.tables.shadow_models import shadow_attack
from galenic.evidence.tables.utility import measure_utility

__all__ = [
    "ALARM",
    "ATTACKS",
    "RISKS",
    "AttackPool",
    "AttackResult",
    "AttackRisk",
    "Audit",
    "any_alarm",
    "audit",
    "audit_events",
    "balance_effect",
    "column_sets",
    "encode_columns",
    "evaluate_table",
    "judge_column",
    "mean_tvd",
    "measure_fidelity",
    "measure_risks",
    "measure_utility",
    "membership",
    "noisy_copy",
    "planted",
    "shadow_attack",
    "shuffled",
    "with_leak",
]
