"""The commands of codes, terminologies and units."""

from pathlib import Path
from typing import Annotated

import typer

from galenic.cli import show
from galenic.cli.options import Json, parse_number
from galenic.records import convert as convert_units
from galenic.records import terminology

commands = typer.Typer(help="Look up codes, compare them, load terminologies, convert units.", no_args_is_help=True)
System = Annotated[str, typer.Argument(help="Code system: icd10cm, snomed, loinc, rxnorm, cvx, or its URI.")]


@commands.command(epilog="Example: galenic terminology lookup icd10cm E11.9")
def lookup(
    system: System,
    value: Annotated[str, typer.Argument(metavar="CODE")],
    display: Annotated[str | None, typer.Option(help="Display text to compare with the system's.")] = None,
    as_json: Json = False,
) -> int:
    """Look up a code. Ends with 2 if the code is unknown, or its system is not loaded."""
    result = terminology.terminology().validate(system, value, display)
    if as_json:
        show.print_json(
            {"state": result.state, "display_fits": result.display_fits, "concept": result.concept and result.concept.__dict__}
        )
    elif result.concept is None:
        reasons = {
            "not-found": "the code system is loaded and has no such code",
            "not-loaded": "the code system is not loaded, or only in part: galenic terminology load",
        }
        show.out.print(f"{result.state}: {reasons[result.state]}")
    else:
        c = result.concept
        kinds = f"; a kind of {', '.join(c.parents)}" if c.parents else ""
        show.out.print(f"{c.code}  {c.display}{' (no longer in use)' if c.active is False else ''}{kinds}", markup=False)
        if result.display_fits is False:
            show.out.print("The system uses another display text.")
    return 0 if result.state == "found" and result.display_fits is not False else 2


@commands.command(epilog="Example: galenic terminology subsumes icd10cm E11 E11.9")
def subsumes(
    system: System,
    a: Annotated[str, typer.Argument(metavar="A", help="First code.")],
    b: Annotated[str, typer.Argument(metavar="B", help="Second code.")],
) -> int:
    """Compare two codes: equivalent, subsumes, subsumed-by or not-subsumed."""
    relation = terminology.terminology().subsumes(system, a, b)
    show.out.print(relation)
    return 2 if relation in ("not-found", "not-loaded") else 0


@commands.command("load", epilog="Example: galenic terminology load snomed SnomedCT_InternationalRF2_PRODUCTION_20260101")
def load_(
    kind: Annotated[str, typer.Argument(help="Code system: snomed, loinc, rxnorm or cvx.")],
    place: Annotated[Path, typer.Argument(help="Folder (cvx: file) of the release, as published.")],
) -> None:
    """Load a code system that you are licensed to use. It stays in this installation."""
    show.out.print(f"{terminology.load_terminology(kind, place):,} codes of {kind} are loaded")


@commands.command(epilog="Example: galenic terminology convert 98.6 [degF] Cel")
def convert(
    value: Annotated[float, typer.Argument(parser=parse_number, metavar="VALUE", help="Number to convert.")],
    unit: Annotated[str, typer.Argument(help="Unit of the value, in UCUM.")],
    wanted: Annotated[str, typer.Argument(metavar="TO", help="Unit to convert to, in UCUM.")],
) -> None:
    """Convert a value to another unit (UCUM)."""
    show.out.print(f"{convert_units(value, unit, wanted):.6g} {wanted}", markup=False)
