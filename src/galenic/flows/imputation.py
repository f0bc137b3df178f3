"""Imputation of a table with the model of a run."""

from pathlib import Path

import numpy as np
import pyarrow as pa

from galenic import records, store
from galenic.errors import RecordError, StateError, UnknownNameError
from galenic.generators.tables import ImputedTable, MixtureTables
from galenic.installation import Installation
from galenic.records import Source
from galenic.release import Run


def impute(installation: Installation, run: str, source: Source, out: Path, *, seed: int | None = None) -> ImputedTable:
    """Fills missing values of the caller's own rows from the other values of each row, and writes the rows. Existing values,
    and columns that the model does not know, are unchanged."""
    folder = Run(installation, run).model_folder
    if not folder.is_dir():
        raise UnknownNameError(
            f"run {run!r} does not exist here or has no model. Choose one of the runs in {installation.runs}."
        )
    if out.exists():
        raise StateError(f"{out} already exists. Name a new file.")
    model = MixtureTables.load(folder)
    columns = tuple(c for c in model.columns if c.name in source.names)
    if not columns:
        raise RecordError(
            f"{source.name} has none of the model's columns {[c.name for c in model.columns]}. Give a table with these columns."
        )
    done = model.impute(source.table(columns), np.random.default_rng(seed) if seed is not None else None)
    installation.audit.append("impute", run, rows=done.table.rows, filled=done.filled, left=done.left)
    whole = pa.concat_tables([batch for _, batch in source.raw()])
    for name in done.table.names:
        whole = whole.set_column(whole.column_names.index(name), name, done.table.frame[name])
    with store.file_aside(out) as aside:
        records.write_frame(whole, aside)
    return done
