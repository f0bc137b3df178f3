"""The commands that check, import and export records."""

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import typer

from galenic import custody, jobs, records
from galenic.cli import show
from galenic.cli.import_report import first_of_each, print_import
from galenic.cli.options import Json, Key, Second, expand_options
from galenic.errors import OptionError
from galenic.installation import Installation, open_installation
from galenic.records import fhir

commands = typer.Typer()


@commands.command(epilog="Example: galenic check patients.ndjson.gz")
def check(
    files: Annotated[
        list[Path], typer.Argument(help="FHIR R4 as JSON (a resource, a Bundle) or NDJSON, plain or gzip, or folders of it.")
    ],
    as_json: Json = False,
) -> int:
    """Check FHIR R4: structure, codes, dates, references, narrative, HL7's rules. Ends with 2 where something is wrong."""
    every = records.fhir_files(files)
    names = records.file_names(every, files)
    with show.progress(as_json) as progress:
        results = [fhir.validate_files(path, progress, name=name) for path, name in zip(every, names, strict=True)]
    for path in records.other_files(files):
        show.messages.print(
            f"{path} was not checked: it is no FHIR file by its name (.json, .ndjson, .jsonl; plain or .gz)", markup=False
        )
    if as_json:
        show.print_json([_validation_json(result) for result in results])
    else:
        for result in results:
            _print_validation(result)
    return 0 if all(result.valid for result in results) else 2


def _validation_json(result: fhir.ValidationResult) -> dict[str, Any]:
    return {
        "file": result.source,
        "valid": result.valid,
        "resources": dict(result.resources),
        "refused": result.refused,
        "issues": [{"level": level, "rule": rule, "count": n} for (level, rule), n in result.counted.items()],
        "shown": result.shown,
    }


def _print_validation(result: fhir.ValidationResult) -> None:
    verdict = "valid" if result.valid else f"{result.refused} refused"
    show.out.print(f"{result.source}: {result.resources.total():,} resources, {verdict}")
    for issue, more in first_of_each(result.shown, result.counted):
        count = result.counted[issue["level"], issue["rule"]]
        where = ", ".join(part for part in (issue["where"], issue["expression"]) if part)
        text = f"{where} {issue['text']}".strip()
        show.out.print(f"  {issue['level']} {issue['rule']} ({count:,}): {text}", markup=False)
        if more:
            show.out.print(f"    and {more:,} more: --json lists up to {custody.EXAMPLES:,} of each kind")


@dataclass(frozen=True, kw_only=True)
class ImportOptions:
    """Options of `galenic import`."""

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
    durable: Annotated[bool, typer.Option(help="Of a table: as a job that survives this process: galenic jobs")] = False


@commands.command("import", epilog="Example: galenic import patients.csv --as clinic --patient patient_id --key inge")
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
        show.messages.print(f"job {job}; if this process dies: galenic jobs --work")
        queue.wait(job)
        show.out.print(f"{queue.get(job).steps} steps done")
    return 0


@dataclass(frozen=True, kw_only=True)
class ExportOptions:
    """Options of `galenic export`."""

    purpose: Annotated[str, typer.Option(help="What for.")]
    key: Key
    second: Second
    form: Annotated[
        str, typer.Option("--as", help="rows, fhir (NDJSON), bundle, omop, meds, csv or parquet (events); default: as it came.")
    ] = ""


@commands.command(epilog="Example: galenic export clinic out.csv --purpose research --key rosa --second rosa2")
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
