"""The command that simulates patients."""

from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Annotated

import typer

from galenic.cli import show
from galenic.cli.options import Json, Seed, Until, expand_options
from galenic.generators import simulated

commands = typer.Typer()


@dataclass(frozen=True, kw_only=True)
class SimulationOptions:
    """Options of `galenic records simulate`."""

    out: Annotated[Path, typer.Option(help="Write the result here.")] = Path("simulated")
    format: Annotated[str, typer.Option(help="Format to write. One of meds, fhir (NDJSON by type), bundle or omop.")] = "meds"
    seed: Seed = 0
    years: Annotated[int, typer.Option(help="Number of years of records for each patient.")] = 10
    until: Until = ""
    rates: Annotated[bool, typer.Option("--rates", help="Print the sources of the rates, and stop.")] = False


@commands.command(epilog="Example: galenic records simulate 1000 --out patients --format fhir --seed 1")
@expand_options
def simulate(
    options: SimulationOptions,
    count: Annotated[int, typer.Argument(help="Number of patients.")] = 100,
    as_json: Json = False,
) -> None:
    """Simulate patients from published rates, without real data. For demonstrations and tests, not for research."""
    if options.rates:
        _print_rates(as_json)
        return
    until = date.fromisoformat(options.until) if options.until else None
    with show.progress(as_json) as progress:
        request = simulated.SimulationRequest(count, options.seed or 0, options.years, until)
        result = simulated.simulate(request, options.out, form=options.format, progress=progress)
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
