"""The commands of tables."""

import typer

from galenic.cli import description, evaluation, first_look, related, synthesis

commands = typer.Typer(help="Describe, synthesize, preview, fill and evaluate tables.", no_args_is_help=True)
for part in (description, synthesis, first_look, related, evaluation):
    commands.add_typer(part.commands)
