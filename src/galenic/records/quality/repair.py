"""Conversion of values to the unit of the rest, only on request, with a report."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pyarrow as pa

from galenic.records.quality.units import Mix
from galenic.records.source import Source
from galenic.records.writer import write_stream


def repair_units(source: Source, mixes: dict[str, Mix], target: Path) -> dict[str, int]:
    """Writes the table with converted values for each mix of units. Returns their number by column. A mix without a known
    conversion is unchanged."""
    count = dict.fromkeys(mixes, 0)

    def batches() -> Iterator[pa.Table]:
        for offset, batch in source.raw():
            for column, mix in mixes.items():
                if mix.convert is None:
                    continue
                first, last = np.searchsorted(mix.places, [offset, offset + batch.num_rows])
                texts = batch[column].cast(pa.string()).to_pylist()
                for place in mix.places[first:last] - offset:
                    texts[place] = f"{float(texts[place]) * mix.convert[0] + mix.convert[1]:.6g}"
                    count[column] += 1
                batch = batch.set_column(batch.column_names.index(column), column, pa.array(texts, pa.string()))
            yield batch

    write_stream(batches(), target)
    return count
