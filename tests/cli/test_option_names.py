"""One option name has one meaning in all commands."""

from collections import defaultdict
from collections.abc import Iterator
from typing import Any

import pytest
import typer

from galenic import cli
from galenic.cli.old_names import OPTIONS

COMMAND = typer.main.get_command(cli.app)


def commands(command: Any, path: tuple[str, ...] = ()) -> Iterator[tuple[str, Any]]:
    """(name, command) of each command."""
    if not hasattr(command, "commands"):
        yield " ".join(path), command
        return
    for name, sub in command.commands.items():
        yield from commands(sub, (*path, name))


def options_by_name() -> dict[str, list[tuple[str, Any]]]:
    """(command, option) by name of the option."""
    found = defaultdict(list)
    for path, command in commands(COMMAND):
        for parameter in command.params:
            if parameter.param_type_name == "option":
                for name in (*parameter.opts, *parameter.secondary_opts):
                    found[name].append((path, parameter))
    return dict(found)


BY_NAME = options_by_name()


def meaning(option: Any) -> tuple[str, str]:
    """First sentence of the help, and the shape of the value."""
    return option.help.split(". ")[0].rstrip("."), f"flag {option.is_flag}, {option.nargs} value(s), repeated {option.multiple}"


@pytest.mark.parametrize("name", sorted(BY_NAME))
def test_an_option_name_has_one_meaning(name: str) -> None:
    meanings = {meaning(option) for _path, option in BY_NAME[name]}
    assert len(meanings) == 1, f"{name} means {meanings} in {[path for path, _option in BY_NAME[name]]}"


def test_no_flag_has_a_twin_that_says_no() -> None:
    twins = {name for name, uses in BY_NAME.items() for _path, option in uses if option.secondary_opts}
    assert not twins


def test_every_option_has_a_sentence_of_help() -> None:
    for name, uses in BY_NAME.items():
        for path, option in uses:
            assert option.help, (path, name)
            assert len(option.help.split()) >= 2, (path, name)


@pytest.mark.parametrize(("path", "old", "new"), [(p, o, n) for p, renamed in OPTIONS.items() for o, n in renamed.items()])
def test_each_old_option_leads_to_one_of_today(path: str, old: str, new: str) -> None:
    (command,) = (c for p, c in commands(COMMAND) if p == path)
    names = {name for parameter in command.params for name in parameter.opts}
    assert new in names
    assert old not in names
