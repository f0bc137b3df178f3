"""Quality of a stored data set, measured by a job. The report and its decision are not released."""

import json
import time
from pathlib import Path
from typing import Any

from galenic import store
from galenic.custody import drop_quality, page_file, page_id
from galenic.errors import GalenicError, OptionError, StateError
from galenic.flows import QualityResult, quality_of_stored
from galenic.installation import Installation, open_installation
from galenic.jobs.client import job_session, submit_job
from galenic.jobs.progress import progress_writer
from galenic.security import Session

PURPOSES = {"privacy-officer": "quality", "researcher": "research", "data-scientist": "research"}
"""Purpose of the measurement by the role of the user who requests it."""


def submit_quality(installation: Installation, session: Session, name: str) -> str:
    """Submits a measurement of a data set, within the user's rights, and returns the job's id."""
    store.dataset(installation.db, name, session.tenant)
    roles = installation.people.roles(session.who)
    purpose = next((p for r, p in PURPOSES.items() if r in roles), "")
    if not purpose:
        raise OptionError("quality can be measured by a privacy officer, or by persons who do research with the data.")
    return submit_job(installation, session, "quality", {"dataset": name, "purpose": purpose})


def stored_quality(installation: Installation, name: str) -> dict[str, Any] | None:
    """Last measurement of a data set: at, by, accepted, refused; None if there is none."""
    file = page_file(installation, page_id(name), "json")
    return dict(json.loads(file.read_text(encoding="utf-8"))) if file.is_file() else None


def quality_page(installation: Installation, name: str) -> str:
    """Report of the last measurement as HTML. Raise StateError if there is none."""
    file = page_file(installation, page_id(name), "html")
    if not file.is_file():
        raise StateError("the quality of this data set has not been measured yet. Measure it first.")
    return file.read_text(encoding="utf-8")


def advance_quality(state: dict[str, Any]) -> dict[str, Any]:
    """The only step of the job."""
    installation = open_installation(Path(state["home"]))
    try:
        session = job_session(installation, state)
        progress_writer(installation, state)("measuring", 0.2)
        erasures = store.version_numbers(installation.db).get("erasures", 0)
        result = quality_of_stored(installation, session, state["dataset"], state["purpose"], page="inside")
        installation.gate.end(session)
        _store(installation, state, result)
        if store.version_numbers(installation.db).get("erasures", 0) != erasures:
            drop_quality(installation, page_id(state["dataset"]))
            raise StateError("a patient was erased during the measurement. Measure the quality again.")
        refused = len(result.decision.refusals)
        outcome = "good enough" if result.decision.accepted else f"{refused} findings are below the required minimum"
        return {**state, "done": True, "share": 1.0, "what": outcome}
    except GalenicError as error:
        return {**state, "done": True, "error": str(error)}
    finally:
        installation.close()


def _store(installation: Installation, state: dict[str, Any], result: QualityResult) -> None:
    (installation.home / "quality").mkdir(exist_ok=True, mode=0o700)
    summary = {
        "at": time.strftime("%Y-%m-%d %H:%M", time.gmtime()),
        "by": state["by"],
        "accepted": result.decision.accepted,
        "refused": len(result.decision.refusals),
    }
    for ending, text in (("html", result.html), ("json", json.dumps(summary))):
        with store.file_aside(page_file(installation, page_id(state["dataset"]), ending)) as temporary:
            temporary.write_text(text, encoding="utf-8")
