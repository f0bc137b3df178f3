"""The command line as one application: the modules of commands, in the order of the help."""

import typer

from galenic.cli import (
    audit,
    backup,
    budget,
    client,
    datasets,
    demonstration,
    description,
    evaluation,
    jobs,
    permissions,
    policy,
    privacy,
    quality,
    records,
    related,
    release,
    search,
    server,
    simulation,
    subjects,
    synthesis,
    terminology,
)

COMMANDS = (
    description,
    synthesis,
    evaluation,
    release,
    budget,
    demonstration,
    datasets,
    permissions,
    search,
    subjects,
    backup,
    jobs,
    privacy,
    records,
    simulation,
    quality,
    related,
    server,
)
"""Modules whose commands are top-level commands."""

GROUPS = {"audit": audit, "policy": policy, "client": client, "code": terminology}
"""Groups of commands by name."""

app = typer.Typer(
    name="galenic",
    help="Turns patient records into generative-AI results that are safe to use, and shows the evidence.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode="rich",
)
for module in COMMANDS:
    app.add_typer(module.commands)
for name, group in GROUPS.items():
    app.add_typer(group.commands, name=name)
