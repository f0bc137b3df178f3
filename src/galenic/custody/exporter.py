"""Types of an export: the export in progress, its result and the Protocol of all exporters."""

import json
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

import pyarrow as pa

from galenic import store
from galenic.installation import Installation
from galenic.security import Grant


@dataclass
class ExportResult:
    """Counts of one export. written: resources, rows or events by type or table; dropped: events that the format cannot
    express."""

    dataset: str
    form: str
    written: Counter[str] = field(default_factory=Counter)
    dropped: Counter[str] = field(default_factory=Counter)


@dataclass(frozen=True)
class Export:
    """An export under an open access decision."""

    installation: Installation
    grant: Grant
    dataset: store.Dataset
    target: Path
    result: ExportResult

    def checked(self, tables: Iterator[pa.Table]) -> Iterator[pa.Table]:
        """The tables, with a final check of the decision. Data that it no longer covers is not published."""
        yield from tables
        self.grant.require_active()


class Exporter(Protocol):
    """Export of data sets in one form.

    kind: kind of data set for which it is the default format. An export is written completely or not at all, so an interrupted
    one can be repeated.
    """

    kind: str

    def plan(self, dataset: store.Dataset, /) -> None:
        """Raise OptionError if the data set cannot be exported in this format."""
        ...

    def run(self, export: Export, /) -> None:
        """Writes the target, completely or not at all, and adds the counts to the result."""
        ...

    def summary(self, result: ExportResult, /) -> dict[str, Any]:
        """Counts for the file about the decision, which is stored with the copy."""
        ...


def record_copy(export: Export, purpose: str, summary: dict[str, Any]) -> None:
    """Records the copy as outside the installation, and writes the decision to a file next to it."""
    db, grant, name = export.installation.db, export.grant, export.result.dataset
    subjects = [s for s in store.subjects_of(db, grant, name) if s != store.NO_SUBJECT]
    artifact: store.Row = {
        "id": f"export/{grant.decision}",
        "kind": "export",
        "made_from": f"table/{name}",
        "place": "outside",
    }
    store.add_artefact(db, artifact, subjects)
    mark = {"decision": grant.decision, "watermark": grant.watermark, "dataset": name, "purpose": purpose, **summary}
    with store.file_aside(export.target.with_name(export.target.name + ".decision.json")) as aside:
        aside.write_text(json.dumps(mark, indent=1), encoding="utf-8")
