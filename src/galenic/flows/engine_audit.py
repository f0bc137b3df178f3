"""Audit of the private table engine: what an attacker learns about canary patients, against the claimed privacy."""

import math
from dataclasses import asdict
from typing import Any

import numpy as np

from galenic.errors import OptionError
from galenic.evidence.tables import PrivacyAudit, audit_events, audit_mechanism
from galenic.generators.tables import (
    ENGINE,
    ENGINE_VERSION,
    AuditLedger,
    MeasuringStep,
    SelectingStep,
    domain_disclosures,
)
from galenic.privacy import temporary_ledger

STEPS = ("measuring", "selecting", "domain")
MAX_DOMAIN_RUNS, MIN_DOMAIN_RUNS = 60, 12
SELECTING_RUNS = 20  # for each run of the measuring step: a run has one canary only


def audit_engine(
    *,
    canaries: int = 400,
    runs: int = 100,
    epsilon: float = 1.0,
    delta: float = 1e-9,
    seed: int = 0,
    steps: tuple[str, ...] = STEPS,
) -> tuple[dict[str, PrivacyAudit], dict[str, Any]]:
    """(the audits by step, their JSON for shipping). The engine's own plan, measurements, noise and accounting run unchanged."""
    if canaries < 1 or runs < 1:
        raise OptionError("an audit needs at least one canary and one run. Give larger numbers.")
    rng = np.random.default_rng(seed)
    with temporary_ledger() as ledger:
        price = AuditLedger(ledger, epsilon, delta)
        audits = {step: _audit(step, price, canaries, runs, rng) for step in STEPS if step in steps}
    about = {"engine": ENGINE, "version": ENGINE_VERSION, "epsilon": epsilon, "delta": delta}
    return audits, {**about, "steps": {name: _as_json(audit) for name, audit in audits.items()}}


def _audit(step: str, ledger: AuditLedger, canaries: int, runs: int, rng: np.random.Generator) -> PrivacyAudit:
    claimed = math.sqrt(2 * float(ledger.rho))
    if step == "domain":
        runs = min(MAX_DOMAIN_RUNS, max(runs, MIN_DOMAIN_RUNS))
        return audit_events(*domain_disclosures(ledger, runs), runs, claimed)
    if step == "selecting":
        return audit_mechanism(SelectingStep(ledger), canaries=1, runs=SELECTING_RUNS * runs, claimed=claimed, rng=rng)
    return audit_mechanism(MeasuringStep(ledger, canaries), canaries=canaries, runs=runs, claimed=claimed, rng=rng)


def _as_json(audit: PrivacyAudit) -> dict[str, Any]:
    """JSON types; an unbounded value is null."""
    return {k: (None if isinstance(v, float) and not math.isfinite(v) else v) for k, v in asdict(audit).items()}
