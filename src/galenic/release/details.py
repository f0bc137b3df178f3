"""Details of a run as files store them: title, intended use and recipient, with a title for runs that were given none."""

from collections.abc import Mapping
from dataclasses import asdict, replace
from datetime import datetime
from typing import Any

from galenic.errors import InputError
from galenic.privacy import DEFAULT_POPULATION
from galenic.schema import RunDetails

FORMAT = 1  # of the entry "about" of a signers' sheet; sheets written before it have no such entry
KINDS = {"table": "Synthetic table", "deidentified-copy": "De-identified copy"}


def titled(details: RunDetails, run_id: str, kind: str = "table", population: str = "") -> RunDetails:
    """The details, with a title made of the kind, the population and the day where none was given."""
    if details.title:
        return details
    named = population and population != DEFAULT_POPULATION and not population.startswith("none")
    of = f" of {population}" if named else ""
    made = datetime.strptime(run_id[:8], "%Y%m%d")  # a day
    return replace(details, title=f"{KINDS.get(kind, 'Result')}{of[:60]}, {made.day} {made:%b %Y}")


def details_entry(details: RunDetails, kind: str, population: str) -> dict[str, Any]:
    """Entry "about" of a signers' sheet."""
    return {"format": FORMAT, "kind": kind, "population": population, **asdict(details)}


def stored_details(sheet: Mapping[str, Any], run_id: str, population: str) -> RunDetails:
    """Details from a signers' sheet of any version."""
    about = sheet.get("about", {})
    kind = str(about.get("kind") or ("deidentified-copy" if "deidentification" in sheet else "table"))
    texts = {name: str(about.get(name, "")) for name in ("title", "intended_use", "recipient")}
    try:
        details = RunDetails(**texts)
    except InputError:  # a sheet that somebody edited
        details = RunDetails()
    return titled(details, run_id, kind, str(about.get("population") or population))
