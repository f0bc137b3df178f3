"""The commands of FHIR files."""

from pathlib import Path
from typing import Annotated, Any

import typer

from galenic import custody, records
from galenic.cli import show
from galenic.cli.import_report import first_of_each
from galenic.cli.options import Json
from galenic.errors import InputError
from galenic.records import fhir

commands = typer.Typer(help="Validate FHIR R4 files.", no_args_is_help=True)


@commands.command(epilog="Example: galenic fhir validate patients.ndjson.gz")
def validate(
    files: Annotated[list[Path], typer.Argument(help="FHIR R4 files: JSON or NDJSON, plain or gzip, or folders of them.")],
    as_json: Json = False,
) -> int:
    """Validate FHIR R4 files: structure, codes, dates, references and HL7's rules. Ends with 2 if a resource is not valid."""
    every = records.fhir_files(files)
    if not every:
        raise InputError(
            "no FHIR file was found. Expected files that end in .json, .ndjson or .jsonl, plain or .gz. Give such a file, or its folder."
        )
    names = records.file_names(every, files)
    with show.progress(as_json) as progress:
        results = [fhir.validate_files(path, progress, name=name) for path, name in zip(every, names, strict=True)]
    for path in records.other_files(files):
        show.messages.print(
            f"{path} was not checked: its name does not end in .json, .ndjson or .jsonl (or these with .gz)", markup=False
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
