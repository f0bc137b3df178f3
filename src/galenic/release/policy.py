"""Release policies: thresholds on findings, each with its reason, and who must sign."""

import hashlib
import tomllib
from dataclasses import dataclass, replace
from importlib import resources
from pathlib import Path
from typing import Any, Literal

from galenic.errors import ConfigurationError, UnknownNameError
from galenic.schema import Finding, NotMeasured, Report

SHIPPED = ("internal", "partner", "public", "deidentified")
Outcome = Literal["met", "not met", "not measured", "missing", "not applicable"]
PLANTED_RECALL = "deid.planted.recall"
EXPECTED = (
    "deid.expected.",
    "deid.recall",
    "deid.leakfree",
    "deid.expected",
)  # figures of model cards, by today's and earlier names


@dataclass(frozen=True)
class PolicyRule:
    """One threshold on one finding. applies_to: a finding that counts something; the rule does not apply where that is 0."""

    finding: str
    reason: str
    at_most: float | None = None
    at_least: float | None = None
    applies_to: str = ""

    def holds(self, value: float) -> bool:
        """Whether a value satisfies the rule."""
        return (self.at_most is None or value <= self.at_most) and (self.at_least is None or value >= self.at_least)

    @property
    def threshold(self) -> str:
        """Threshold in words."""
        parts = [f"at most {self.at_most:g}"] if self.at_most is not None else []
        return " and ".join(parts + ([f"at least {self.at_least:g}"] if self.at_least is not None else []))


@dataclass(frozen=True)
class ReleasePolicy:
    """A named policy. text: its exact TOML, which is part of the signed artifact; digest: sha256 of the text."""

    name: str
    version: int
    purpose: str
    roles: tuple[str, ...]
    identity: Literal["unverified", "verified"]
    rules: tuple[PolicyRule, ...]
    text: str

    @property
    def digest(self) -> str:
        """sha256 of the policy's text, hexadecimal."""
        return hashlib.sha256(self.text.encode()).hexdigest()

    def same_criteria(self, other: "ReleasePolicy") -> bool:
        """Whether another policy has the same name, limits, roles and identity; the wording of its reasons may differ."""
        ours, theirs = ([replace(r, reason="") for r in p.rules] for p in (self, other))
        return (self.name, self.roles, self.identity, ours) == (other.name, other.roles, other.identity, theirs)

    def with_rules(self, rules: tuple[PolicyRule, ...]) -> "ReleasePolicy":
        """This policy with other rules."""
        return replace(self, rules=rules)


@dataclass(frozen=True)
class DecisionItem:
    """Outcome of one rule. why: the measured value or the reason; empty where the finding is internal and the reader is not a signer."""

    finding: str
    outcome: Outcome
    threshold: str
    reason: str
    audience: str
    why: str = ""


@dataclass(frozen=True)
class Decision:
    """Whether the evidence satisfies a policy, item by item."""

    policy: str
    policy_digest: str
    accepted: bool
    items: tuple[DecisionItem, ...]

    @property
    def refusals(self) -> tuple[DecisionItem, ...]:
        """Items that are not met, although they apply."""
        return tuple(item for item in self.items if item.outcome not in ("met", "not applicable"))


def load_policy(name: str) -> ReleasePolicy:
    """A shipped policy by name, or one from a TOML file. ConfigurationError names the fault."""
    if name in SHIPPED:
        text = (resources.files("galenic.release") / "policies" / f"{name}.toml").read_text(encoding="utf-8")
        return parse_policy(text, name)
    policy = read_stored_policy(Path(name))
    _require_measured(policy, name)
    return policy


def read_stored_policy(path: Path) -> ReleasePolicy:
    """A policy from a file, which an earlier version may have written with a run. UnknownNameError if there is none."""
    if not path.is_file():
        raise UnknownNameError(f"policy {str(path)!r} is neither shipped ({', '.join(SHIPPED)}) nor a file. Name one of these.")
    return parse_policy(path.read_text(encoding="utf-8"), str(path))


def _require_measured(policy: ReleasePolicy, where: str) -> None:
    """ConfigurationError if a policy relies on figures of a model card without a measurement on the input."""
    expected = [r.finding for r in policy.rules if r.finding.startswith(EXPECTED)]
    measured = any(r.finding == PLANTED_RECALL and (r.at_least or 0) > 0 for r in policy.rules)
    if expected and not measured:
        raise ConfigurationError(
            f"policy {where}: {', '.join(expected)} is expected from the model card, not measured on the input. Expected a rule "
            f"on {PLANTED_RECALL} with at_least above 0. Add it; the shipped policy deidentified shows how."
        )


def parse_policy(text: str, where: str) -> ReleasePolicy:
    """A policy from its TOML text."""
    try:
        data: dict[str, Any] = tomllib.loads(text)
        rules = tuple(PolicyRule(**rule) for rule in data["rule"])
        policy = ReleasePolicy(
            data["name"], data["version"], data["purpose"], tuple(data["roles"]), data["identity"], rules, text
        )
    except (ValueError, RecursionError, KeyError, TypeError) as error:
        raise ConfigurationError(f"policy {where}: {type(error).__name__}: {error}. Compare with a shipped policy.") from None
    empty = [rule.finding for rule in rules if not rule.threshold or not rule.reason]
    if empty or not rules or len(set(policy.roles)) < 2 or policy.identity not in ("unverified", "verified"):
        raise ConfigurationError(
            f"policy {where}: expected rules that each have a threshold and a reason (without: {empty}), two or more different "
            'roles, and identity "unverified" or "verified". Correct it.'
        )
    return policy


def decide(report: Report, policy: ReleasePolicy) -> Decision:
    """Checks every rule against the report. A finding that is missing or was not measured does not satisfy any rule, and an
    empty report satisfies none. A rule whose `applies_to` is measured as 0 does not apply; at least one rule must."""
    items = tuple(
        _not_applicable(rule) if _is_zero(report.get(rule.applies_to)) else _item(rule, report.get(rule.finding))
        for rule in policy.rules
    )
    outcomes = {item.outcome for item in items}
    accepted = bool(report.findings) and "met" in outcomes and outcomes <= {"met", "not applicable"}
    return Decision(policy.name, policy.digest, accepted, items)


def _is_zero(counted: Finding | NotMeasured | None) -> bool:
    return isinstance(counted, Finding) and counted.value == 0


def _not_applicable(rule: PolicyRule) -> DecisionItem:
    return DecisionItem(
        rule.finding,
        "not applicable",
        rule.threshold,
        rule.reason,
        "public",
        f"not needed: {rule.applies_to} is 0",
    )


def _item(rule: PolicyRule, finding: Finding | NotMeasured | None) -> DecisionItem:
    if finding is None:
        return DecisionItem(
            rule.finding, "missing", rule.threshold, rule.reason, "public", "the report has no such measurement"
        )
    if isinstance(finding, NotMeasured):
        return DecisionItem(rule.finding, "not measured", rule.threshold, rule.reason, finding.audience, finding.why)
    outcome: Outcome = "met" if rule.holds(finding.value) else "not met"
    return DecisionItem(rule.finding, outcome, rule.threshold, rule.reason, finding.audience, f"measured {finding.value:.4g}")
