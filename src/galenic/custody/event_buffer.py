"""Buffer of events between reading originals and writing shards, and the Protocol of event readers."""

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, Protocol

import pyarrow as pa
import pyarrow.compute as pc

from galenic import store
from galenic.installation import Installation
from galenic.schema import timeline_table
from galenic.security import Grant

ORDER = [("subject_id", "ascending", "at_start"), ("time", "ascending", "at_start")]


@dataclass
class EventBuffer:
    """Events that are converted but not yet written, with texts, parent codes and losses of the conversion.

    described: text of codes; parents: their parent codes; dropped: number of records without an event, by kind.
    """

    installation: Installation
    grant: Grant
    dataset: store.Dataset
    tables: list[pa.Table] = field(default_factory=list)
    described: dict[str, str] = field(default_factory=dict)
    parents: dict[str, list[str]] = field(default_factory=dict)
    dropped: Counter[str] = field(default_factory=Counter)

    def put(self, rows: list[tuple[Any, ...]]) -> None:
        """Adds events as (subject id, *Event, row of the originals)."""
        if rows:
            self.tables.append(timeline_table(rows))

    def size(self) -> int:
        """Number of events in the buffer."""
        return sum(t.num_rows for t in self.tables)

    def take(self, last: int | None) -> pa.Table | None:
        """Removes and returns the complete subjects, sorted: all except `last`, which may continue (None: all)."""
        if not self.tables:
            return None
        table = pa.concat_tables(self.tables)
        incomplete = pc.equal(table["subject_id"], -1 if last is None else last)
        self.tables = [table.filter(incomplete)]
        complete = table.filter(pc.invert(incomplete))
        return complete.take(pc.sort_indices(complete, sort_keys=ORDER)) if complete.num_rows else None


class EventReader(Protocol):
    """Conversion of the originals of one kind of data set to events."""

    def read(self, buffer: EventBuffer, /) -> Iterator[int]:
        """Fills the buffer batch by batch, by subject; yields the last subject of each batch, which may continue."""
        ...
