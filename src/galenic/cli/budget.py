"""The command of privacy budgets."""

from typing import Annotated, Any

import typer

from galenic import custody
from galenic.cli import show
from galenic.cli.options import Json
from galenic.errors import OptionError
from galenic.installation import open_installation
from galenic.privacy import Statement

commands = typer.Typer()


@commands.command(epilog="Example: galenic budget clinic-2024 --epsilon 3 --delta 1e-8")
def budget(
    population: Annotated[str | None, typer.Argument(help="One population (default: all).")] = None,
    epsilon: Annotated[float | None, typer.Option(help="Declare the population with this limit.")] = None,
    delta: Annotated[float, typer.Option(help="Delta of the limit.")] = 1e-8,
    as_json: Json = False,
) -> None:
    """Declare a population's privacy budget, or show who spent what on what."""
    installation = open_installation()
    if epsilon is not None:
        if population is None:
            raise OptionError("name the population to declare: galenic budget NAME --epsilon 3")
        custody.declare_population(installation, population, epsilon=epsilon, delta=delta)
    statements = custody.budget_statements(installation, population)
    if as_json:
        show.print_json([_statement_json(s) for s in statements])
        return
    for statement in statements:
        show.statement(statement)
    if not statements:
        show.out.print("No population is declared. Declare one: galenic budget NAME --epsilon 3")


def _statement_json(statement: Statement) -> dict[str, Any]:
    return {**statement.__dict__, "charges": [dict(c) for c in statement.charges]}
