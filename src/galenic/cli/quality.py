"""The command that measures the quality of records."""

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import typer

from galenic import custody, flows
from galenic.cli import show
from galenic.cli.files import write_text
from galenic.cli.options import Json, expand_options
from galenic.installation import open_installation
from galenic.records.quality import QualityRequest
from galenic.schema import NotMeasured, Progress, to_json

commands = typer.Typer()


@dataclass(frozen=True, kw_only=True)
class QualityOptions:
    """Options of `galenic records quality`."""

    out: Annotated[Path | None, typer.Option(help="Write the page here.")] = None
    reference: Annotated[
        Path | None, typer.Option(help="Declared population (TOML): shares of values or bands, a table per column.")
    ] = None
    before: Annotated[Path | None, typer.Option(help="An earlier load of the same table.")] = None
    floor: Annotated[Path | None, typer.Option(help="Another floor (TOML) than the shipped one.")] = None
    repair: Annotated[Path | None, typer.Option(help="Write the table with values in the unit of the rest.")] = None
    patient: Annotated[str, typer.Option(help="Column that tells patients apart: their own values help to find units.")] = ""
    key: Annotated[str, typer.Option(help="Name of your key, for a data set in custody.")] = ""
    purpose: Annotated[str, typer.Option(help="What for, for a data set in custody.")] = "quality"


@commands.command(epilog="Example: galenic records quality patients.csv --out quality.html")
@expand_options
def quality(
    paths: Annotated[
        list[str], typer.Argument(help="A table, FHIR, OMOP or MEDS; with --key the name of a data set in custody.")
    ],
    options: QualityOptions,
    as_json: Json = False,
) -> int:
    """Measure the quality of records. Ends with 1 where the quality floor does not hold."""
    with show.progress(as_json) as progress:
        result = _measure_stored(paths[0], options) if options.key else _measure_files(paths, options, progress)
    if options.out is not None:
        write_text(options.out, result.html)
    if as_json:
        show.print_json(_quality_json(result))
    else:
        _print_quality(result)
    return 0 if result.decision.accepted else 1


def _measure_stored(name: str, options: QualityOptions) -> flows.QualityResult:
    installation = open_installation()
    session = installation.sign_in(options.key)
    page: custody.Page = "outside" if options.out else "none"
    return flows.quality_of_stored(installation, session, name, options.purpose, floor=options.floor, page=page)


def _measure_files(paths: list[str], options: QualityOptions, progress: Progress) -> flows.QualityResult:
    request = QualityRequest(options.patient, options.reference, options.before, options.repair)
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
    show.out.print("the quality floor holds" if result.decision.accepted else "[red]the quality floor does NOT hold[/]")
