"""The commands of records."""

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import typer

from galenic import custody, jobs, records, store
from galenic.cli import quality, search, show, simulation
from galenic.cli.import_report import print_import
from galenic.cli.options import Json, Key, Second, expand_options
from galenic.errors import OptionError
from galenic.installation import Installation, open_installation

commands = typer.Typer(help="Import, export, search and measure records.", no_args_is_help=True)
for part in (search, quality, simulation):
    commands.add_typer(part.commands)
COLUMNS = ("name", "kind", "tenant", "region", "label", "patient", "ids", "rows", "imported_at")


@dataclass(frozen=True, kw_only=True)
class ImportOptions:
    """Options of `galenic records import`."""

    name: Annotated[str, typer.Option("--as", help="Name of the data set in custody.")]
    key: Key
    patient: Annotated[str, typer.Option(help="Of a table: the column that tells patients apart.")] = ""
    mapping: Annotated[
        Path | None, typer.Option("--map", help="Of a table: what its columns are as events (TOML), kept with it.")
    ] = None
    ids: Annotated[str | None, typer.Option(help="Whose ids patients have (default: the data set's name). Tables: none.")] = (
        None
    )
    label: Annotated[str, typer.Option(help="Class of data: clinical, research, genetic, psychiatric, public.")] = "clinical"
    region: Annotated[str, typer.Option(help="Where the records must stay.")] = ""
    base: Annotated[
        list[str] | None,
        typer.Option(
            help="Of FHIR: address of the server that exported it; references by it name what is imported. Repeat for more."
        ),
    ] = None
    hash_long_ids: Annotated[
        bool,
        typer.Option(
            "--hash-long-ids", help="Of FHIR: replace ids of more than 64 characters by their hash, kept as identifiers."
        ),
    ] = False
    durable: Annotated[bool, typer.Option(help="Of a table: as a job that survives this process: galenic jobs list")] = False


@commands.command("import", epilog="Example: galenic records import patients.csv --as clinic --patient patient_id --key inge")
@expand_options
def import_(
    paths: Annotated[list[Path], typer.Argument(help="A table, FHIR files, or a folder of FHIR NDJSON, OMOP CDM or MEDS.")],
    options: ImportOptions,
    as_json: Json = False,
) -> int:
    """Bring records into custody, sealed under each patient's key. Run again, it passes over what is there (tables: adds)."""
    installation = open_installation()
    kind = records.kind_of(paths)
    importer = custody.importer_for(kind)
    request = custody.ImportRequest(
        options.name,
        patient=options.patient,
        mapping=options.mapping,
        ids=options.ids,
        label=options.label,
        region=options.region,
        bases=tuple(options.base or ()),
        hash_long_ids=options.hash_long_ids,
    )
    plan = importer.plan(paths, request)
    if options.durable:
        if not plan.in_steps:
            raise OptionError("only tables need --durable: an interrupted import of FHIR, OMOP or MEDS is repeated.")
        return _import_as_job(installation, kind, plan, options.key)
    session = installation.sign_in(options.key)
    with show.progress(as_json) as progress:
        result = importer.run(installation, session, plan, progress)
    return print_import(kind, result, as_json)


def _import_as_job(installation: Installation, kind: str, plan: custody.ImportPlan, key: str) -> int:
    with jobs.running_jobs(installation) as queue:
        job = queue.start("import", jobs.import_state(installation, kind, plan, key))
        show.messages.print(f"job {job}; if this process dies: galenic jobs run")
        queue.wait(job)
        show.out.print(f"{queue.get(job).steps} steps done")
    return 0


@dataclass(frozen=True, kw_only=True)
class ExportOptions:
    """Options of `galenic records export`."""

    purpose: Annotated[str, typer.Option(help="What for.")]
    key: Key
    second: Second
    form: Annotated[
        str, typer.Option("--as", help="rows, fhir (NDJSON), bundle, omop, meds, csv or parquet (events); default: as it came.")
    ] = ""


@commands.command(epilog="Example: galenic records export clinic out.csv --purpose research --key rosa --second rosa2")
@expand_options
def export(dataset: str, target: Path, options: ExportOptions, as_json: Json = False) -> None:
    """Write what a decision lets out; the copy is listed as outside from then on."""
    installation = open_installation()
    session = installation.sign_in(options.key, options.second)
    result = custody.export_records(installation, session, dataset, options.purpose, target, options.form)
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
    """List what is in custody; no patient's data."""
    db = open_installation().db
    counts = store.count_rows(db, "home")
    known = [{**d, "rows": counts.get(str(d["name"]), 0)} for d in store.list_datasets(db, "home")]
    rows = [{column: d[column] for column in COLUMNS} for d in known]
    if as_json:
        show.print_json(rows)
        return
    for row in rows:
        show.out.print(f"{row['name']}  {row['kind']}  {row['label']}  {row['rows']} rows  imported {row['imported_at']}")
