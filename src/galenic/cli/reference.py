"""Reference of the command line as Markdown: python -m galenic.cli.reference > docs/reference/cli.md"""

import inspect
from collections.abc import Iterator
from typing import Any

import typer

from galenic.cli.app import app
from galenic.cli.old_names import MOVED, OPTIONS

INTRODUCTION = """\
# Command line reference

This page is generated from the help of the commands. Print the same text with `-h` after any command.

Results go to standard output, messages to standard error. Most commands print JSON with `--json`.

| exit code | meaning |
|---|---|
| 0 | done |
| 1 | refused, or a check found something wrong |
| 2 | wrong input: a file, an option or a name |
| 3 | failure of Galenic or of the machine |
| 130 | stopped with Ctrl-C |

For completion in your shell run `galenic --install-completion` once.
"""


def reference() -> str:
    """The page: each command with its arguments, options and example, then the old names."""
    root: Any = typer.main.get_command(app)
    top = {name: command for name, command in root.commands.items() if not hasattr(command, "commands")}
    lines = [INTRODUCTION, "## Top-level commands", ""]
    for name, command in top.items():
        lines += _command(name, command)
    for name, group in root.commands.items():
        if name not in top:
            lines += [f"## galenic {name}", "", group.help, ""]
            for path, command in _commands(group, name):
                lines += _command(path, command)
    return "\n".join([*lines, *_old_names()]).rstrip() + "\n"


def _commands(group: Any, path: str) -> Iterator[tuple[str, Any]]:
    for name, command in group.commands.items():
        if hasattr(command, "commands"):
            yield from _commands(command, f"{path} {name}")
        else:
            yield f"{path} {name}", command


def _command(path: str, command: Any) -> list[str]:
    """Heading, help, arguments, options and example of one command."""
    arguments = [p for p in command.params if p.param_type_name == "argument"]
    options = [p for p in command.params if p.param_type_name == "option"]
    lines = [f"### galenic {path}", "", inspect.cleandoc(command.help or ""), ""]
    if command.epilog:
        lines += ["```console", command.epilog.removeprefix("Example: "), "```", ""]
    if arguments:
        lines += ["| argument | meaning |", "|---|---|", *(_row(_argument(p), p) for p in arguments), ""]
    if options:
        lines += ["| option | meaning |", "|---|---|", *(_row(f"`{p.opts[0]}`", p) for p in options), ""]
    return lines


def _argument(parameter: Any) -> str:
    return f"`{(parameter.metavar or parameter.name).upper().strip('{}[]')}`"


def _row(name: str, parameter: Any) -> str:
    text = (parameter.help or "").replace("|", "\\|")
    default = parameter.default
    if parameter.required:
        text += " Required."
    elif default not in (None, False, "", (), []) and not callable(default):
        text += f" Default: {default:g}." if isinstance(default, float) else f" Default: {default}."
    return f"| {name} | {text} |"


def _old_names() -> list[str]:
    """Tables of the names of the version before."""
    lines = ["## Old names", "", "These names of earlier versions work for one version and print the new name.", ""]
    lines += ["| old command | new command |", "|---|---|"]
    lines += [f"| `galenic {old}` | `galenic {new}` |" for old, new in MOVED.items()]
    lines += ["", "| command | old option | new option |", "|---|---|---|"]
    lines += [f"| `galenic {path}` | `{old}` | `{new}` |" for path, renamed in OPTIONS.items() for old, new in renamed.items()]
    return lines


if __name__ == "__main__":
    typer.echo(reference(), nl=False)
