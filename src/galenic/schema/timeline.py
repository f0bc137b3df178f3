"""Timelines: the Medical Event Data Standard (MEDS 0.4, https://github.com/Medical-Event-Data-Standard/meds) with further columns."""

from collections.abc import Iterable, Iterator
from itertools import pairwise
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa

BIRTH, DEATH = "MEDS_BIRTH", "MEDS_DEATH"

TIMELINE = pa.schema(
    [
        ("subject_id", pa.int64()),
        ("time", pa.timestamp("us")),
        ("code", pa.string()),
        ("numeric_value", pa.float32()),
        ("text_value", pa.large_string()),
        # beyond MEDS, so that no information is lost
        ("end_time", pa.timestamp("us")),
        ("code_system", pa.string()),
        ("unit", pa.string()),
        ("value_text", pa.string()),
        ("utc_offset", pa.int16()),
        ("encounter_id", pa.string()),
        ("source_ref", pa.string()),
        ("ingest_id", pa.int64()),
    ]
)


class Event(NamedTuple):
    """One event of a patient, before the patient has a subject id.

    time, end_time: microseconds since 1970 in UTC; None for what holds always, such as sex. numeric_value in `unit` (UCUM);
    value_text: the number as it was written. utc_offset: minutes east of UTC that the source stated; None if it stated none.
    """

    time: int | None
    code: str
    numeric_value: float | None = None
    text_value: str | None = None
    end_time: int | None = None
    code_system: str | None = None
    unit: str | None = None
    value_text: str | None = None
    utc_offset: int | None = None
    encounter_id: str | None = None
    source_ref: str | None = None


def timeline_table(rows: list[tuple[Any, ...]]) -> pa.Table:
    """A table of TIMELINE from (subject_id, *Event, ingest_id), one or more, in their order."""
    columns = dict(zip(["subject_id", *Event._fields, "ingest_id"], zip(*rows, strict=True), strict=True))
    return pa.table([pa.array(columns[f.name], f.type) for f in TIMELINE], schema=TIMELINE)


def events_by_subject(tables: Iterable[pa.Table]) -> Iterator[tuple[int, list[dict[str, Any]]]]:
    """(subject_id, events) of each patient, from tables with all events of each patient together; times in microseconds."""
    for table in tables:
        plain = table.set_column(1, "time", table["time"].cast(pa.int64()))
        plain = plain.set_column(5, "end_time", plain["end_time"].cast(pa.int64()))
        subjects = plain["subject_id"].to_numpy()
        edges = [0, *(np.flatnonzero(np.diff(subjects)) + 1).tolist(), len(subjects)]
        for start, end in pairwise(edges):
            yield int(subjects[start]), plain.slice(start, end - start).to_pylist()
