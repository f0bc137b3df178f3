"""Audit of the private table engine: an attack on canary patients is compared with the claimed privacy."""

import math
from functools import partial
from typing import Any

import numpy as np

from galenic.errors import OptionError
from galenic.evidence.tables import AuditedMechanism, PrivacyAudit, audit_events, audit_mechanism, confirm
from galenic.generators.tables import (
    ENGINE,
    ENGINE_VERSION,
    AuditLedger,
    MeasuringStep,
    RelatedStep,
    SelectingStep,
    domain_disclosures,
)
from galenic.privacy import temporary_ledger

STEPS = ("measuring", "selecting", "domain", "related")
MAX_DOMAIN_RUNS, MIN_DOMAIN_RUNS = 60, 16
SELECTING_RUNS = 20  # runs of the measuring step: each run has only one canary


def audit_engine(
    *,
    canaries: int = 400,
    runs: int = 100,
    epsilon: float = 1.0,
    delta: float = 1e-9,
    seed: int = 0,
    steps: tuple[str, ...] = STEPS,
) -> tuple[dict[str, PrivacyAudit], dict[str, Any]]:
    """(audits by step, their JSON for shipping). The engine's own planning, measurements, noise and accounting run unchanged."""
    if canaries < 1 or runs < 1:
        raise OptionError("an audit needs at least one canary and one run. Choose larger numbers.")
    rng = np.random.default_rng(seed)
    with temporary_ledger() as ledger:
        price = AuditLedger(ledger, epsilon, delta)
        audits = {s: confirm(partial(_audit, s, price, canaries, runs, rng)) for s in STEPS if s in steps}
    about = {"engine": ENGINE, "version": ENGINE_VERSION, "epsilon": epsilon, "delta": delta}
    return audits, {**about, "steps": {name: audit.json for name, audit in audits.items()}}


def _audit(step: str, ledger: AuditLedger, canaries: int, runs: int, rng: np.random.Generator) -> PrivacyAudit:
    claimed = math.sqrt(2 * float(ledger.rho))
    if step == "domain":
        runs = min(MAX_DOMAIN_RUNS, max(runs, MIN_DOMAIN_RUNS))
        found = domain_disclosures(ledger, runs)
        events = [audit_events(*e, runs, claimed, repeated=found.repeated) for e in (found.values, found.rows)]
        return max(events, key=lambda a: a.certain)
    if step == "selecting":
        return audit_mechanism(SelectingStep(ledger), canaries=1, runs=SELECTING_RUNS * runs, claimed=claimed, rng=rng)
    ask: AuditedMechanism = RelatedStep(ledger, canaries) if step == "related" else MeasuringStep(ledger, canaries)
    return audit_mechanism(ask, canaries=canaries, runs=runs, claimed=claimed, rng=rng)
