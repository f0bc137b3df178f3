"""The report of a de-identification, as JSON and as an HTML page."""

import json
from pathlib import Path
from typing import Any

from galenic.privacy import text
from galenic.privacy.deidentification.run import DeidentificationReport
from galenic.store import file_aside


def deidentification_json(report: DeidentificationReport) -> dict[str, Any]:
    """The report as JSON."""
    findings, residual = report.findings, report.residual_search
    return {
        "policy": {"name": report.policy.name, "text": report.policy.text, "treat": report.policy.treat},
        "files": len(report.files),
        "refused": [{"where": where, "why": why} for where, why in report.refusals],
        "remarks": [{"where": where, "what": what} for where, what in report.remarks],
        "texts": {"read": findings.texts, "with identifiers": findings.texts_with_identifiers, "signs": findings.characters},
        "found": [{"kind": k, "layer": layer, "count": n} for (k, layer), n in sorted(findings.counts.items())],
        "treated": [{"kind": k, "treatment": how, "count": n} for (k, how), n in sorted(report.replacements.items())],
        "left out": [{"what": what, "count": n} for what, n in (report.omissions + findings.unreadable).most_common()],
        "resources": dict(report.resources),
        "planted": report.planted.to_json() if report.planted is not None else None,
        "search": {"values": residual.values, "left": residual.places, "fields": residual.fields},
        "risk": report.risks,
        "columns": report.columns,
        "expected": {"identifiers missed": report.expected_missed, "model card": report.detector_accuracy},
    }


def write_report(report: DeidentificationReport, file: Path) -> None:
    """Write the report as JSON if the file name ends in .json, else as HTML."""
    content = deidentification_json(report)
    page = json.dumps(content, indent=1) if file.suffix == ".json" else text.render_report(content)
    with file_aside(file) as aside:
        aside.write_text(page, encoding="utf-8")
