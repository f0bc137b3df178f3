"""Quality report for people: one self-contained HTML page."""

from collections.abc import Mapping
from dataclasses import dataclass
from importlib import resources
from typing import Any

from jinja2 import Environment, StrictUndefined
from markupsafe import Markup

from galenic.records.quality.result import SMALLEST_GROUP, TableQuality
from galenic.schema import Finding, NotMeasured

WORDS = {
    "quality.conformance": ("Conformance", "values in numeric columns that are not numbers"),
    "quality.codes": ("Conformance", "events whose code does not exist in its system"),
    "quality.units": ("Conformance", "values whose unit is not a UCUM unit"),
    "quality.units.mixed": ("Conformance", "values in a different unit than the rest"),
    "quality.missing": ("Completeness", "missing values"),
    "quality.missing.worst": ("Completeness", "missing values in the column or code with the most"),
    "quality.missing.uneven": ("Completeness", "difference in missing values between groups or years"),
    "quality.orders": ("Plausibility", "impossible orders of dates"),
    "quality.range": ("Plausibility", "values outside the possible range"),
    "quality.outliers": ("Plausibility", "outliers (values far from all others)"),
    "quality.repeated": ("Plausibility", "duplicate rows"),
    "quality.duplicates": ("Plausibility", "records that probably belong to one person"),
    "quality.representative": ("Representativeness", "distance from the reference population"),
    "quality.drift": ("Drift", "distance from the earlier import"),
}
ADVICE = {
    "quality.units.mixed": "See which device or site writes so; then repair: galenic records quality FILE --repaired-table OUT.csv",
    "quality.orders": "Ask the source which of the two times is right; until then leave these out of anything that learns from time.",
    "quality.duplicates": "Let a person decide on each pair; nothing is merged here.",
    "quality.range": "Values beyond what is possible are errors of entry, unit or device: trace them to their source.",
    "quality.codes": "A newer release of the code system may have them; else correct the source.",
    "quality.units": "State units in UCUM, such as mg/dL, mm[Hg], Cel.",
}


@dataclass(frozen=True)
class ReportLine:
    """One line of the page: a finding and its rule of the floor. outcome: met, not met, not measured, or "" without a rule."""

    name: str
    group: str
    reads: str
    value: str
    outcome: str
    threshold: str
    reason: str
    todo: str
    places: list[dict[str, Any]]


def render_page(title: str, done: TableQuality, rules: Mapping[str, tuple[str, str, str]], holds: bool) -> str:
    """Rendered page. rules: (outcome, threshold, reason) by finding; holds: True if the required minimum is met."""
    lines = [_line(f, rules.get(f.name)) for f in done.findings]
    lines.sort(key=lambda j: (list(dict.fromkeys(g for g, _ in WORDS.values())).index(j.group), j.name))
    text = (resources.files("galenic.records.quality") / "page.html").read_text(encoding="utf-8")
    environment = Environment(autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True)
    plots = [(name, Markup(_bars(name, h))) for name, h in done.histograms.items()]  # nosec B704  # noqa: S704  # made of numbers; names escaped
    return environment.from_string(text).render(
        title=title, rows=done.rows, lines=lines, holds=holds, plots=plots, years=_grid(done.missing_by_year),
        groups={g: _grid(t) for g, t in done.missing_by_group.items() if t},
    )  # fmt: skip


def _line(f: Finding | NotMeasured, rule: tuple[str, str, str] | None) -> ReportLine:
    group, reads = WORDS[f.name]
    outcome, threshold, reason = rule or ("", "", "")
    if isinstance(f, NotMeasured):
        return ReportLine(f.name, group, reads, "not measured", outcome or "not measured", threshold, f.why, "", [])
    places = [_place(p) for p in list(f.detail.get("columns", []))[:12]]
    todo = ADVICE.get(f.name, "") if f.value else ""
    shown = f"{f.value:.3f}" if f.name in ("quality.drift", "quality.representative") else f"{f.value:.2%}"
    return ReportLine(f.name, group, reads, shown, outcome, threshold, reason, todo, places)


def _place(place: dict[str, Any]) -> dict[str, Any]:
    """Place as the page shows it. A code of only a few patients is not named, because it could identify them."""
    rare = place.get("events", SMALLEST_GROUP) < SMALLEST_GROUP
    return {**place, "where": f"a code of fewer than {SMALLEST_GROUP} events", "what": ""} if rare else place


def _grid(table: dict[str, dict[str, float]]) -> dict[str, Any]:
    """Rows and columns of a table of shares, each with its shade."""
    heads = sorted({k for row in table.values() for k in row})[-24:]
    rows = [
        (n, [(row.get(k), round(min(1.0, row.get(k) or 0) * 0.85, 2)) for k in heads]) for n, row in list(table.items())[:40]
    ]
    return {"heads": heads, "rows": rows}


def _bars(name: str, h: dict[str, Any]) -> str:
    """A histogram as SVG: all values, and over them those in the other unit."""
    width, height, most = 480, 120, max(h["all"]) or 1
    step = width / len(h["all"])
    parts = []
    for kind, color in (("all", "var(--soft)"), ("strange", "var(--loud)")):
        for i, n in enumerate(h[kind]):
            tall = 0 if not n else max(2, height * (n / most) ** 0.5)  # root scale, so that few values beside many are visible
            parts.append(
                f'<rect x="{i * step:.1f}" y="{height - tall:.1f}" width="{step - 1:.1f}" height="{tall:.1f}" fill="{color}"/>'
            )
    low, high, under = f"up to {h['edges'][0]:.4g}", f"{h['edges'][-1]:.4g} and more", height + 16
    ends = f'<text x="0" y="{under}">{low}</text><text x="{width}" y="{under}" text-anchor="end">{high}</text>'
    count, strange = h["values"], h["strange_values"]
    label = Markup.escape(f"{name}: {count:,} values, {strange:,} of them in another unit; bar heights on a square-root scale")
    return f'<svg role="img" aria-label="{label}" viewBox="0 0 {width} {height + 20}">{"".join(parts)}{ends}</svg>'
