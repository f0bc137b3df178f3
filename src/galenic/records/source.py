"""Sources: tables that can be read repeatedly, batch by batch, so that memory stays bounded as files grow."""

from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from galenic.errors import RecordError
from galenic.records.parse import convert
from galenic.schema import ARROW_TYPES, Column, Table

MOST_COLUMNS = 10_000
NESTED = pa.struct([("json", pa.string())])  # type of values that are lists or structures

Mask = NDArray[np.bool_]
Opener = Callable[[list[str] | None], Iterator[pa.Table]]


@dataclass(frozen=True)
class Source:
    """One table on disk or in memory.

    name: in messages. names: its columns. open: yields raw batches of the named columns (None: all).
    rows: which rows belong (None: all), shape (rows in the file,).
    """

    name: str
    names: tuple[str, ...]
    open: Opener
    rows: Mask | None = None

    def where(self, rows: Mask) -> "Source":
        """The table restricted to some of its rows; `rows` has one entry per row of the file."""
        return replace(self, rows=rows if self.rows is None else self.rows & rows)

    def raw(self, names: list[str] | None = None) -> Iterator[tuple[int, pa.Table]]:
        """Untyped batches of the file, with the number of file rows before each."""
        offset = 0
        for batch in self.open(names):
            size = batch.num_rows
            kept = batch if self.rows is None else batch.filter(pa.array(self.rows[offset : offset + size]))
            if kept.num_rows:
                yield offset, kept
            offset += size

    def tables(self, columns: tuple[Column, ...]) -> Iterator[Table]:
        """Typed batches of the described columns. Raise RecordError for the first value that does not fit its column."""
        needed = [column.name for column in columns]
        absent = [name for name in needed if name not in self.names]
        if absent:
            raise RecordError(
                f"columns {absent} are in the description but not in {self.name}; it has {list(self.names)}. Rename the "
                "column in the source, or remove it from the description."
            )
        for offset, batch in self.raw(needed):
            arrays = [convert(batch[column.name], column, offset) for column in columns]
            yield Table(pa.table(arrays, names=needed), columns)

    def table(self, columns: tuple[Column, ...]) -> Table:
        """All rows at once; for tables known to fit in memory."""
        frames = [t.frame for t in self.tables(columns)]
        if not frames:
            schema = pa.schema([(c.name, ARROW_TYPES[c.kind]) for c in columns])
            return Table(schema.empty_table(), columns)
        return Table(pa.concat_tables(frames), columns)

    def sample(self, most: int, rng: np.random.Generator) -> "Source":
        """At most `most` rows, chosen at random, so that the rows of an evaluation are bounded."""
        rows = self.rows if self.rows is not None else np.ones(self.count(), dtype=np.bool_)
        places = np.flatnonzero(rows)
        if places.size <= most:
            return self
        kept = np.zeros(rows.size, dtype=np.bool_)
        kept[rng.permutation(places)[:most]] = True
        return replace(self, rows=kept)

    def count(self) -> int:
        """Number of rows; reads the file unless a mask states it."""
        if self.rows is not None:
            return int(self.rows.sum())
        return sum(batch.num_rows for batch in self.open([self.names[0]]))


def require_names(where: str, names: tuple[str, ...]) -> None:
    """RecordError if two columns have one name, or if there are too many."""
    if len(names) > MOST_COLUMNS:
        raise RecordError(
            f"{where} has {len(names):,} columns; at most {MOST_COLUMNS:,} are read. Leave some out, or write rows."
        )
    repeated = sorted(name for name, count in Counter(names).items() if count > 1)
    if repeated:
        raise RecordError(f"{where}: columns {repeated[:5]} appear more than once. Give each column its own name.")


def in_memory(frame: pa.Table, name: str = "table") -> Source:
    """A source over an Arrow table that is in memory already."""
    require_names(name, tuple(frame.column_names))

    def opener(names: list[str] | None) -> Iterator[pa.Table]:
        yield frame if names is None else frame.select(names)

    return Source(name, tuple(frame.column_names), opener)
