"""Texts of findings for people: label, sentence, limit of the method, direction and unit."""

import tomllib
from dataclasses import dataclass
from functools import cache
from importlib import resources
from typing import Any


@dataclass(frozen=True)
class FindingText:
    """Texts of one finding. direction: lower, higher (is better) or fact. unit: see `format_value`. terms: anchors in the glossary.

    watch: value from which a reader is warned (None: only where its attack found a leak); warning: that sentence, with {value}; weight:
    order of warnings.
    """

    label: str
    sentence: str
    limit_of_method: str
    terms: tuple[str, ...]
    direction: str = "fact"
    unit: str = "number"
    watch: float | None = None
    warning: str = ""
    weight: int = 0

    def format_value(self, value: float) -> str:
        """A value of the finding as it is shown: shares in percent, counts as whole numbers, others to three digits."""
        value = 0.0 if abs(value) < 5e-5 and self.unit not in ("epsilon", "probability") else value  # never -0.000
        if self.unit == "share":
            return f"{value:.0%}" if value in (0, 1) else f"{value:.2%}" if abs(value) < 0.001 else f"{value:.1%}"
        if self.unit == "count":
            return f"{value:,.0f}"
        if self.unit in ("epsilon", "probability"):
            return f"{value:.4g}"
        return f"{value:.3f}"

    def format_limit(self, threshold: str) -> str:
        """A limit of a policy, such as "at most 0.05", in the unit of the finding."""
        if self.unit != "share":
            return threshold
        return " ".join(_percent(word) for word in threshold.split())


def _percent(word: str) -> str:
    try:
        return f"{float(word) * 100:g}%"
    except ValueError:
        return word


def finding_text(name: str) -> FindingText:
    """Texts of a finding. A finding without an entry, such as one of an artifact kind from outside, has its name as the label."""
    entry = entry_of(name)
    if entry is None:
        return FindingText(name, "", "", ())
    kept = {k: v for k, v in entry.items() if k not in ("limit", "formerly", "terms")}
    if "*" in entry["label"]:
        kept["label"] = entry["label"].replace("*", name.partition(".")[2])
    return FindingText(limit_of_method=entry["limit"], terms=tuple(f"term-{t}" for t in entry["terms"]), **kept)


def entry_of(name: str) -> dict[str, Any] | None:
    """Entry of a finding in findings.toml, by its name, an earlier name, or a pattern; None where there is none."""
    entries = finding_entries()
    if name in entries:
        return entries[name]
    former = next((e for e in entries.values() if name in e.get("formerly", ())), None)
    return former or entries.get(f"{name.partition('.')[0]}.*")


@cache
def finding_entries() -> dict[str, dict[str, Any]]:
    """Every entry of findings.toml, by name or pattern."""
    return tomllib.loads((resources.files("galenic.release") / "findings.toml").read_text(encoding="utf-8"))


def findings_markdown() -> str:
    """The table of findings as the reference shows it."""
    lines = ["| finding | code | meaning | limit of the method | better |", "|---|---|---|---|---|"]
    for name, entry in finding_entries().items():
        label = entry["label"].replace("*", "NAME")
        code = name.replace("*", "NAME")
        better = {"lower": "lower", "higher": "higher", "fact": ""}[entry["direction"]]
        lines.append(f"| {label} | `{code}` | {entry['sentence']} | {entry['limit']} | {better} |")
    return "\n".join(lines)
