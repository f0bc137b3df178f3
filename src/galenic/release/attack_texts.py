"""Privacy attacks and their results in plain sentences."""

from dataclasses import dataclass

from galenic.schema import Finding, NotMeasured, Report

# attempt of an attacker and aim of it, by finding
ATTACKS = {
    "privacy.nearest": ("Takes a person's record and looks for the most similar synthetic row", "Find out who was in the data"),
    "privacy.density": ("Looks for places where synthetic rows crowd more than other people do", "Find out who was in the data"),
    "privacy.outlier": ("Picks the most unusual people and looks for synthetic rows near them", "Find out whether they were in the data"),
    "privacy.shadow": ("Trains the same model many times with and without a person and compares", "Find out who was in the data"),
    "privacy.exact": ("Searches for synthetic rows that equal a patient's record", "Read that record"),
    "privacy.near": ("Searches for synthetic rows that nearly equal a patient's record", "Read most of that record"),
    "privacy.singling_out": ("Takes values of one synthetic row and checks whether they fit exactly one patient", "Single out that patient"),
    "privacy.linkability": ("Joins two halves of a record that different parties hold", "Link both to one person"),
    "privacy.inference": ("Knows most of a person's record and guesses the rest from the synthetic rows", "Learn a hidden value"),
    "privacy.copying": ("Searches for synthetic rows that are nearer to a patient than other people are", "Find copies"),
}  # fmt: skip
BY_RANK = ("privacy.nearest", "privacy.density", "privacy.outlier", "privacy.shadow")
LARGEST_AUC = 0.99  # a test that only detects more cannot detect anything
LEAK_FOUND, NO_LEAK, NOT_MEASURED = "Leak found", "No leak found", "Not measured"


@dataclass(frozen=True)
class AttackText:
    """One attack for a reader. name: of its finding; verdict: LEAK_FOUND, NO_LEAK or NOT_MEASURED."""

    name: str
    attempt: str
    aim: str
    result: str
    verdict: str


def attack_texts(report: Report) -> tuple[AttackText, ...]:
    """The attacks of a report, in order; none where the report has none."""
    return tuple(_text(f) for f in report.findings if f.name in ATTACKS)


def _text(f: Finding | NotMeasured) -> AttackText:
    attempt, aim = ATTACKS[f.name]
    if not isinstance(f, Finding):
        return AttackText(f.name, attempt, aim, f.why, NOT_MEASURED)
    return AttackText(f.name, attempt, aim, _result(f), LEAK_FOUND if f.detail.get("alarm", False) else NO_LEAK)


def _result(f: Finding) -> str:
    return " ".join(part for part in (_success(f), _power(f)) if part)


def _success(f: Finding) -> str:
    if "success" in f.detail:
        inside, outside = f.detail["success"], f.detail["control"]
        return f"Succeeds on {inside:.1%} of the people in the data and on {outside:.1%} of people who were not in it."
    if f.name in BY_RANK:
        return f"AUC {f.value:.3f}, where 0.500 is guessing and 1 is always right."
    if f.name == "privacy.copying":
        return f"{f.value:.1%} of the patients are nearer to a synthetic row than to another patient; 50% is chance."
    return f"{f.value:.2%} of the patients, beyond the share for people who were not in the data."


def _power(f: Finding) -> str:
    found = [leak for leak, seen in f.detail.get("planted", {}).items() if seen and leak != "clean"]
    parts = []
    if f.detail.get("detectable", 0) > (LARGEST_AUC if f.name in BY_RANK else 1):
        parts.append("There are too few people in the test to detect a leak.")
    elif "detectable" in f.detail:
        size = f"{f.detail['detectable']:.3f}" if f.name in BY_RANK else f"{f.detail['detectable']:.1%}"
        parts.append(f"The test could have detected {'an AUC' if f.name in BY_RANK else 'a difference'} of {size} or more.")
    if found:
        names = {"copy": "a copy of the real rows", "noise": "a copy with noise", "leak": "1% of the rows leaked"}
        parts.append(f"It detects these planted leaks: {', '.join(names.get(n, n) for n in found)}.")
    return " ".join(parts)
