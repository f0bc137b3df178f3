"""Result of a quality measurement, and the places that a finding lists."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from galenic.records.quality.units import Mix
from galenic.schema import Finding, NotMeasured

SHOWN = 50  # places that a finding lists
SMALLEST_GROUP = 20  # rows or events of a group, year, bar or code that a page shows


@dataclass
class TableQuality:
    """Findings, and further contents of the page.

    mixes: columns in two units (for a repair); missing_by_year, missing_by_group: shares by column; histograms: of mixes;
    repaired: number of converted values by column.
    """

    findings: list[Finding | NotMeasured] = field(default_factory=list)
    mixes: dict[str, Mix] = field(default_factory=dict)
    missing_by_year: dict[str, dict[str, float]] = field(default_factory=dict)
    missing_by_group: dict[str, dict[str, dict[str, float]]] = field(default_factory=dict)
    histograms: dict[str, dict[str, Any]] = field(default_factory=dict)
    rows: int = 0
    repaired: dict[str, int] = field(default_factory=dict)


@dataclass
class Places:
    """Columns or codes with faulty values. count: of all faulty values."""

    count: int = 0
    places: list[dict[str, Any]] = field(default_factory=list)

    def add(self, where: str, share: float, what: str, *, count: int = 0, beside: Mapping[str, Any] | None = None) -> None:
        """Adds a place with its share of faulty values and a text. beside: rows, the numbers of the first ones; events, of a code."""
        self.count += count
        self.places.append({"where": where, "share": share, "what": what, **(beside or {})})

    def finding(self, name: str, total: int, method: str, *, most: int | None = None) -> Finding:
        """The share of faulty values among `total`, with at most `most` places."""
        return Finding(name, self.count / total, method, detail={"columns": self.places[:most]})
