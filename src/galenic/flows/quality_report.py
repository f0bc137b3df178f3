"""Quality report: measure files or a stored data set, compare with the required minimum, render the page."""

from dataclasses import dataclass
from pathlib import Path

from galenic.custody import Page, measure_dataset
from galenic.installation import Installation
from galenic.records import quality
from galenic.release import Decision, decide_quality
from galenic.schema import Progress, Report, no_progress
from galenic.security import Session


@dataclass(frozen=True)
class QualityResult:
    """Findings, the decision about them, and the page. repaired: number of converted values by column, after a repair."""

    report: Report
    decision: Decision
    html: str
    repaired: dict[str, int]


def measure_quality(
    paths: list[Path],
    request: quality.QualityRequest = quality.TABLE_ALONE,
    *,
    floor: Path | None = None,
    progress: Progress = no_progress,
) -> QualityResult:
    """Quality of files: a table, or timelines from FHIR, OMOP CDM or MEDS. Raise RecordError if they cannot be read."""
    return _result(paths[0].name, quality.measure_files(paths, request, progress), floor)


def quality_of_stored(
    installation: Installation, session: Session, name: str, purpose: str, *, floor: Path | None = None, page: Page = "none"
) -> QualityResult:
    """Quality of the part of a stored data set that an access decision covers. page: path of the page to write."""
    return _result(name, measure_dataset(installation, session, name, purpose, page=page), floor)


def _result(title: str, measured: quality.TableQuality, floor: Path | None) -> QualityResult:
    report = Report(f"quality of {title}", tuple(measured.findings))
    decision = decide_quality(report, floor)
    rules = {i.finding: (str(i.outcome), i.threshold, i.reason) for i in decision.items}
    html = quality.render_page(title, measured, rules, decision.accepted)
    return QualityResult(report, decision, html, measured.repaired)
