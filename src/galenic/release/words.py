"""Titles of findings and results of attacks, in words."""

from dataclasses import dataclass

from galenic.schema import Finding, Report

WORDS = {
    "fidelity.tvd1": "Distance of single columns from held-out patients",
    "fidelity.tvd2": "Distance of pairs of columns from held-out patients",
    "fidelity.tvd3": "Distance of triples of columns from held-out patients",
    "fidelity.tvd1.floor": "Single columns: what a second real sample shows",
    "fidelity.tvd2.floor": "Pairs: what a second real sample shows",
    "fidelity.tvd3.floor": "Triples: what a second real sample shows",
    "fidelity.tvd1.excess": "Single columns: distance above a second real sample",
    "fidelity.tvd2.excess": "Pairs of columns: distance above a second real sample",
    "fidelity.tvd3.excess": "Triples of columns: distance above a second real sample",
    "fidelity.correlation": "Error of correlations",
    "fidelity.subgroup": "Worst subgroup: distance above its own floor",
    "fidelity.discriminator": "A model's skill at telling synthetic rows from patients (0.5: none)",
    "plausibility.range": "Rows with a value that no training patient comes near",
    "fairness.representation": "Largest shift of a group's share",
    "fairness.gap": "Largest AUROC that a group loses",
    "fairness.opportunity": "Largest difference between groups in the share of cases found",
    "fairness.balance": "Effect of balancing on the difference between groups in the share of cases found",
    "utility.tstr.logistic": "Logistic regression trained on synthetic rows: AUROC on held-out patients",
    "utility.tstr.boosting": "Gradient boosting trained on synthetic rows: AUROC on held-out patients",
    "utility.gap.logistic": "Logistic regression: AUROC lost against real rows",
    "utility.gap.boosting": "Gradient boosting: AUROC lost against real rows",
    "utility.tstr.bayes": "Naive Bayes trained on synthetic rows: AUROC on held-out patients",
    "utility.gap.bayes": "Naive Bayes: AUROC lost against real rows",
    "utility.r2.linear": "Linear model trained on synthetic rows: share of the target explained",
    "utility.r2.boosting": "Gradient boosting trained on synthetic rows: share of the target explained",
    "utility.concordance": "Hazard model trained on synthetic rows: concordance on held-out patients",
    "privacy.nearest": "Attack: guess who was in the data by the nearest synthetic row (0.5: a coin)",
    "privacy.density": "Attack: guess who was in the data by density (0.5: a coin)",
    "privacy.outlier": "Attack: guess whether the most unusual patients were in the data (0.5: a coin)",
    "privacy.shadow": "Attack: guess who was in the data by shadow models (0.5: a coin)",
    "privacy.exact": "Patients copied exactly, above what held-out patients show",
    "privacy.near": "Patients nearly copied, above what held-out patients show",
    "privacy.singling_out": "Attack: single somebody out by what one synthetic row says, above what works on others",
    "privacy.linkability": "Attack: link two halves of a record through the synthetic rows, above what works on others",
    "privacy.inference": "Attack: guess a secret from the rest of a record, above what works on others",
    "privacy.alarms": "Attacks that found a leak",
    "privacy.controls": "Planted leaks that the attacks found (of 3)",
    "privacy.epsilon": "Epsilon: what one patient can change (e to this power)",
    "privacy.delta": "Delta: chance that the guarantee fails",
    "engine.audit": "Engine audit: measured privacy loss over the claimed one",
    "engine.fit": "Fit: chi-square per paid measurement (1: as near as the noise lets anyone see)",
    "engine.noise": "Noise: expected distance of single columns from it alone",
    "engine.rows": "Noisy number of training rows",
    "engine.pairs": "Pairs of columns measured",
    "engine.rejected": "Drawn rows that a declared constraint turned down",
}

# attempt of an attacker and meaning of a success, by finding
TRIED = {
    "privacy.nearest": ("Take a person's record and look for the synthetic row most like it", "tell who was in the data"),
    "privacy.density": ("See where synthetic rows crowd more than other people do", "tell who was in the data"),
    "privacy.outlier": ("Pick the most unusual people and look for rows near them", "tell whether they were in the data"),
    "privacy.shadow": ("Fit the same engine many times with and without a person and compare", "tell who was in the data"),
    "privacy.exact": ("Search for rows that equal one patient's record", "read that record"),
    "privacy.near": ("Search for rows that nearly equal one patient's record", "read most of that record"),
    "privacy.singling_out": (
        "Take what one synthetic row says and see whether it fits exactly one patient",
        "single that patient out",
    ),
    "privacy.linkability": ("Join two halves of a record that different parties hold", "link them to one person"),
    "privacy.inference": (
        "Know most of a person's record and read the rest off the synthetic rows",
        "learn that person's secret",
    ),
    "privacy.copying": ("Search for synthetic rows nearer to a patient than other people are", "find copies"),
}


@dataclass(frozen=True)
class AttackInWords:
    """One attack for a privacy officer. verdict: no leak found, LEAK FOUND or not measured."""

    tried: str
    aim: str
    result: str
    verdict: str


def attacks_in_words(report: Report) -> list[AttackInWords]:
    """The attacks of a report, in order; none where the report holds none."""
    rows = []
    for f in report.findings:
        if f.name not in TRIED:
            continue
        tried, aim = TRIED[f.name]
        if not isinstance(f, Finding):
            rows.append(AttackInWords(tried, aim, f.why, "not measured"))
            continue
        leak = bool(f.detail.get("alarm", False))
        rows.append(AttackInWords(tried, aim, _result(f), "LEAK FOUND" if leak else "no leak found"))
    return rows


def _result(f: Finding) -> str:
    caught = [name for name, seen in f.detail.get("planted", {}).items() if seen and name != "clean"]
    power = f" It sees an advantage of {f.detail['detectable']:.3f} or more." if "detectable" in f.detail else ""
    power += f" On planted leaks it raised the alarm for: {', '.join(caught)}." if caught else ""
    if "success" in f.detail:
        inside, outside = f.detail["success"], f.detail["control"]
        return f"Succeeds on {inside:.1%} of the people in the data and on {outside:.1%} of people who never were in it.{power}"
    if f.name in ("privacy.nearest", "privacy.density", "privacy.outlier", "privacy.shadow"):
        return f"Guesses right with AUC {f.value:.3f}; a coin has 0.500.{power}"
    return f"{f.value:.2%} of the patients in the data beyond what people outside it show.{power}"
