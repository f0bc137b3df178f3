"""Advice after a refused synthesis: what to change, with a command that is likely to be accepted."""

import shlex

from galenic.generators import SynthesisRequest
from galenic.generators.tables import ExpectedOutcome, TableSize, expected_quality, least_epsilon, least_patients
from galenic.release import Decision

WORTH_IT = 0.4  # chance of acceptance that makes a description worth its work
COMMAND = "galenic table synthesize TABLE"


def advice(
    decision: Decision | None, outcome: ExpectedOutcome | None, request: SynthesisRequest, command: str = COMMAND
) -> tuple[str, ...]:
    """Sentences on what to change, the most promising first. decision: None before a run, or where it stopped for want of budget.
    command: the command that was refused, without --epsilon."""
    missed = {item.finding for item in decision.refusals} if decision is not None else set(outcome.limits if outcome else ())
    lines: list[str] = []
    if outcome is not None and missed & set(outcome.limits):
        lines += _larger_budget(outcome, request, command) + _fewer_questions(outcome, request, command)
    if "privacy.epsilon" in missed:
        lines.append(f"This policy allows less ε. Ask for a smaller one: {command} --epsilon 1")
    if "privacy.alarms" in missed:
        lines.append(
            "An attack recognized patients of the training data. Use a smaller ε, and do not use --no-privacy for data that leaves."
        )
    if "privacy.controls" in missed and decision is not None:
        lines.append(
            "The attacks could not be tested: rows are so alike that even planted copies stay hidden. Keep more columns (about twelve), or "
            "use a table of more patients."
        )
    if any(name.startswith("utility.") for name in missed):
        lines.append(f"Tell the model what the data is for: {command} --target COLUMN")
    return (*lines, "See docs/how-to/refused.md for each rule and its remedy.") if lines or missed else ()


def _larger_budget(outcome: ExpectedOutcome, request: SynthesisRequest, command: str) -> list[str]:
    size, limits = outcome.size, outcome.limits
    patients = least_patients(size, request.epsilon, limits, delta=request.delta, cap=request.cap)
    epsilon = least_epsilon(size, limits, delta=request.delta, cap=request.cap)
    enough = f"about {patients:,} patients at ε = {request.epsilon:g}" if patients and patients > size.patients else ""
    if epsilon is None or epsilon <= request.epsilon:
        return [f"{size.columns} columns need {enough}. Use a larger table."] if enough else []
    either = f"{enough}, or ε = {epsilon:g}" if enough else f"ε = {epsilon:g}"
    return [f"{size.columns} columns need {either} at {size.patients:,} patients: {command} --epsilon {epsilon:g}"]


def _fewer_questions(outcome: ExpectedOutcome, request: SynthesisRequest, command: str) -> list[str]:
    size, lines = outcome.size, []
    known = expected_quality(TableSize(size.patients, size.columns, size.levels, 0.0), request.epsilon, delta=request.delta)
    if size.bought > 0.2 and known.chance(outcome.limits) > WORTH_IT:
        lines.append(
            f"Or describe the columns (galenic table describe TABLE --out columns.toml): what you declare costs no budget (expected "
            f"acceptance {known.chance(outcome.limits):.0%}). Then: {command} --columns columns.toml --buy"
        )
    if outcome.many:
        drops = " ".join(f"--drop {shlex.quote(name)}" for name in outcome.many[:3])
        lines.append(f"Or group or leave out columns with many different values: {command} {drops}")
    return lines
