"""Card of a release: one self-contained HTML page with its description, findings, decision and permitted uses."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from importlib import resources
from typing import Any

from jinja2 import Environment, StrictUndefined
from markupsafe import Markup

from galenic.release.attack_texts import attack_texts
from galenic.release.finding_text import finding_text
from galenic.release.plots import MOST_ASSOCIATED, associations, by_group, distributions, svg
from galenic.release.policy import Decision, ReleasePolicy
from galenic.schema import NO_DETAILS, Column, Finding, Report, RunDetails, Table, to_json


@dataclass(frozen=True)
class CardFacts:
    """Statements of a card beside findings."""

    title: str
    about: str
    engine: str
    version: str
    guarantee: str
    notes: tuple[str, ...]
    formal: bool
    run: str = ""
    details: RunDetails = NO_DETAILS


Views = Mapping[str, tuple[Table, Table | None]]


def render_card(
    facts: CardFacts, report: Report, decision: Decision, policy: ReleasePolicy, tables: Mapping[str, Table], views: Views
) -> str:
    """Card as HTML. views: rows to plot, by table, with held-out patients' rows for the signers (None on the card that leaves)."""
    template = (resources.files("galenic.release") / "card.html").read_text(encoding="utf-8")
    findings = to_json(report)["findings"]
    for finding in findings:
        finding.setdefault("not_measured", "")
    several = len(tables) > 1
    page = Environment(autoescape=True, undefined=StrictUndefined).from_string(template)
    return page.render(
        **asdict(facts),
        inside=any(held is not None for _, held in views.values()),
        decision=decision_json(decision, inside=True),
        policy=policy,
        findings=findings,
        text=finding_text,
        attacks=attack_texts(report),
        plots=[_plots(name if several else "", *view) for name, view in views.items()],
        groups=_groups(report),
        tables=[_table(name if several else "", table) for name, table in tables.items()],
        may=_may(facts.formal),
        may_not=_may_not(facts.formal),
    )


def _plots(name: str, made: Table, held: Table | None) -> dict[str, Any]:
    """Plots of one table as markup; matplotlib escapes column names in its SVG."""
    of = f" of {name}" if name else ""
    beside = ", synthetic beside held-out patients." if held else ", synthetic."
    single = svg(
        distributions(made, held, made.columns), f"Distributions{of}", f"Small histograms of up to twelve columns{beside}"
    )
    figure = associations(made, held)
    about = f"Strength of association of every pair of up to {MOST_ASSOCIATED} columns{beside}"
    pairs = svg(figure, f"Associations{of}", about) if figure is not None else ""
    return {"name": name, "single": Markup(single), "pairs": Markup(pairs)}  # nosec B704  # noqa: S704


def _groups(report: Report) -> Markup:
    """Plot of losses of groups of people, where they were measured."""
    shares, gap = report.get("fairness.representation"), report.get("fairness.gap")
    shift = shares.detail["shift"] if isinstance(shares, Finding) else {}
    flat = {f"{column}: {group}": by for column, groups in shift.items() for group, by in groups.items()}
    gaps = gap.detail["lost"] if isinstance(gap, Finding) else {}
    if not flat and not gaps:
        return Markup("")
    about = "For each group of people: how far its share is from held-out patients', and what AUROC it loses."
    return Markup(svg(by_group(flat, gaps), "Groups of people", about))  # nosec B704  # noqa: S704


def _table(name: str, table: Table) -> dict[str, Any]:
    head = table.frame.slice(0, 3).to_pylist()
    return {
        "name": name,
        "columns": [
            {
                "name": c.name,
                "kind": c.kind,
                "unit": c.unit,
                "levels": c.levels,
                "kind_origin": c.kind_origin,
                "origin": origin(c),
            }
            for c in table.columns
        ],
        "rows": [["" if row[c.name] is None else row[c.name] for c in table.columns] for row in head],
    }


def origin(column: Column) -> str:
    """Origin of the bounds or categories of a column."""
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
