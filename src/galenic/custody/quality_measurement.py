"""Measurement of the quality of a data set in custody."""

from collections.abc import Iterator

import pyarrow as pa

from galenic import records, store
from galenic.custody.timelines import read_timelines
from galenic.installation import Installation
from galenic.records import FORMATS
from galenic.records.quality import TableQuality, measure_events, measure_table
from galenic.records.terminology import terminology
from galenic.security import Grant, Session


def measure_dataset(installation: Installation, session: Session, name: str, purpose: str) -> TableQuality:
    """Findings about the part of a data set that an access decision covers: its timelines, or the rows of a table."""
    dataset = store.dataset(installation.db, name, session.tenant)
    with installation.gate.open(session, "index", store.resource(name), purpose) as grant:
        if not FORMATS[str(dataset["kind"])].has_events:
            source = _rows(installation, grant, dataset)
            return measure_table(source, tuple(records.describe(source)), patient=str(dataset["patient"]))
        with read_timelines(installation, grant, dataset) as timelines:
            return measure_events(timelines.batches, terminology(installation.home))


def _rows(installation: Installation, grant: Grant, dataset: store.Dataset) -> records.Source:
    """The rows and columns of a table that the decision covers."""
    columns = [n for n in store.schema_of(dataset).names if n not in grant.masked]

    def opener(wanted: list[str] | None) -> Iterator[pa.Table]:
        return store.read(installation.db, grant, dataset, columns if wanted is None else wanted)

    return records.Source(str(dataset["name"]), tuple(columns), opener)
