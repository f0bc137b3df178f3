"""The command that measures the quality of records."""

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import typer

from galenic import custody, flows, records
from galenic.cli import show
from galenic.cli.files import require_columns, require_writable, write_text
from galenic.cli.options import Json, OptionalKey, Patient, Purpose, Report, expand_options
from galenic.installation import open_installation
from galenic.records.quality import QualityRequest
from galenic.schema import NotMeasured, Progress, to_json

commands = typer.Typer()


@dataclass(frozen=True, kw_only=True)
class QualityOptions:
    """Options of `galenic records quality`."""

    report: Report = None
    reference: Annotated[Path | None, typer.Option(help="Expected shares of values (TOML), one table for each column.")] = None
    before: Annotated[Path | None, typer.Option(help="Earlier load of the same table, to compare with.")] = None
    floor: Annotated[Path | None, typer.Option(help="Minimum quality (TOML) that replaces the built-in one.")] = None
    repaired_table: Annotated[
        Path | None, typer.Option(help="Write the table here, with values of another unit converted.")
    ] = None
    patient: Patient = None
    key: OptionalKey = None
    purpose: Purpose = "quality"


@commands.command(epilog="Example: galenic records quality patients.csv --report quality.html")
@expand_options
def quality(
    paths: Annotated[list[str], typer.Argument(help="Table, FHIR, OMOP or MEDS files. With --key: name of a stored data set.")],
    options: QualityOptions,
    as_json: Json = False,
) -> int:
    """Measure the quality of records. Ends with 1 if it is below the minimum."""
    for place in (options.report, options.repaired_table):
        if place is not None:
            require_writable(place)
    with show.progress(as_json) as progress:
        result = _measure_stored(paths[0], options) if options.key else _measure_files(paths, options, progress)
    if options.report is not None:
        write_text(options.report, result.html)
    if as_json:
        show.print_json(_quality_json(result))
    else:
        _print_quality(result)
    return 0 if result.decision.accepted else 1


def _measure_stored(name: str, options: QualityOptions) -> flows.QualityResult:
    installation = open_installation()
    session = installation.sign_in(str(options.key))
    page: custody.Page = "outside" if options.report else "none"
    return flows.quality_of_stored(installation, session, name, options.purpose, floor=options.floor, page=page)


def _measure_files(paths: list[str], options: QualityOptions, progress: Progress) -> flows.QualityResult:
    if options.patient and records.kind_of([Path(p) for p in paths]) == "table":
        for path in paths:
            source = records.read(Path(path))
            require_columns(source.name, source.names, {"--patient": [options.patient]})
    request = QualityRequest(options.patient or "", options.reference, options.before, options.repaired_table)
    return flows.measure_quality([Path(p) for p in paths], request, floor=options.floor, progress=progress)


def _quality_json(result: flows.QualityResult) -> dict[str, object]:
    floor = {"holds": result.decision.accepted, "items": [item.__dict__ for item in result.decision.items]}
    return {**to_json(result.report), "floor": floor, "repaired": result.repaired}


def _print_quality(result: flows.QualityResult) -> None:
    outcomes = {item.finding: item.outcome for item in result.decision.items}
    for finding in result.report.findings:
        if isinstance(finding, NotMeasured):
            show.out.print(f"{finding.name}: not measured, {finding.why}", markup=False)
            continue
        show.out.print(f"{finding.name}: {finding.value:.4g}  {outcomes.get(finding.name, '')}", markup=False)
        for place in finding.detail.get("columns", [])[:3]:
            show.out.print(f"    {place['where']}: {place['what']}", markup=False)
    for column, count in result.repaired.items():
        show.out.print(f"repaired {count:,} values of {column}", markup=False)
    show.out.print(
        "The minimum quality is reached." if result.decision.accepted else "[red]The minimum quality is NOT reached.[/]"
    )
