"""The command for several tables of the same patients."""

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import typer

from galenic import flows
from galenic.cli import show
from galenic.cli.options import Json, expand_options
from galenic.generators import SynthesisRequest
from galenic.generators.tables import describe_relations, related_unit
from galenic.installation import open_installation

commands = typer.Typer()


@dataclass(frozen=True, kw_only=True)
class RelatedOptions:
    """Options of `galenic table synthesize-related`."""

    epsilon: Annotated[float, typer.Option(help="Price from the population's budget, all tables together.")] = 1.0
    delta: Annotated[float, typer.Option(help="Delta of the price.")] = 1e-9
    population: Annotated[str, typer.Option(help="Whose budget pays.")] = "default"
    patients: Annotated[
        int | None, typer.Option(help="New patients to make (default: the noisy number of those learned from).")
    ] = None
    buy: Annotated[bool, typer.Option(help="Buy what descriptions only observed.")] = False
    policy: Annotated[str, typer.Option(help="internal, partner, public, or a TOML file.")] = "internal"
    no_privacy: Annotated[bool, typer.Option("--no-privacy", help="Fit without noise: no formal guarantee.")] = False
    min_patients: Annotated[int, typer.Option(help="With --no-privacy: patients who must share an exact value.")] = 5
    seed: Annotated[int | None, typer.Option(help="With --no-privacy: draw the same split, fit and evaluation again.")] = None

    def request(self) -> SynthesisRequest:
        """The request to the workflow."""
        return SynthesisRequest(
            epsilon=self.epsilon,
            delta=self.delta,
            population=self.population,
            rows=self.patients,
            policy=self.policy,
            private=not self.no_privacy,
            seed=self.seed,
            least=self.min_patients,
        )

    @property
    def price(self) -> str:
        """The privacy price in words."""
        if self.no_privacy:
            return "no formal guarantee"
        return f"epsilon {self.epsilon:g} at delta {self.delta:g} of population “{self.population}”"


@commands.command(
    "synthesize-related", epilog="Example: galenic table synthesize-related tables.toml --epsilon 1 --population clinic-2024"
)
@expand_options
def synthesize_related(
    tables: Annotated[Path, typer.Argument(help="TOML file that says which tables belong together.")],
    options: RelatedOptions,
    as_json: Json = False,
) -> None:
    """Make several related tables (patients, visits, conditions ...), measure them, and decide whether they may leave."""
    installation, request = open_installation(), options.request()
    with flows.counted_stops(installation, request):
        relations, sources, dropped = describe_relations(tables, private=request.private, buy=options.buy)
    protects = show.protects(related_unit(relations), private=request.private)
    show.messages.print(f"{options.price}.")
    with show.progress(as_json) as progress:
        result = flows.synthesize_related(installation, relations, sources, request, dropped=dropped, progress=progress)
    if as_json:
        rows = {name: table.rows for name, table in result.tables.items()}
        report = show.report_json(result.report, result.decision)
        show.print_json({"protects": protects, "run": result.run, "folder": str(result.folder), "rows": rows, **report})
    else:
        show.run(result.run, result.folder, result.decision)
    raise typer.Exit(0 if result.decision.accepted else 1)
