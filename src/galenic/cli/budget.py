"""The commands of privacy budgets."""

from typing import Annotated, Any

import typer

from galenic import custody
from galenic.cli import show
from galenic.cli.options import Delta, Epsilon, Json
from galenic.installation import open_installation
from galenic.privacy import Statement

commands = typer.Typer(help="Declare privacy budgets, and show who spent them.", no_args_is_help=True)


@commands.command("show", epilog="Example: galenic budget show clinic-2024")
def show_(
    population: Annotated[str | None, typer.Argument(help="Name of one budget population (default: all).")] = None,
    as_json: Json = False,
) -> None:
    """Show privacy budgets: limit, what is spent, and each charge."""
    statements = custody.budget_statements(open_installation(), population)
    if as_json:
        show.print_json([_statement_json(s) for s in statements])
        return
    for statement in statements:
        show.statement(statement)
    if not statements:
        show.out.print("No privacy budget is declared. Declare one: galenic budget declare NAME --epsilon 3")


@commands.command("declare", epilog="Example: galenic budget declare clinic-2024 --epsilon 3 --delta 1e-8")
def declare(
    population: Annotated[str, typer.Argument(help="Name of the group of patients that shares this budget.")],
    epsilon: Epsilon,
    delta: Delta = 1e-8,
    as_json: Json = False,
) -> None:
    """Declare the privacy budget of a group of patients, before the first run.

    Each run spends a part of it. A run that needs more than is left is refused.
    """
    installation = open_installation()
    custody.declare_population(installation, population, epsilon=epsilon, delta=delta)
    statements = custody.budget_statements(installation, population)
    if as_json:
        show.print_json([_statement_json(s) for s in statements])
    else:
        for statement in statements:
            show.statement(statement)


def _statement_json(statement: Statement) -> dict[str, Any]:
    return {**statement.__dict__, "charges": [dict(c) for c in statement.charges]}
