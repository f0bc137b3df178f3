"""Card of a release: one self-contained HTML page with its description, findings, decision and permitted uses."""

from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from importlib import resources
from typing import Any

from jinja2 import Environment, StrictUndefined, Template
from markupsafe import Markup

from galenic.release.association_charts import association_charts, group_charts
from galenic.release.attack_texts import attack_texts
from galenic.release.column_charts import column_charts
from galenic.release.finding_text import finding_text
from galenic.release.glossary_terms import TermLinks
from galenic.release.policy import Decision, ReleasePolicy
from galenic.release.summary import decision_sentence, format_interval, list_cautions, list_criteria, role_label, summarize
from galenic.release.svg import Chart
from galenic.schema import NO_DETAILS, Column, Finding, NotMeasured, Report, RunDetails, Table

BETTER = {"lower": "lower is better", "higher": "higher is better", "fact": ""}


@dataclass(frozen=True)
class CardFacts:
    """Statements of a card beside findings. about_data: facts about patients, rows and columns, by label."""

    title: str
    about: str
    about_data: tuple[tuple[str, str], ...]
    engine: str
    version: str
    notes: tuple[str, ...]
    formal: bool
    run: str = ""
    details: RunDetails = NO_DETAILS


Views = Mapping[str, tuple[Table, Table | None]]


def render_card(
    facts: CardFacts, report: Report, decision: Decision, policy: ReleasePolicy, tables: Mapping[str, Table], views: Views
) -> str:
    """Card as HTML. views: rows to plot, by table, with held-out patients' rows for the signers (None on the card that leaves)."""
    inside, several = any(held is not None for _, held in views.values()), len(tables) > 1
    verdict = decision_sentence(decision)
    return _template(
        "card.html"
    ).render(
        **vars(facts),
        style=Markup(_file("page_style.css")),  # nosec B704  # noqa: S704  # a file of this package
        inside=inside,
        internal=any(i.audience == "internal" for i in decision.items),
        decision=decision_json(decision, inside=True),
        verdict=verdict,
        roles=[role_label(role) for role in policy.roles],
        policy=policy,
        summary=summarize(report, decision, verdict, inside=inside)[1:-1],
        cautions=list_cautions(report, decision),
        criteria=list_criteria(report, decision, inside=inside),
        findings=[_finding(f) for f in report.findings],
        text=finding_text,
        link=TermLinks(),
        scrolls=_scrolls,
        attacks=attack_texts(report),
        plots=[_plots(name if several else "", *view) for name, view in views.items()],
        groups=_groups(report),
        tables=[_table(name if several else "", table) for name, table in tables.items()],
        may=_may(report, formal=facts.formal),
        may_not=_may_not(facts.formal),
    )


def _file(name: str) -> str:
    return (resources.files("galenic.release") / name).read_text(encoding="utf-8")


def _template(name: str) -> Template:
    return Environment(autoescape=True, undefined=StrictUndefined).from_string(_file(name))


def _scrolls(chart: Chart) -> Markup:
    """Attributes of a figure that may be wider than a small screen, so that it scrolls by keyboard, too."""
    return Markup(' tabindex="0" role="group" aria-label="{}"').format(chart.title)


def _finding(f: Finding | NotMeasured) -> dict[str, Any]:
    text = finding_text(f.name)
    if isinstance(f, NotMeasured):
        return {"name": f.name, "text": text, "not_measured": f.why}
    shown = {"value": text.format_value(f.value), "interval": format_interval(text, f), "method": f.method.rstrip(".")}
    return {"name": f.name, "text": text, "not_measured": "", "better": BETTER[f.direction], **shown}


def _plots(name: str, made: Table, held: Table | None) -> dict[str, Any]:
    """Charts of one table."""
    return {"name": name, "columns": column_charts(made, held, name), "pairs": association_charts(made, held, name)}


def _groups(report: Report) -> list[Chart]:
    """Charts of groups of people, where they were measured."""
    shares, gap = report.get("fairness.representation"), report.get("fairness.gap")
    shift = shares.detail["shift"] if isinstance(shares, Finding) else {}
    flat = {f"{column}: {group}": by for column, groups in shift.items() for group, by in groups.items()}
    return group_charts(flat, gap.detail["lost"] if isinstance(gap, Finding) else {})


def _table(name: str, table: Table) -> dict[str, Any]:
    head = table.frame.slice(0, 3).to_pylist()
    return {
        "name": name,
        "columns": [
            {
                "place": place,
                "name": c.name,
                "kind": c.kind,
                "unit": c.unit,
                "levels": c.levels,
                "kind_origin": c.kind_origin,
                "origin": origin(c),
            }
            for place, c in enumerate(table.columns)
        ],
        "examples": [["" if row[c.name] is None else row[c.name] for c in table.columns] for row in head],
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


def _may(report: Report, *, formal: bool) -> Iterable[str]:
    yield "Build and test software, teach, and explore which questions are worth asking of the real records."
    measured = any(isinstance(f, Finding) and f.name.startswith("fidelity.") for f in report.findings)
    beside = "with the measured differences on this page beside them" if measured else "with this card beside them"
    yield f"Report results, marked as computed from synthetic data, {beside}."
    if formal:
        yield "Process it further in any way: the guarantee of differential privacy remains."


def _may_not(formal: bool) -> Iterable[str]:
    yield "Decide anything about a patient from it."
    yield "Report a rare event, a small subgroup or a combination of three columns as if it had been counted in patients."
    yield "Treat a row as a person: no row belongs to anyone, and rows do not belong together."
    if not formal:
        yield "Publish it as anonymous: it has no formal privacy guarantee."
