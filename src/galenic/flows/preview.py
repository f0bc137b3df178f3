"""Preview of a run: synthetic rows for a look inside the installation, also of a refused run; they are not released."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from galenic import records
from galenic.errors import OptionError, UnknownNameError
from galenic.generators.tables import MixtureTables, RelatedTables
from galenic.installation import Installation
from galenic.release import Run
from galenic.schema import Table

MOST_ROWS = 100_000
PREFIX = "not-released-"


@dataclass(frozen=True)
class RunPreview:
    """Synthetic rows of a run. tables: by name. files: CSV files with the rows, inside the run's folder. report: the signers' report.
    private: whether the model has a formal guarantee; without one, rows are to be handled like patient data."""

    state: str
    tables: Mapping[str, Table]
    files: Mapping[str, Path]
    report: Path
    private: bool


def preview(installation: Installation, run_id: str, rows: int = 1_000) -> RunPreview:
    """Draws rows of a run's model and writes them beside it, marked as not released. Nothing is spent: this is post-processing."""
    if not 1 <= rows <= MOST_ROWS:
        raise OptionError(f"rows is {rows}. Expected 1 to {MOST_ROWS:,}.")
    run = Run.open(installation, run_id)
    folder = run.model_folder
    if not folder.is_dir():
        raise UnknownNameError(
            f"run {run_id!r} has no model: it is no synthesis, or its model was deleted. Runs are listed in {installation.runs}."
        )
    if (folder / "relations.json").is_file():
        related = RelatedTables.load(folder)
        tables, private = dict(related.sample(rows).items()), all(m.fitted.private for m in related.models.values())
    else:
        model = MixtureTables.load(folder)
        tables, private = {"data": model.sample(rows)}, model.fitted.private
    files = {
        name: folder / f"{PREFIX}{name}.csv" for name in tables
    }  # beside the model: deleted with it when a patient is erased
    for name, table in tables.items():
        files[name].unlink(missing_ok=True)
        records.write(table, files[name])
    installation.audit.append("preview", run_id, rows=rows, state=run.state)
    return RunPreview(run.state, tables, files, run.report_page, private)
