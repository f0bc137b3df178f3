"""The commands of codes, terminologies and units."""

from pathlib import Path
from typing import Annotated

import typer

from galenic.cli import show
from galenic.cli.options import Json
from galenic.records import convert as convert_units
from galenic.records import terminology

commands = typer.Typer(help="Look up codes, compare them, load terminologies that you license.", no_args_is_help=True)
System = Annotated[str, typer.Argument(help="icd10cm, snomed, loinc, rxnorm, cvx, or the URI of a system.")]


@commands.command(epilog="Example: galenic terminology lookup icd10cm E11.9")
def lookup(
    system: System,
    value: Annotated[str, typer.Argument(metavar="CODE")],
    display: Annotated[str | None, typer.Option(help="Check that the system calls it so.")] = None,
    as_json: Json = False,
) -> int:
    """Say what a code means. Ends with 2 where the table lacks it, and says so where the table itself is not loaded."""
    result = terminology.terminology().validate(system, value, display)
    if as_json:
        show.print_json(
            {"state": result.state, "display_fits": result.display_fits, "concept": result.concept and result.concept.__dict__}
        )
    elif result.concept is None:
        reasons = {
            "not-found": "the table is here and has no such code",
            "not-loaded": "this table is not loaded, or only a part of it: galenic terminology load",
        }
        show.out.print(f"{result.state}: {reasons[result.state]}")
    else:
        c = result.concept
        kinds = f"; a kind of {', '.join(c.parents)}" if c.parents else ""
        show.out.print(f"{c.code}  {c.display}{' (no longer in use)' if c.active is False else ''}{kinds}", markup=False)
        if result.display_fits is False:
            show.out.print("the system calls it otherwise")
    return 0 if result.state == "found" and result.display_fits is not False else 2


@commands.command(epilog="Example: galenic terminology subsumes icd10cm E11 E11.9")
def subsumes(system: System, a: str, b: str) -> int:
    """How A stands to B: equivalent, subsumes, subsumed-by, not-subsumed."""
    relation = terminology.terminology().subsumes(system, a, b)
    show.out.print(relation)
    return 2 if relation in ("not-found", "not-loaded") else 0


@commands.command("load", epilog="Example: galenic terminology load snomed SnomedCT_InternationalRF2_PRODUCTION_20260101")
def load_(
    kind: Annotated[str, typer.Argument(help="snomed, loinc, rxnorm or cvx.")],
    place: Annotated[Path, typer.Argument(help="Folder (cvx: file) of the release, as its publisher hands it out.")],
) -> None:
    """Load a terminology that you are licensed to use; it stays in this installation."""
    show.out.print(f"{terminology.load_terminology(kind, place):,} codes of {kind} are loaded")


@commands.command(epilog="Example: galenic terminology convert 98.6 [degF] Cel")
def convert(value: float, unit: str, wanted: str) -> None:
    """A value in another unit (UCUM)."""
    show.out.print(f"{convert_units(value, unit, wanted):.6g} {wanted}", markup=False)
