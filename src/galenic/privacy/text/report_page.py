"""Report of a de-identification as one self-contained HTML page, which a privacy officer can sign."""

from importlib.resources import files
from typing import Any

from jinja2 import Environment, StrictUndefined

from galenic.privacy.text.policy import identifier_kinds


def render_report(report: dict[str, Any]) -> str:
    """HTML of a report in the form of `deidentification_json`: counts and places, but no values."""
    by_kind: dict[str, dict[str, Any]] = {}
    for row in report["found"]:
        one = by_kind.setdefault(
            row["kind"], {"count": 0, "layers": {}, "treated": set(), "about": identifier_kinds()[row["kind"]]}
        )
        one["count"] += row["count"]
        one["layers"][row["layer"]] = row["count"]
    for row in report["treated"]:
        if row["kind"] in by_kind:
            by_kind[row["kind"]]["treated"].add(row["treatment"])
    most = max((one["count"] for one in by_kind.values()), default=1)
    template = files("galenic.privacy.text").joinpath("data/page.html").read_text(encoding="utf-8")
    engine = Environment(autoescape=True, undefined=StrictUndefined)
    return engine.from_string(template).render(
        report=report, by_kind=sorted(by_kind.items(), key=lambda x: -x[1]["count"]), most=most, pc=_percent
    )


def _percent(share: float) -> str:
    return f"{100 * share:.2g} %" if share < 0.1 else f"{100 * share:.0f} %"
