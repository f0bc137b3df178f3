"""Registry of exporters, and the export of a data set."""

from pathlib import Path

from galenic import store
from galenic.custody.event_export import EventExporter
from galenic.custody.exporter import Export, Exporter, ExportResult, record_copy
from galenic.custody.original_export import FhirExporter, OmopExporter, RowExporter
from galenic.errors import OptionError
from galenic.installation import Installation
from galenic.records import FORMATS, write_events_csv, write_events_parquet
from galenic.security import Session

EXPORTERS: dict[str, Exporter] = {
    "rows": RowExporter(),
    "fhir": FhirExporter("fhir", FORMATS["fhir"].write, kind="fhir"),
    "bundle": FhirExporter("bundle", FORMATS["bundle"].write),
    "omop": OmopExporter("omop", FORMATS["omop"].write, kind="omop"),
    "meds": EventExporter("meds", FORMATS["meds"].write, kind="meds"),
    "csv": EventExporter("csv", write_events_csv),
    "parquet": EventExporter("parquet", write_events_parquet),
}
"""Exporters by form."""


def default_form(dataset: store.Dataset) -> str:
    """Default format of the export of a data set: the format of its import."""
    return next(form for form, exporter in EXPORTERS.items() if exporter.kind == dataset["kind"])


def export_records(
    installation: Installation, session: Session, name: str, purpose: str, target: Path, form: str = ""
) -> ExportResult:
    """Writes the part of a data set that an access decision covers, completely or not at all. form: default_form if empty.

    The copy is recorded as outside the installation.
    """
    dataset = store.dataset(installation.db, name, session.tenant)
    form = form or default_form(dataset)
    if form not in EXPORTERS:
        raise OptionError(f"{form!r} is not an export format. Expected one of {', '.join(EXPORTERS)}.")
    exporter = EXPORTERS[form]
    exporter.plan(dataset)
    result = ExportResult(name, form)
    with installation.gate.open(session, "export", store.resource(name), purpose) as grant:
        grant.to = str(target)
        export = Export(installation, grant, dataset, target, result)
        exporter.run(export)
        record_copy(export, purpose, exporter.summary(result))
    return result
