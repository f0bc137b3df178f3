"""What a run did, for people and for machines."""

import json
from pathlib import Path
from typing import Any

from galenic.privacy import text
from galenic.privacy.deidentification.run import DeidentificationReport
from galenic.store import file_aside


def deidentification_json(done: DeidentificationReport) -> dict[str, Any]:
    """The report for machines."""
    return {
        "policy": {"name": done.policy.name, "text": done.policy.text, "treat": done.policy.treat},
        "files": len(done.files),
        "refused": [{"where": where, "why": why} for where, why in done.refused],
        "remarks": [{"where": where, "what": what} for where, what in done.remarks],
        "texts": {"read": done.taken.texts, "with identifiers": done.taken.touched, "signs": done.taken.signs},
        "found": [{"kind": k, "layer": layer, "count": n} for (k, layer), n in sorted(done.taken.found.items())],
        "treated": [{"kind": k, "treatment": how, "count": n} for (k, how), n in sorted(done.treated.items())],
        "left out": [{"what": what, "count": n} for what, n in (done.dropped + done.taken.dropped).most_common()],
        "resources": dict(done.resources),
        "search": {"values": done.stated[0], "left": done.stated[1]},
        "risk": done.risks,
        "residual": {"expected identifiers left": done.residual, "measured": done.measured},
    }


def write_report(done: DeidentificationReport, place: Path) -> None:
    """The report for people (.html) or machines (.json)."""
    page = (
        json.dumps(deidentification_json(done), indent=1)
        if place.suffix == ".json"
        else text.render_report(deidentification_json(done))
    )
    with file_aside(place) as aside:
        aside.write_text(page, encoding="utf-8")
