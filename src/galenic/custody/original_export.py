"""Export of originals: rows of a table as CSV; FHIR resources and OMOP tables as they were imported."""

from collections.abc import Iterator
from contextlib import ExitStack
from typing import Any

import pyarrow as pa
import pyarrow.csv as pacsv

from galenic import records, store
from galenic.custody.event_export import EventExporter
from galenic.custody.exporter import Export, ExportResult
from galenic.errors import OptionError
from galenic.records import unpack_all


class RowExporter:
    """Rows of a table as a CSV file."""

    kind = "table"

    def plan(self, dataset: store.Dataset) -> None:
        """Raise OptionError if the data set is not a table."""
        kind = dataset["kind"]
        if kind != self.kind:
            raise OptionError(
                f"data set {dataset['name']!r} holds {kind}, not the rows of a table. Expected --format {kind} or another format."
            )

    def run(self, export: Export) -> None:
        """Writes the rows and columns that the decision covers."""
        with store.file_aside(export.target) as place:
            rows = store.read(export.installation.db, export.grant, export.dataset)
            export.result.written["rows"] = records.write_stream(export.checked(rows), place)

    def summary(self, result: ExportResult) -> dict[str, Any]:
        """The number of rows."""
        return {"rows": result.written["rows"]}


class FhirExporter(EventExporter):
    """FHIR R4: for a FHIR data set, its resources as they were imported, with resolved references; for other kinds, converted
    events."""

    def run(self, export: Export) -> None:
        """Writes a folder of NDJSON files, or one Bundle."""
        if export.dataset["kind"] != "fhir":
            super().run(export)
            return
        from galenic.records.fhir import FhirWriter, write_json  # noqa: PLC0415  # its definitions load when they are needed

        bundle = self.form == "bundle"
        aside = store.file_aside if bundle else store.folder_aside
        with aside(export.target) as place, FhirWriter(place, export.result.written, bundle=bundle) as writer:
            for resource in _resources(export):
                writer.put(resource["resourceType"], resource["id"], write_json(resource))
            export.grant.require_active()


def _resources(export: Export) -> Iterator[dict[str, Any]]:
    """Current resources; search references are replaced by their matches."""
    from galenic.records.fhir import references, rename_references, restore_resource  # noqa: PLC0415

    db, grant, dataset = export.installation.db, export.grant, export.dataset
    matches: dict[str, str] = {}
    for batch in store.read_documents(db, grant, dataset):
        resources = [restore_resource(d.document, d.about) for d in batch if d.type != "Bundle"]
        searches = {t for r in resources for t in references(r) if "?" in t and t not in matches}
        if searches:
            names = store.documents_by_identifier(db, grant, dataset, sorted(searches))
            matches |= {s: names[s][0] for s in searches if len(set(names.get(s, ()))) == 1}
        for resource in resources:
            rename_references(resource, matches)
            yield resource


class OmopExporter(EventExporter):
    """OMOP CDM: for an OMOP data set, its rows as they were imported; for other kinds, converted events, CDM 5.4."""

    def run(self, export: Export) -> None:
        """Writes a folder of CSV files."""
        if export.dataset["kind"] != "omop":
            super().run(export)
            return
        writers: dict[str, tuple[pacsv.CSVWriter, pa.Schema]] = {}
        with store.folder_aside(export.target) as place, ExitStack() as stack:
            for batch in store.read_documents(export.installation.db, export.grant, export.dataset):
                for name, table in _tables(batch).items():
                    if name not in writers:
                        options = pacsv.WriteOptions(quoting_style="needed")
                        opened = pacsv.CSVWriter(place / f"{name}.csv", table.schema, write_options=options)
                        writers[name] = (stack.enter_context(opened), table.schema)
                    writer, schema = writers[name]
                    writer.write_table(table.select(schema.names).cast(schema))
                    export.result.written[name] += table.num_rows
            export.grant.require_active()


def _tables(batch: list[store.StoredDocument]) -> dict[str, pa.Table]:
    """Rows of a batch of documents, by table. Text that a spreadsheet would run as a formula is escaped."""
    texts: dict[str, list[str]] = {}
    for document in batch:
        texts.setdefault(document.type, []).append(document.document)
    return {name: records.escape_formulas(unpack_all(parts)) for name, parts in texts.items()}
