"""Quality of a data set in custody as a job; its page and its verdict are kept inside."""

import json
import time
from hashlib import sha256
from pathlib import Path
from typing import Any

from galenic import store
from galenic.errors import DescriptionError, GalenicError
from galenic.flows import quality_of_stored
from galenic.installation import Installation, open_installation
from galenic.jobs.worker import job_session, progress_writer, submit_job
from galenic.security import Session

PURPOSES = {
    "privacy-officer": "quality",
    "researcher": "research",
    "data-scientist": "research",
}  # in whose right it is measured


def submit_quality(installation: Installation, session: Session, name: str) -> str:
    """Asks for the quality of a data set, as far as the asker's right covers it; returns the job's id."""
    store.dataset(installation.db, name, session.tenant)
    roles = installation.people.roles(session.who)
    purpose = next((p for r, p in PURPOSES.items() if r in roles), "")
    if not purpose:
        raise DescriptionError("quality is measured by a privacy officer, or by those who do research with the data.")
    return submit_job(installation, session, "quality", {"dataset": name, "purpose": purpose})


def stored_quality(installation: Installation, name: str) -> dict[str, Any] | None:
    """What was last measured of a data set: at, by, accepted, findings; None where nothing was."""
    place = _place(installation, name, "json")
    return dict(json.loads(place.read_text(encoding="utf-8"))) if place.is_file() else None


def quality_page(installation: Installation, name: str) -> str:
    """The page of it. DescriptionError where there is none."""
    place = _place(installation, name, "html")
    if not place.is_file():
        raise DescriptionError("the quality of this data set was not measured yet.")
    return place.read_text(encoding="utf-8")


def _place(installation: Installation, name: str, ending: str) -> Path:
    """Of a name that may hold anything."""
    return installation.home / "quality" / f"{sha256(name.encode()).hexdigest()[:32]}.{ending}"


def advance_quality(state: dict[str, Any]) -> dict[str, Any]:
    """The one step of the job."""
    installation = open_installation(Path(state["home"]))
    try:
        session = job_session(installation, state)
        progress_writer(installation, state)("measuring", 0.2)
        found = quality_of_stored(installation, session, state["dataset"], state["purpose"])
        installation.gate.end(session)
        (installation.home / "quality").mkdir(exist_ok=True, mode=0o700)
        accepted, refused = found.decision.accepted, len(found.decision.refusals)
        said = {
            "at": time.strftime("%Y-%m-%d %H:%M", time.gmtime()),
            "by": state["by"],
            "accepted": accepted,
            "refused": refused,
        }
        for ending, text in (("html", found.html), ("json", json.dumps(said))):
            with store.file_aside(_place(installation, state["dataset"], ending)) as aside:
                aside.write_text(text, encoding="utf-8")
        what = "good enough" if accepted else f"{refused} findings are below the floor"
        return {**state, "done": True, "share": 1.0, "what": what}
    except GalenicError as error:
        return {**state, "done": True, "error": str(error)}
    finally:
        installation.close()
