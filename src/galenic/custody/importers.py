"""Registry of importers, one for each kind of data."""

from collections.abc import Callable
from pathlib import Path

from galenic.custody.fhir_import import EXAMPLES, import_fhir
from galenic.custody.importer import Importer, ImportPlan, ImportRequest, ImportResult, RowRange
from galenic.custody.omop_meds_import import import_meds, import_omop
from galenic.custody.table_import import import_table
from galenic.errors import OptionError, UnknownNameError
from galenic.installation import Installation
from galenic.records import fhir_files, other_files, read
from galenic.schema import Progress, no_progress
from galenic.security import Session

ImportOne = Callable[..., ImportResult]


class TableImporter(Importer):
    """Import of one table; a durable job imports it in steps of rows."""

    def plan(self, paths: list[Path], request: ImportRequest) -> ImportPlan:
        """File to import. Raise OptionError if the request names no patient column."""
        if not request.patient:
            raise OptionError(f"{paths[0]} is a table. Name the column that identifies the patient: --patient COLUMN")
        return ImportPlan(request, (paths[0],), in_steps=True)

    def run(
        self, installation: Installation, session: Session, plan: ImportPlan, progress: Progress = no_progress
    ) -> ImportResult:
        """Imports every row."""
        return import_table(installation, session, read(plan.files[0]), plan.request, progress=progress)

    def resume(self, installation: Installation, session: Session, plan: ImportPlan, rows: RowRange) -> ImportResult:
        """Imports the rows of a range that are not stored yet."""
        return import_table(installation, session, read(plan.files[0]), plan.request, rows=rows)


class FhirImporter(Importer):
    """Import of FHIR files; repeating it continues an interrupted import."""

    def plan(self, paths: list[Path], request: ImportRequest) -> ImportPlan:
        """Files to import, including those in folders."""
        return ImportPlan(request, tuple(fhir_files(paths)), others=tuple(other_files(paths)))

    def run(
        self, installation: Installation, session: Session, plan: ImportPlan, progress: Progress = no_progress
    ) -> ImportResult:
        """Imports every file."""
        result = import_fhir(installation, session, list(plan.files), plan.request, progress=progress)
        if plan.others:
            result.issues["warning", "file-not-read"] = len(plan.others)
            text = (
                "does not have a file name for FHIR. Expected .json, .ndjson or .jsonl, plain or .gz: rename it to import it."
            )
            issue = {"level": "warning", "rule": "file-not-read", "expression": "", "text": text}
            result.examples += [{**issue, "where": p.name} for p in plan.others[:EXAMPLES]]
        return result

    def resume(self, installation: Installation, session: Session, plan: ImportPlan, _rows: RowRange) -> ImportResult:
        """Repeats the import. Documents that are already stored are skipped."""
        return self.run(installation, session, plan)


class DocumentImporter(Importer):
    """Import of one OMOP or MEDS data set; repeating it continues an interrupted import."""

    def __init__(self, import_one: ImportOne) -> None:
        self._import = import_one

    def plan(self, paths: list[Path], request: ImportRequest) -> ImportPlan:
        """The folder or file."""
        return ImportPlan(request, (paths[0],))

    def run(
        self, installation: Installation, session: Session, plan: ImportPlan, progress: Progress = no_progress
    ) -> ImportResult:
        """Imports every table."""
        return self._import(installation, session, plan.files[0], plan.request, progress=progress)

    def resume(self, installation: Installation, session: Session, plan: ImportPlan, _rows: RowRange) -> ImportResult:
        """Repeats the import. Documents that are already stored are skipped."""
        return self.run(installation, session, plan)


IMPORTERS: dict[str, Importer] = {
    "table": TableImporter(),
    "fhir": FhirImporter(),
    "omop": DocumentImporter(import_omop),
    "meds": DocumentImporter(import_meds),
}
"""Importer of each kind of data, by its key in records.FORMATS."""


def importer_for(kind: str) -> Importer:
    """Importer of a kind of data. Raise UnknownNameError if there is none."""
    if kind not in IMPORTERS:
        raise UnknownNameError(f"{kind} cannot be imported into the record store. Expected one of {', '.join(IMPORTERS)}.")
    return IMPORTERS[kind]
