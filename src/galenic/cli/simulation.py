"""The command that simulates patients."""

from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Annotated

import typer

from galenic.cli import show
from galenic.cli.options import Json, expand_options
from galenic.generators import simulated

commands = typer.Typer()


@dataclass(frozen=True, kw_only=True)
class SimulationOptions:
    """Options of `galenic records simulate`."""

    out: Annotated[Path, typer.Option(help="Folder (bundle: file) to write.")] = Path("simulated")
    form: Annotated[str, typer.Option("--as", help="meds, fhir (NDJSON by type), bundle or omop.")] = "meds"
    seed: Annotated[int, typer.Option(help="The same seed gives the same patients.")] = 0
    years: Annotated[int, typer.Option(help="How many years of records.")] = 10
    until: Annotated[datetime | None, typer.Option(formats=["%Y-%m-%d"], help="Last day (default: this year's first).")] = None
    rates: Annotated[bool, typer.Option("--rates", help="Only show the rates' sources.")] = False


@commands.command(epilog="Example: galenic records simulate 1000 --out patients --as fhir --seed 1")
@expand_options
def simulate(
    options: SimulationOptions,
    count: Annotated[int, typer.Argument(help="How many patients.")] = 100,
    as_json: Json = False,
) -> None:
    """Make patients from published rates; no real data goes in. For demonstrations and tests, not for research."""
    if options.rates:
        _print_rates(as_json)
        return
    until = options.until.date() if options.until else None
    with show.progress(as_json) as progress:
        request = simulated.SimulationRequest(count, options.seed, options.years, until)
        result = simulated.simulate(request, options.out, form=options.form, progress=progress)
    if as_json:
        show.print_json({**result.__dict__, "written": dict(result.written), "dropped": dict(result.dropped)})
        return
    show.out.print(f"{result.people:,} simulated patients with {result.events:,} events are in {options.out}")
    show.out.print(", ".join(f"{n:,} {kind}" for kind, n in result.written.most_common()), markup=False)
    for name, number in result.dropped.most_common():
        show.out.print(f"  dropped {number:,}: {name}", markup=False)


def _print_rates(as_json: bool) -> None:
    sources = simulated.rate_sources()
    if as_json:
        show.print_json(sources)
        return
    for source in sources:
        state = "assumed" if source["assumed"] else "verified" if source["verified"] else "unverified"
        show.out.print(f"{source['rate']}  [{state}]  {source['source']}", markup=False)
