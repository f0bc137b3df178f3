"""Decision on the quality of records: findings against a quality floor."""

from pathlib import Path

from galenic.records.quality import shipped_floor
from galenic.release.policy import Decision, decide, load_policy, parse_policy
from galenic.schema import Report


def decide_quality(report: Report, floor: Path | None = None) -> Decision:
    """Whether the findings meet a floor (TOML); by default the shipped one.

    The shipped floor has rules for tables and for timelines, and is applied as far as the report has measured them. All rules
    of another floor have to be met.
    """
    if floor is not None:
        return decide(report, load_policy(str(floor)))
    policy = parse_policy(shipped_floor(), "the shipped floor")
    names = {f.name for f in report.findings}
    measured = (r for r in policy.rules if r.finding in names and report.get(r.finding) not in report.failures)
    return decide(report, policy.with_rules(tuple(measured)))
