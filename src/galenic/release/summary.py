"""Summary of a run in five plain sentences, its criteria with measured values, and warnings that a policy does not make."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

from galenic.release.attack_texts import ATTACKS, LEAK_FOUND, NOT_MEASURED, attack_texts
from galenic.release.finding_text import FindingText, finding_text
from galenic.release.policy import Decision, DecisionItem
from galenic.schema import Finding, NotMeasured, Report

INTERNAL = "on the signers' report only"
MANY_SUBGROUPS = 0.2  # share of subgroups beyond their band from which a reader is warned; chance alone gives 1 in 20
MET = ("met", "not applicable")


@dataclass(frozen=True)
class Criterion:
    """One limit of the policy beside the measured value. name: of the finding; value: as shown, or why there is none."""

    name: str
    label: str
    sentence: str
    value: str
    interval: str
    limit: str
    outcome: str
    reason: str

    @property
    def is_met(self) -> bool:
        """Whether the limit is met, or does not apply."""
        return self.outcome in MET


@dataclass(frozen=True)
class Caution:
    """One sentence about a measurement that a reader has to know. name: of the finding."""

    name: str
    sentence: str


def role_label(role: str) -> str:
    """A role in words."""
    return role.replace("-", " ")


def decision_sentence(decision: Decision) -> str:
    """Whether the limits of the policy are met, in one sentence."""
    rules, missed = len(decision.items), len(decision.refusals)
    if decision.accepted:
        return f"Every limit of the policy “{decision.policy}” is met ({rules} of {rules})."
    return f"Refused: {missed} of {rules} limits of the policy “{decision.policy}” {'is' if missed == 1 else 'are'} not met."


def list_criteria(report: Report, decision: Decision, *, inside: bool = True) -> tuple[Criterion, ...]:
    """Every rule of the policy with its measured value. inside: show the values of internal findings, too."""
    return tuple(_criterion(item, report.get(item.finding), inside=inside) for item in decision.items)


def _criterion(item: DecisionItem, finding: Finding | NotMeasured | None, *, inside: bool) -> Criterion:
    text, interval = finding_text(item.finding), ""
    if item.audience == "internal" and not inside:
        value = INTERNAL
    elif item.outcome in ("met", "not met") and isinstance(finding, Finding):
        value, interval = text.format_value(finding.value), format_interval(text, finding)
    else:
        value = item.why
    return Criterion(
        item.finding, text.label, text.sentence, value, interval, text.format_limit(item.threshold), item.outcome, item.reason
    )


def format_interval(text: FindingText, finding: Finding) -> str:
    """The 95 % interval of a finding as it is shown; empty where its method gives none."""
    if not finding.interval or not all(math.isfinite(end) for end in finding.interval):
        return ""
    low, high = finding.interval
    return f"{text.format_value(low)} to {text.format_value(high)}"


def list_cautions(report: Report, decision: Decision) -> tuple[Caution, ...]:
    """Warnings for the reader, worst first: missed limits, then poor values that the policy does not limit."""
    missed = [Caution(i.finding, _missed(i, report.get(i.finding))) for i in decision.refusals]
    named = {c.name for c in missed}
    poor = [
        (finding_text(f.name).weight, Caution(f.name, sentence))
        for f in report.findings
        if f.name not in named and (sentence := _poor(f))
    ]
    return (*missed, *(caution for _, caution in sorted(poor, key=lambda p: -p[0])))


def _missed(item: DecisionItem, finding: Finding | NotMeasured | None) -> str:
    text = finding_text(item.finding)
    if item.outcome == "not met" and isinstance(finding, Finding):
        return f"{text.label}: {text.format_value(finding.value)}, but the limit is {text.format_limit(item.threshold)}."
    return f"{text.label}: {item.outcome} ({item.why.rstrip('.')}), but the limit is {text.format_limit(item.threshold)}."


def _poor(f: Finding | NotMeasured) -> str:
    text = finding_text(f.name)
    if isinstance(f, NotMeasured):
        matters = f.name.startswith("privacy.") and text.weight and text.watch is None
        return f"{text.label}: not measured ({f.why.rstrip('.')})." if matters else ""
    if f.detail.get("alarm"):
        return f"{text.label} found a leak." if f.name in ATTACKS else ""
    groups = f.detail.get("groups", {})
    if groups and f.detail.get("beyond_band", 0) > MANY_SUBGROUPS * len(groups):
        return (
            f"{f.detail['beyond_band']} of {len(groups)} subgroups of patients differ from real ones by more than chance; the worst "
            f"by {text.format_value(f.value)}."
        )
    real = f.detail.get("held_out", 0.0) if f.name.startswith("plausibility.") else 0.0
    if text.watch is None or f.value - real < text.watch:
        return ""
    beside = f" Of real held-out patients, {text.format_value(real)} do." if f.name.startswith("plausibility.") else ""
    return text.warning.replace("{value}", text.format_value(f.value)) + beside


def summarize(report: Report, decision: Decision, verdict: str, *, inside: bool = True) -> tuple[str, ...]:
    """Five sentences: verdict, closeness to real data, privacy attacks, formal guarantee, and what to watch."""
    if any(f.name.startswith("deid.") for f in report.findings):
        middle = (_planted(report), _stated(report), _linkable(report))
    else:
        middle = (_closeness(report, decision, inside=inside), _attacks(report, decision, inside=inside), _guarantee(report))
    return (verdict, *middle, _watch(list_cautions(report, decision)))


def _watch(cautions: Sequence[Caution]) -> str:
    if not cautions:
        return "Watch: no measurement that this page shows is poor."
    more = len(cautions) - 1
    return f"Watch: {cautions[0].sentence}" + (
        f" There {'is 1 more warning' if more == 1 else f'are {more} more warnings'}." if more else ""
    )


def _closeness(report: Report, decision: Decision, *, inside: bool) -> str:
    one, two = report.get("fidelity.tvd1.excess"), report.get("fidelity.tvd2.excess")
    if isinstance(one, Finding) and isinstance(two, Finding):
        return (
            f"Closeness to real data: single columns differ from held-out patients by {one.value:.3f} and pairs of columns by "
            f"{two.value:.3f} more than a second real sample does (0 is best, 1 is worst)."
        )
    if not inside and _rules_about(decision, "fidelity."):
        return (
            "Closeness to real data was measured, and every limit of the policy on it is met; the values stay with the signers."
        )
    if not inside:
        return "Closeness to real data: the measured values stay with the signers."
    return "Closeness to real data was not measured."


def _rules_about(decision: Decision, prefix: str) -> bool:
    rules = [i for i in decision.items if i.finding.startswith(prefix)]
    return bool(rules) and all(i.outcome in MET for i in rules)


def _attacks(report: Report, decision: Decision, *, inside: bool) -> str:
    done = [a for a in attack_texts(report) if a.verdict != NOT_MEASURED]
    alarms, controls = report.get("privacy.alarms"), report.get("privacy.controls")
    if isinstance(alarms, Finding) and done:
        leaks = sum(a.verdict == LEAK_FOUND for a in done) or int(alarms.value)
        found = (
            f"{leaks} of {len(done)} privacy attacks found a leak"
            if leaks
            else f"None of {len(done)} privacy attacks found a leak"
        )
        if isinstance(controls, Finding):
            return f"{found}; the attacks found {controls.value:.0f} of 3 planted leaks, so they work."
        return f"{found}, but the attacks failed their own test on planted leaks: the result proves nothing."
    if not inside and _rules_about(decision, "privacy.alarms"):
        return "Privacy attacks were tried and found no leak; the attacks found the planted leaks, so they work."
    if not inside:
        return "Privacy attacks: the results stay with the signers."
    return "Privacy attacks were not measured."


def _guarantee(report: Report) -> str:
    epsilon, delta = report.get("privacy.epsilon"), report.get("privacy.delta")
    if not isinstance(epsilon, Finding):
        return "There is no formal privacy guarantee: the model was trained without noise."
    factor = math.exp(min(epsilon.value, 700))
    times = f"{factor:.1f}" if factor < 100 else f"{factor:,.0f}" if factor < 1e6 else "more than a million"
    failing = (
        f" The guarantee fails with a probability of at most {_one_in(delta.value)}." if isinstance(delta, Finding) else ""
    )
    return (
        f"Differential privacy with ε = {epsilon.value:g}: any one patient changes the probability of any result by a factor of at "
        f"most {times}.{failing}"
    )


def _one_in(probability: float) -> str:
    return f"1 in {1 / probability:,.0f}" if probability > 0 else "0"


def _planted(report: Report) -> str:
    f = report.get("deid.planted.recall")
    if not isinstance(f, Finding):
        return f"Removal of planted identifiers was not measured: {f.why.rstrip('.') if f else 'the report has no result'}."
    return f"In the worst column or type of text, at least {f.value:.1%} of identifiers that were planted as a test were removed (95 % limit)."


def _stated(report: Report) -> str:
    f = report.get("deid.stated")
    if not isinstance(f, Finding):
        return f"The output was not searched for known identifiers: {f.why.rstrip('.') if f else 'the report has no result'}."
    if f.value:
        return (
            f"{f.value:,.0f} places in the output still hold a name or number that the records state: do not release this copy."
        )
    return "The output holds none of the names and numbers that the records of the input state."


def _linkable(report: Report) -> str:
    f = report.get("deid.prosecutor")
    if isinstance(f, Finding):
        return (
            f"There is no formal privacy guarantee; somebody who knows that a person is in a table finds that person with a chance "
            f"of at most {f.value:.0%} by the columns named as known to others."
        )
    return f"There is no formal privacy guarantee; re-identification in tables was not measured: {f.why.rstrip('.') if f else 'no table'}."
