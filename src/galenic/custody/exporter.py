"""Types of an export out of custody: the export in progress, its result and the Protocol that every exporter follows."""

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
    """Counts of one export. written: resources, rows or events by type or table; dropped: events without a place in the form."""

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
        """The tables, and at their end a last check of the decision: what it no longer covers is not published."""
        yield from tables
        self.grant.require_active()


class Exporter(Protocol):
    """Export of data sets in one form.

    kind: of the data sets that it is the default form for. An export is written whole or not at all, so an interrupted one
    is simply repeated.
    """

    kind: str

    def plan(self, dataset: store.Dataset, /) -> None:
        """OptionError if the data set cannot be exported in this form."""
        ...

    def run(self, export: Export, /) -> None:
        """Writes the target, whole or not at all, and counts what it wrote in the result."""
        ...

    def summary(self, result: ExportResult, /) -> dict[str, Any]:
        """The counts for the file about the decision beside the copy."""
        ...


def record_copy(export: Export, purpose: str, summary: dict[str, Any]) -> None:
    """Records the copy as outside of the installation, and writes the decision in a file beside it."""
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
