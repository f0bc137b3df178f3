"""The command for several tables of the same patients."""

from pathlib import Path
from typing import Annotated

import typer

from galenic import flows
from galenic.cli import show
from galenic.cli.app import Json, app
from galenic.generators import SynthesisRequest
from galenic.generators.tables import describe_relations
from galenic.installation import open_installation


@app.command(
    "synthesize-related", epilog="Example: galenic synthesize-related tables.toml --epsilon 1 --population clinic-2024"
)
def synthesize_related(
    tables: Annotated[Path, typer.Argument(help="TOML file that says which tables belong together.")],
    epsilon: Annotated[float, typer.Option(help="Price from the population's budget, all tables together.")] = 1.0,
    delta: Annotated[float, typer.Option(help="Delta of the price.")] = 1e-9,
    population: Annotated[str, typer.Option(help="Whose budget pays.")] = "default",
    patients: Annotated[
        int | None, typer.Option(help="New patients to make (default: the noisy number of those learned from).")
    ] = None,
    buy: Annotated[bool, typer.Option(help="Buy what descriptions only observed.")] = False,
    policy: Annotated[str, typer.Option(help="internal, partner, public, or a TOML file.")] = "internal",
    no_privacy: Annotated[bool, typer.Option("--no-privacy", help="Fit without noise: no formal guarantee.")] = False,
    min_patients: Annotated[int, typer.Option(help="With --no-privacy: patients who must share an exact value.")] = 5,
    seed: Annotated[int | None, typer.Option(help="Of the split and the judge; noise is never seeded.")] = None,
    as_json: Json = False,
) -> None:
    """Make several related tables (patients, visits, conditions ...), measure them, and decide whether they may leave."""
    relations, sources, dropped = describe_relations(tables, private=not no_privacy, buy=buy)
    request = SynthesisRequest(
        epsilon, delta, population, rows=patients, policy=policy, private=not no_privacy, seed=seed, least=min_patients
    )
    price = f"epsilon {epsilon:g} at delta {delta:g} of population “{population}”" if not no_privacy else "no formal guarantee"
    parts = ", ".join(f"{r.name} (at most {r.rows_of_a_patient} row(s))" for r in relations)
    show.messages.print(f"{price}; one patient is protected, in all tables together: {parts}.")
    with show.progress(as_json) as tell:
        result = flows.synthesize_related(open_installation(), relations, sources, request, dropped=dropped, progress=tell)
    if as_json:
        rows = {name: table.rows for name, table in result.tables.items()}
        found = show.report_json(result.report, result.decision)
        show.print_json({"run": result.run, "folder": str(result.folder), "rows": rows, **found})
    else:
        show.run(result.run, result.folder, result.decision)
    raise typer.Exit(0 if result.decision.accepted else 1)
