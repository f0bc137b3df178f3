"""Measurement of the quality of a stored data set, and its report pages."""

from collections.abc import Iterator
from hashlib import sha256
from pathlib import Path
from typing import Literal

import pyarrow as pa

from galenic import records, store
from galenic.custody.timelines import read_timelines
from galenic.installation import Installation
from galenic.records import FORMATS
from galenic.records.quality import TableQuality, measure_events, measure_table
from galenic.records.terminology import terminology
from galenic.security import Grant, Session

Page = Literal["none", "inside", "outside"]
"""Place of the page that is made of a measurement."""


def measure_dataset(
    installation: Installation, session: Session, name: str, purpose: str, *, page: Page = "none"
) -> TableQuality:
    """Findings about the part of a data set that an access decision covers: its timelines, or the rows of a table.

    page: path of the page that the caller will write; it is recorded with its patients.
    """
    dataset = store.dataset(installation.db, name, session.tenant)
    with installation.gate.open(session, "index", store.resource(name), purpose) as grant:
        if page != "none":
            _record_page(installation, grant, name, page)
        if not FORMATS[str(dataset["kind"])].has_events:
            source = _rows(installation, grant, dataset)
            return measure_table(source, tuple(records.describe(source)), patient=str(dataset["patient"]))
        with read_timelines(installation, grant, dataset) as timelines:
            return measure_events(timelines.batches, terminology(installation.home))


def _record_page(installation: Installation, grant: Grant, name: str, page: Page) -> None:
    subjects = [s for s in store.subjects_of(installation.db, grant, name) if s != store.NO_SUBJECT]
    inside = page == "inside"
    about: store.Row = {
        "id": page_id(name) if inside else f"page/{grant.decision}",
        "kind": "quality" if inside else "page",
        "made_from": f"table/{name}",
        "place": page,
    }
    store.add_artefact(installation.db, about, subjects)


def page_id(name: str) -> str:
    """Artifact id of the page of a data set. It is a digest, because the data set's name may contain any character."""
    return f"quality/{sha256(name.encode()).hexdigest()[:32]}"


def page_file(installation: Installation, artifact: str, ending: str) -> Path:
    """A file of the page with an artifact id."""
    return installation.home / f"{artifact}.{ending}"


def stored_pages(installation: Installation) -> list[str]:
    """The artifact ids of all pages that are stored."""
    return sorted({f"quality/{p.stem}" for p in (installation.home / "quality").glob("*.*") if not p.name.startswith(".")})


def drop_quality(installation: Installation, artifact: str) -> bool:
    """Deletes the page with an artifact id. Returns True if a file of it remains."""
    files = [page_file(installation, artifact, ending) for ending in ("html", "json")]
    for file in files:
        file.unlink(missing_ok=True)
    store.drop_artefact(installation.db, artifact)
    return any(file.exists() for file in files)


def _rows(installation: Installation, grant: Grant, dataset: store.Dataset) -> records.Source:
    """The rows and columns of a table that the decision covers."""
    columns = [n for n in store.schema_of(dataset).names if n not in grant.masked]

    def opener(wanted: list[str] | None) -> Iterator[pa.Table]:
        return store.read(installation.db, grant, dataset, columns if wanted is None else wanted)

    return records.Source(str(dataset["name"]), tuple(columns), opener)
