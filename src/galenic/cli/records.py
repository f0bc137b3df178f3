"""The commands of records."""

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import typer

from galenic import custody, jobs, records, store
from galenic.cli import quality, search, show, simulation
from galenic.cli.import_report import print_import
from galenic.cli.options import Dataset, Json, Key, Patient, Purpose, Second, expand_options
from galenic.errors import OptionError
from galenic.installation import Installation, open_installation

commands = typer.Typer(help="Import, export, search and measure records.", no_args_is_help=True)
for part in (search, quality, simulation):
    commands.add_typer(part.commands)
COLUMNS = ("name", "kind", "tenant", "region", "label", "patient", "ids", "rows", "imported_at")


@dataclass(frozen=True, kw_only=True)
class ImportOptions:
    """Options of `galenic records import`."""

    name: Annotated[str, typer.Option("--dataset", help="Name of the data set.")]
    key: Key
    patient: Patient = None
    mapping: Annotated[Path | None, typer.Option("--map", help="Of a table: TOML file that maps its columns to events.")] = None
    namespace: Annotated[
        str | None,
        typer.Option(help="Of FHIR, OMOP and MEDS: source that issued the patient ids. Default: the data set's name."),
    ] = None
    label: Annotated[str, typer.Option(help="Class of the data: clinical, research, genetic, psychiatric or public.")] = (
        "clinical"
    )
    region: Annotated[str, typer.Option(help="Region that the records must not leave.")] = ""
    source_url: Annotated[
        list[str] | None,
        typer.Option(
            help="Of FHIR: URL of the server that exported the files. References to it become local. Repeat for more."
        ),
    ] = None
    hash_long_ids: Annotated[
        bool, typer.Option("--hash-long-ids", help="Of FHIR: replace ids of more than 64 characters by a hash.")
    ] = False
    durable: Annotated[
        bool, typer.Option("--durable", help="Of a table: import as a background job, which survives a restart.")
    ] = False


@commands.command(
    "import", epilog="Example: galenic records import patients.csv --dataset clinic --patient patient_id --key inge"
)
@expand_options
def import_(
    paths: Annotated[list[Path], typer.Argument(help="Table, FHIR files, or a folder of FHIR NDJSON, OMOP CDM or MEDS files.")],
    options: ImportOptions,
    as_json: Json = False,
) -> int:
    """Import records. Each patient's data is encrypted with a key of its own.

    An import that is repeated skips what is stored already; rows of tables are added again. Ends with 2 if a file was refused.
    """
    installation = open_installation()
    kind = records.kind_of(paths)
    importer = custody.importer_for(kind)
    request = custody.ImportRequest(
        options.name,
        patient=options.patient or "",
        mapping=options.mapping,
        ids=options.namespace,
        label=options.label,
        region=options.region,
        bases=tuple(options.source_url or ()),
        hash_long_ids=options.hash_long_ids,
    )
    plan = importer.plan(paths, request)
    if options.durable:
        if not plan.in_steps:
            raise OptionError("--durable is for tables. Leave it out: an interrupted import of FHIR, OMOP or MEDS is repeated.")
        return _import_as_job(installation, kind, plan, options.key)
    session = installation.sign_in(options.key)
    with show.progress(as_json) as progress:
        result = importer.run(installation, session, plan, progress)
    return print_import(kind, result, as_json)


def _import_as_job(installation: Installation, kind: str, plan: custody.ImportPlan, key: str) -> int:
    with jobs.running_jobs(installation) as queue:
        job = queue.start("import", jobs.import_state(installation, kind, plan, key))
        show.messages.print(f"Job {job}. If this process is stopped, continue with: galenic jobs run")
        queue.wait(job)
        show.out.print(f"{queue.get(job).steps} steps done")
    return 0


@dataclass(frozen=True, kw_only=True)
class ExportOptions:
    """Options of `galenic records export`."""

    purpose: Purpose
    key: Key
    second: Second
    format: Annotated[
        str,
        typer.Option(
            help="Format to write. One of rows, fhir (NDJSON), bundle, omop, meds, csv or parquet. Default: as imported."
        ),
    ] = ""


@commands.command(epilog="Example: galenic records export clinic out.csv --purpose research --key rosa --second rosa2")
@expand_options
def export(
    dataset: Dataset,
    target: Annotated[Path, typer.Argument(metavar="TARGET", help="File or folder to write.")],
    options: ExportOptions,
    as_json: Json = False,
) -> None:
    """Export the records that the access policy allows. The export is recorded."""
    installation = open_installation()
    session = installation.sign_in(options.key, options.second)
    result = custody.export_records(installation, session, dataset, options.purpose, target, options.format)
    if result.form == "rows":
        show.out.print(f"{result.written['rows']} rows written to {target}")
    elif as_json:
        show.print_json({**result.__dict__, "written": dict(result.written), "dropped": dict(result.dropped)})
    else:
        _print_export(result, target)


def _print_export(result: custody.ExportResult, target: Path) -> None:
    written = ", ".join(f"{n:,} {kind}" for kind, n in result.written.most_common())
    show.out.print(f"{result.written.total():,} written to {target}: {written}")
    for name, count in result.dropped.most_common():
        show.out.print(f"  dropped {count:,}: {name}", markup=False)


@commands.command("list", epilog="Example: galenic records list")
def list_datasets(as_json: Json = False) -> None:
    """List the stored data sets."""
    db = open_installation().db
    counts = store.count_rows(db, "home")
    known = [{**d, "rows": counts.get(str(d["name"]), 0)} for d in store.list_datasets(db, "home")]
    rows = [{column: d[column] for column in COLUMNS} for d in known]
    if as_json:
        show.print_json(rows)
        return
    for row in rows:
        show.out.print(f"{row['name']}  {row['kind']}  {row['label']}  {row['rows']} rows  imported {row['imported_at']}")
