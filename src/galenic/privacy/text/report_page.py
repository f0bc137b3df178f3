"""Report of a de-identification as one self-contained HTML page, which a privacy officer can sign."""

from importlib.resources import files
from typing import Any

from jinja2 import Environment, StrictUndefined

from galenic.privacy.text.policy import identifier_kinds

METHODS = {
    "mondrian": "local generalization (Mondrian): values become ranges, as narrow as each group of rows allows",
    "global": "global generalization: values become ranges, the same ones for all rows",
}


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
    strata = report["planted"]["strata"] if report["planted"] is not None else []
    return engine.from_string(template).render(
        report=report,
        by_kind=sorted(by_kind.items(), key=lambda x: -x[1]["count"]),
        most=most,
        pc=_percent,
        missed=[one for one in strata if one["removed"] < one["planted"]],
        whole=[one for one in strata if one["removed"] == one["planted"]],
        worst=min(strata, key=lambda one: float(one["low"]), default=None),
        missed_text=_number_missed(report["expected"]["identifiers missed"]),
        methods=METHODS,
    )


def _number_missed(expected: float | None) -> str:
    """An expected number of missed identifiers in words."""
    if expected is None:
        return "an unknown number of"
    return "0" if expected == 0 else "less than 1" if expected < 1 else f"about {expected:,.0f}"


def _percent(share: float) -> str:
    return f"{100 * share:.2g} %" if share < 0.1 else f"{100 * share:.0f} %"
