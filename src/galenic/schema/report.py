"""Findings: measurements of a result, and measurements that could not be made."""

import math
from dataclasses import dataclass, field
from typing import Any, Literal

Direction = Literal["lower", "higher", "fact"]
Audience = Literal["public", "internal"]


@dataclass(frozen=True)
class Finding:
    """Measured number of a result.

    interval: 95 % where the method gives one; direction: which way is better ("fact": neither). audience: public findings are
    part of the release, internal ones are only for the signers.
    """

    name: str
    value: float
    method: str
    direction: Direction = "lower"
    interval: tuple[float, float] | None = None
    audience: Audience = "internal"
    detail: dict[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if not math.isfinite(self.value):
            raise ValueError(f"finding {self.name!r} is not a finite number; use NotMeasured with the reason instead")


@dataclass(frozen=True)
class NotMeasured:
    """A measurement that failed or could not be made, and why. It is never a number."""

    name: str
    why: str
    audience: Audience = "internal"

    def __str__(self) -> str:
        return f"{self.name} was not measured: {self.why}"


@dataclass(frozen=True)
class Report:
    """Findings about one subject, in order."""

    subject: str
    findings: tuple[Finding | NotMeasured, ...]

    @property
    def failures(self) -> tuple[NotMeasured, ...]:
        """The measurements that could not be made."""
        return tuple(f for f in self.findings if isinstance(f, NotMeasured))

    def get(self, name: str) -> Finding | NotMeasured | None:
        """Finding with that name, or None."""
        return next((f for f in self.findings if f.name == name), None)

    def only(self, audience: Audience) -> "Report":
        """Findings for one audience."""
        return Report(self.subject, tuple(f for f in self.findings if f.audience == audience))

    def plus(self, *more: Finding | NotMeasured) -> "Report":
        """Report with further findings at the end."""
        return Report(self.subject, self.findings + more)


def to_json(report: Report) -> dict[str, Any]:
    """Report as plain JSON types, with keys in a fixed order."""
    rows: list[dict[str, Any]] = []
    for f in report.findings:
        if isinstance(f, NotMeasured):
            rows.append({"name": f.name, "not_measured": f.why, "audience": f.audience})
        else:
            interval = list(f.interval) if f.interval else None
            rows.append(
                {
                    "name": f.name,
                    "value": f.value,
                    "interval": interval,
                    "direction": f.direction,
                    "method": f.method,
                    "audience": f.audience,
                    "detail": f.detail,
                }
            )
    return {"subject": report.subject, "findings": rows}


def from_json(data: dict[str, Any]) -> Report:
    """Report from the result of `to_json`."""
    findings: list[Finding | NotMeasured] = []
    for row in data["findings"]:
        if "not_measured" in row:
            findings.append(NotMeasured(row["name"], row["not_measured"], row["audience"]))
        else:
            interval = (row["interval"][0], row["interval"][1]) if row["interval"] else None
            findings.append(
                Finding(row["name"], row["value"], row["method"], row["direction"], interval, row["audience"], row["detail"])
            )
    return Report(data["subject"], tuple(findings))
