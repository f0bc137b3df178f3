"""The commands of tables."""

import typer

from galenic.cli import description, evaluation, related, synthesis

commands = typer.Typer(help="Describe, synthesize, fill and evaluate tables.", no_args_is_help=True)
for part in (description, synthesis, related, evaluation):
    commands.add_typer(part.commands)
