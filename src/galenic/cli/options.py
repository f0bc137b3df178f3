"""Options of commands: a dataclass of options as one parameter, and the options that several commands share."""

import inspect
from collections.abc import Callable
from dataclasses import MISSING, Field, fields, is_dataclass
from pathlib import Path
from typing import Annotated, Any, TypeVar, get_type_hints

import typer

R = TypeVar("R")

Key = Annotated[str, typer.Option(help="Name of your key.")]
Second = Annotated[str, typer.Option(help="A second key of yours: the step up.")]
Json = Annotated[bool, typer.Option("--json", help="Results as JSON on stdout.")]
Columns = Annotated[Path | None, typer.Option("--columns", help="Description of columns (TOML, from: galenic table describe).")]
Groups = Annotated[
    list[str] | None, typer.Option("--group", help="Column that makes groups of people to compare; repeat for more.")
]
Times = Annotated[
    tuple[str, str] | None, typer.Option("--survival", help="Column of the time until an event, and of whether it happened.")
]
Patient = Annotated[str | None, typer.Option(help="Column that tells patients apart.")]


def expand_options(command: Callable[..., R]) -> Callable[..., R]:
    """The command with each parameter that is a dataclass replaced by one option per field, in the order of the fields.

    A field is declared as a parameter of a command would be: `Annotated[type, typer.Option(...)] = default`. Typer sees the options;
    the command receives the dataclass.
    """
    hints = get_type_hints(command, include_extras=True)
    groups: dict[str, type] = {}
    parameters: list[inspect.Parameter] = []
    for parameter in inspect.signature(command).parameters.values():
        hint = hints[parameter.name]
        if is_dataclass(hint) and isinstance(hint, type):
            groups[parameter.name] = hint
            annotations = get_type_hints(hint, include_extras=True)
            parameters += [_parameter(field, annotations[field.name]) for field in fields(hint)]
        else:
            parameters.append(parameter.replace(annotation=hint, kind=inspect.Parameter.KEYWORD_ONLY))

    def call(**values: Any) -> R:  # typer passes every option by its name
        filled = {name: kind(**{f.name: values.pop(f.name) for f in fields(kind)}) for name, kind in groups.items()}
        return command(**values, **filled)

    call.__name__, call.__module__, call.__doc__ = command.__name__, command.__module__, command.__doc__
    call.__annotations__ = {p.name: p.annotation for p in parameters}
    call.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]  # read by inspect.signature
    return call


def _parameter(field: "Field[Any]", annotation: Any) -> inspect.Parameter:
    default = inspect.Parameter.empty if field.default is MISSING else field.default
    return inspect.Parameter(field.name, inspect.Parameter.KEYWORD_ONLY, default=default, annotation=annotation)
