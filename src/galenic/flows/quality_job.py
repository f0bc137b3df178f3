"""Quality of a data set in custody as a job; its page and its verdict are kept inside."""

import json
import time
from hashlib import sha256
from pathlib import Path
from typing import Any

from galenic import store
from galenic.errors import DescriptionError, GalenicError
from galenic.flows.house import House, open_house
from galenic.flows.quality import quality_of_stored
from galenic.flows.work import ask, session_of, teller
from galenic.security import Session

PURPOSES = {
    "privacy-officer": "quality",
    "researcher": "research",
    "data-scientist": "research",
}  # in whose right it is measured


def ask_quality(house: House, session: Session, name: str) -> str:
    """Asks for the quality of a data set, as far as the asker's right covers it; returns the job's id."""
    store.dataset(house.db, name, session.tenant)
    roles = house.people.roles(session.who)
    purpose = next((p for r, p in PURPOSES.items() if r in roles), "")
    if not purpose:
        raise DescriptionError("quality is measured by a privacy officer, or by those who do research with the data.")
    return ask(house, session, "quality", {"dataset": name, "purpose": purpose})


def kept_quality(house: House, name: str) -> dict[str, Any] | None:
    """What was last measured of a data set: at, by, accepted, findings; None where nothing was."""
    place = _place(house, name, "json")
    return dict(json.loads(place.read_text(encoding="utf-8"))) if place.is_file() else None


def quality_page(house: House, name: str) -> str:
    """The page of it. DescriptionError where there is none."""
    place = _place(house, name, "html")
    if not place.is_file():
        raise DescriptionError("the quality of this data set was not measured yet.")
    return place.read_text(encoding="utf-8")


def _place(house: House, name: str, ending: str) -> Path:
    """Of a name that may hold anything."""
    return house.home / "quality" / f"{sha256(name.encode()).hexdigest()[:32]}.{ending}"


def advance_quality(state: dict[str, Any]) -> dict[str, Any]:
    """The one step of the job."""
    house = open_house(Path(state["home"]))
    try:
        session = session_of(house, state)
        teller(house, state)("measuring", 0.2)
        found = quality_of_stored(house, session, state["dataset"], state["purpose"])
        house.gate.end(session)
        (house.home / "quality").mkdir(exist_ok=True, mode=0o700)
        accepted, refused = found.decision.accepted, len(found.decision.refusals)
        said = {
            "at": time.strftime("%Y-%m-%d %H:%M", time.gmtime()),
            "by": state["by"],
            "accepted": accepted,
            "refused": refused,
        }
        for ending, text in (("html", found.html), ("json", json.dumps(said))):
            with store.file_aside(_place(house, state["dataset"], ending)) as aside:
                aside.write_text(text, encoding="utf-8")
        what = "good enough" if accepted else f"{refused} findings are below the floor"
        return {**state, "done": True, "share": 1.0, "what": what}
    except GalenicError as error:
        return {**state, "done": True, "error": str(error)}
    finally:
        house.close()
