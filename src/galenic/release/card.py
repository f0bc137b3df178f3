"""The card for people: one self-contained HTML page that says what a release is, what was measured and what may be done."""

from dataclasses import asdict, dataclass
from importlib import resources
from typing import Any

from jinja2 import Environment, StrictUndefined
from markupsafe import Markup

from galenic.release.plots import distributions, svg
from galenic.release.policy import Decision, Policy
from galenic.schema import Column, Report, Table, to_json

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
    "utility.tstr.logistic": "Logistic regression trained on synthetic rows: AUROC on held-out patients",
    "utility.tstr.boosting": "Gradient boosting trained on synthetic rows: AUROC on held-out patients",
    "utility.gap.logistic": "Logistic regression: AUROC lost against real rows",
    "utility.gap.boosting": "Gradient boosting: AUROC lost against real rows",
    "privacy.nearest": "Attack: guess who was in the data by the nearest synthetic row (0.5: a coin)",
    "privacy.density": "Attack: guess who was in the data by density (0.5: a coin)",
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


@dataclass(frozen=True)
class Facts:
    """What a card says beside findings."""

    title: str
    about: str
    engine: str
    version: str
    guarantee: str
    notes: tuple[str, ...]
    formal: bool


def card(facts: Facts, report: Report, decision: Decision, policy: Policy, synthetic: Table, real: Table | None = None) -> str:
    """The page. real: held-out rows for the signers' sheet; None on the card that leaves."""
    template = (resources.files("galenic.release") / "card.html").read_text(encoding="utf-8")
    columns = tuple(c for c in synthetic.columns)
    about = "Small histograms of up to twelve columns" + (", synthetic beside held-out patients." if real else ", synthetic.")
    plot = svg(distributions(synthetic, real, columns), "Distributions of columns", about)
    findings = to_json(report)["findings"]
    for f in findings:
        f.setdefault("not_measured", "")
    head = synthetic.frame.slice(0, 3).to_pylist()
    page = Environment(autoescape=True, undefined=StrictUndefined).from_string(template)
    return page.render(
        **asdict(facts),
        inside=real is not None,
        decision=decision_json(decision, inside=True),
        policy=policy,
        findings=findings,
        words=WORDS,
        plot=Markup(plot),  # noqa: S704  # our own SVG; column names in it are escaped by matplotlib
        columns=[{"name": c.name, "kind": c.kind, "unit": c.unit, "levels": c.levels, "origin": origin(c)} for c in columns],
        rows=[["" if row[c.name] is None else row[c.name] for c in columns] for row in head],
        may=_may(facts.formal),
        may_not=_may_not(facts.formal),
    )


def origin(column: Column) -> str:
    """Where the column's bounds or categories were learned."""
    return column.bounds_origin if column.binned else column.categories_origin


def decision_json(decision: Decision, *, inside: bool) -> dict[str, Any]:
    """The decision as JSON; without the measured values of internal findings unless the reader is inside."""
    items = []
    for item in decision.items:
        row = asdict(item)
        if item.audience == "internal" and not inside:
            row["why"] = ""
        items.append(row)
    return {"policy": decision.policy, "policy_digest": decision.policy_digest, "accepted": decision.accepted, "items": items}


def _may(formal: bool) -> list[str]:
    lines = [
        "Build and test software, teach, and explore which questions are worth asking of the records.",
        "Report results with the distances on this page beside them.",
    ]
    return [*lines, "Do any further processing: the guarantee stays."] if formal else lines


def _may_not(formal: bool) -> list[str]:
    lines = [
        "Decide anything about a patient from it.",
        "Report a rare event, a small subgroup or a triple of columns as if it had been counted in patients.",
        "Treat a row as a person: rows are not linked to each other or to anyone.",
    ]
    return lines if formal else [*lines, "Publish it as anonymous: no formal guarantee stands behind it."]
