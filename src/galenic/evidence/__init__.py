"""How good, private, fair and robust a result is: measured, with intervals, by judges that are tested themselves."""

from galenic.evidence.attacks import (
    ALARM,
    ATTACKS,
    Lineup,
    Outcome,
    any_alarm,
    membership,
    noisy_copy,
    planted,
    shuffled,
    with_leak,
)
from galenic.evidence.audit import Audit, audit, audit_events
from galenic.evidence.coding import code, judge_column
from galenic.evidence.fairness import balance_effect
from galenic.evidence.fidelity import column_sets, fidelity, mean_tvd
from galenic.evidence.measure import measure
from galenic.evidence.risks import RISKS, Risk, risks
from galenic.evidence.shadow import shadow_attack
from galenic.evidence.utility import utility

__all__ = [
    "ALARM",
    "ATTACKS",
    "RISKS",
    "Audit",
    "Lineup",
    "Outcome",
    "Risk",
    "any_alarm",
    "audit",
    "audit_events",
    "balance_effect",
    "code",
    "column_sets",
    "fidelity",
    "judge_column",
    "mean_tvd",
    "measure",
    "membership",
    "noisy_copy",
    "planted",
    "risks",
    "shadow_attack",
    "shuffled",
    "utility",
    "with_leak",
]
