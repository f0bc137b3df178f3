"""Findings of the membership attacks on a synthetic table, each beside the outcome on planted leaks."""

from collections.abc import Callable
from dataclasses import replace

import numpy as np

from galenic.evidence.tables.attack_risks import RISKS, measure_risks, risk_findings
from galenic.evidence.tables.binning import encode_columns
from galenic.evidence.tables.membership_attacks import (
    ALARM,
    ATTACKS,
    MOST_SYNTHETIC,
    OUTLIER_SHARE,
    AttackPool,
    AttackResult,
    any_alarm,
    attack_planted_leaks,
    first_rows,
    miscalibrated,
    noisy_copy,
    shuffle_rows,
)
from galenic.schema import Column, Finding, NotMeasured, Table

LEAKS = ("copy", "noise", "leak")
MIN_TRAINING_ROWS, MIN_HELD_OUT_ROWS = 100, 150
PlantedResults = dict[str, dict[str, AttackResult]]

METHODS: dict[str, Callable[[str], str]] = {
    "nearest": lambda n: f"AUC of guessing membership by distance to the nearest synthetic row, {n} members and non-members",
    "density": lambda n: (
        f"AUC of guessing membership by density ratio to a reference sample (after van Breugel et al. 2023), {n} each"
    ),
    "outlier": lambda n: (
        f"AUC of guessing membership of the {OUTLIER_SHARE:.0%} of {n} members and non-members who are farthest from everybody else"
    ),
    "exact": lambda _n: "share of unique training rows that appear exactly, less the same for held-out rows; all rows tried",
    "near": lambda n: f"share of training rows with a near copy, less the same for held-out rows, {n} each",
}


def measure_membership(
    train: Table, test: Table, synthetic: Table, columns: tuple[Column, ...], rng: np.random.Generator
) -> tuple[Finding | NotMeasured, ...]:
    """All attacks on the synthetic rows, each beside its outcome on planted leaks. An attack suite that misses a planted leak,
    or flags clean rows, is reported as not measured: a result without an alarm would mean nothing."""
    if test.rows < MIN_HELD_OUT_ROWS or train.rows < MIN_TRAINING_ROWS:
        why = (
            f"{train.rows} training and {test.rows} held-out rows are too few; {MIN_TRAINING_ROWS} and {MIN_HELD_OUT_ROWS} are "
            "needed"
        )
        return tuple(NotMeasured(f"privacy.{a}", why) for a in (*ATTACKS, *RISKS, "controls"))
    test, train = shuffle_rows(test, rng), shuffle_rows(train, rng)
    third = test.rows // 3
    parts = [replace(test, frame=test.frame.slice(i * third, third)) for i in range(3)]
    synthetic = shuffle_rows(synthetic, rng)
    pool = AttackPool(columns, train, parts[0], parts[1], parts[2])
    controls = attack_planted_leaks(pool, synthetic, parts[2], rng)
    results = pool.attack(synthetic)
    targets = int(pool.is_member.sum())
    attacks = [_attack_finding(name, results[name], controls, targets) for name in ATTACKS]
    risks = _risks(train, test, synthetic, columns, rng)
    alarms = float(sum(o.alarm for o in results.values()) + sum(f.detail["alarm"] for f in risks))
    method = f"attacks of {len(ATTACKS) + len(RISKS)} that found a leak beyond what is tolerated at p < {ALARM} each"
    return (*attacks, *risks, Finding("privacy.alarms", alarms, method), _controls_finding(controls))


def _attack_finding(name: str, result: AttackResult, controls: PlantedResults, targets: int) -> Finding:
    """The finding of one attack. targets: members that it was tried on, and as many non-members."""
    interval = (result.advantage - 1.96 * result.se, result.advantage + 1.96 * result.se)
    detail = {
        "p": result.p,
        "alarm": result.alarm,
        "detectable": result.detectable,
        "planted": {leak: bool(outcomes[name].alarm) for leak, outcomes in controls.items()},
    }
    return Finding(f"privacy.{name}", result.advantage, METHODS[name](f"{targets}"), "lower", interval, detail=detail)


def _controls_finding(controls: PlantedResults) -> Finding | NotMeasured:
    """Planted leaks that were found, of three; NotMeasured where one was missed or clean rows were flagged."""
    missed = sorted(name for name in LEAKS if not any_alarm(controls[name]))
    flagged = miscalibrated(controls["clean"])
    if missed or flagged:
        why = f"planted leaks missed: {missed or 'none'}; clean held-out rows flagged: {flagged}"
        return NotMeasured("privacy.controls", why)
    method = "planted leaks found of 3 (copy, copy with 1 % noise, 1 % of rows leaked) with clean held-out rows not flagged"
    detail = {
        leak: {name: {"advantage": o.advantage, "p": o.p, "alarm": o.alarm} for name, o in outcomes.items()}
        for leak, outcomes in controls.items()
    }
    return Finding("privacy.controls", 3.0, method, "higher", detail=detail)


def _risks(train: Table, test: Table, synthetic: Table, columns: tuple[Column, ...], rng: np.random.Generator) -> list[Finding]:
    """Singling out, linkability, inference, each also on a copy and on a copy with 1 % noise."""
    most = min(train.rows, test.rows, MOST_SYNTHETIC)
    members, outsiders, made = (encode_columns(first_rows(t, most), columns) for t in (train, test, synthetic))
    leaks = {"copy": first_rows(train, most), "noise": noisy_copy(first_rows(train, most), columns, rng)}
    seen = {name: measure_risks(members, outsiders, encode_columns(t, columns), columns, rng) for name, t in leaks.items()}
    return risk_findings(measure_risks(members, outsiders, made, columns, rng), seen, ALARM)
