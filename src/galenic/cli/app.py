"""The command line as one application: top-level commands, and groups of commands named by nouns, in the order of the help."""

import difflib
from typing import Annotated, Any

import typer
from typer.core import TyperGroup

from galenic.cli import (
    audit,
    backup,
    budget,
    clients,
    deidentification,
    demonstration,
    doctor,
    fhir,
    initialization,
    jobs,
    keys,
    old_names,
    patient,
    people,
    policy,
    records,
    release,
    server,
    table,
    terminology,
    verification,
)
from galenic.cli.show import messages
from galenic.version import __version__

TOP_LEVEL = (demonstration, initialization, server, verification, doctor, deidentification)
"""Modules with a top-level command."""

GROUPS = {
    "table": table,
    "records": records,
    "fhir": fhir,
    "terminology": terminology,
    "patient": patient,
    "release": release,
    "budget": budget,
    "audit": audit,
    "policy": policy,
    "people": people,
    "keys": keys,
    "clients": clients,
    "server": server,
    "backup": backup,
    "jobs": jobs,
}
"""Groups of commands by name."""


class RootGroup(TyperGroup):
    """The command line. It understands the names of the version before, and suggests the nearest command for a mistyped one."""

    def resolve_command(self, ctx: Any, args: list[str]) -> Any:
        """The command that the words name."""
        groups = {name: frozenset(getattr(command, "commands", {})) for name, command in self.commands.items()}
        words, hints = old_names.current_words(args, groups)
        for hint in hints:
            messages.print(hint, markup=False, soft_wrap=True)
        if words == ["--version"]:
            print_version(value=True)
        if words[0] not in self.commands and not words[0].startswith("-"):
            ctx.fail(f"There is no command {words[0]!r}. {self._advice(words[0])}")
        return super().resolve_command(ctx, words)

    def _advice(self, name: str) -> str:
        """A sentence that names the commands whose names are nearest."""
        by_name: dict[str, str] = {old: new for old, new in old_names.MOVED.items() if not new.startswith("-")}
        for group, command in self.commands.items():
            by_name[group] = group
            by_name |= {verb: f"{group} {verb}" for verb in getattr(command, "commands", {}) if verb not in by_name}
        near = dict.fromkeys(by_name[close] for close in difflib.get_close_matches(name, by_name))
        if near:
            return f"Did you mean: {', '.join(f'galenic {command}' for command in near)}?"
        return "All commands: galenic --help"


def print_version(value: bool) -> None:
    """Prints the version and ends, if the option was given."""
    if value:
        typer.echo(f"galenic {__version__}")
        raise typer.Exit


app = typer.Typer(
    name="galenic",
    cls=RootGroup,
    help="Turns patient records into generative-AI results that are safe to use, and shows the evidence.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode="rich",
    context_settings={"help_option_names": ["-h", "--help"]},
)


@app.callback()
def root(
    version: Annotated[
        bool, typer.Option("--version", callback=print_version, is_eager=True, help="Print the version and exit.")
    ] = False,
) -> None:
    """Turns patient records into generative-AI results that are safe to use, and shows the evidence."""


for module in TOP_LEVEL:
    app.add_typer(module.top_level)
for name, group in GROUPS.items():
    app.add_typer(group.commands, name=name)
