"""The command for several tables of the same patients."""

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Annotated

import typer

from galenic import flows
from galenic.cli import show
from galenic.cli.options import (
    Buy,
    Delta,
    DetailOptions,
    Epsilon,
    Json,
    MinPatients,
    NoPrivacy,
    Population,
    ReleasePolicy,
    Seed,
    expand_options,
)
from galenic.generators import SynthesisRequest
from galenic.generators.tables import describe_relations, related_unit
from galenic.installation import open_installation

commands = typer.Typer()


@dataclass(frozen=True, kw_only=True)
class RelatedOptions:
    """Options of `galenic table synthesize-related`."""

    epsilon: Epsilon = 1.0
    delta: Delta = 1e-9
    population: Population = "default"
    patients: Annotated[
        int | None, typer.Option(help="Number of patients to draw. Default: about as many as the model was trained on.")
    ] = None
    buy: Buy = False
    release_policy: ReleasePolicy = "internal"
    no_privacy: NoPrivacy = False
    min_patients: MinPatients = 5
    seed: Seed = None

    def request(self) -> SynthesisRequest:
        """The request to the workflow."""
        return SynthesisRequest(
            epsilon=self.epsilon,
            delta=self.delta,
            population=self.population,
            rows=self.patients,
            policy=self.release_policy,
            private=not self.no_privacy,
            seed=self.seed,
            least=self.min_patients,
        )

    @property
    def price(self) -> str:
        """The privacy cost in words."""
        if self.no_privacy:
            return "no formal guarantee"
        return f"epsilon {self.epsilon:g} at delta {self.delta:g} of population “{self.population}”"


@commands.command(
    "synthesize-related", epilog="Example: galenic table synthesize-related tables.toml --epsilon 1 --population clinic-2024"
)
@expand_options
def synthesize_related(
    tables: Annotated[Path, typer.Argument(help="TOML file that lists the tables and how they are linked.")],
    options: RelatedOptions,
    texts: DetailOptions,
    as_json: Json = False,
) -> None:
    """Make several linked tables of the same patients, such as patients, visits and conditions.

    Works like table synthesize, with one privacy limit for all tables together. --seed needs --no-privacy.
    """
    installation, request = open_installation(), replace(options.request(), details=texts.details())
    with flows.counted_stops(installation, request):
        relations, sources, dropped = describe_relations(tables, private=request.private, buy=options.buy)
    protects = show.protects(related_unit(relations), private=request.private)
    with show.progress(as_json) as progress:
        first = show.before_first(progress, lambda: show.messages.print(f"{options.price}."))
        result = flows.synthesize_related(installation, relations, sources, request, dropped=dropped, progress=first)
    if as_json:
        rows = {name: table.rows for name, table in result.tables.items()}
        report = show.report_json(result.report, result.decision)
        show.print_json({"protects": protects, "run": result.run, "folder": str(result.folder), "rows": rows, **report})
    else:
        show.run(result.run, result.folder, result.decision)
    raise typer.Exit(0 if result.decision.accepted else 1)
