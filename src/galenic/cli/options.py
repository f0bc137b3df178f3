"""Options of commands: a dataclass of options as one parameter, and the options that several commands share."""

import inspect
import math
import re
from collections.abc import Callable
from dataclasses import MISSING, Field, dataclass, fields, is_dataclass
from datetime import date
from pathlib import Path
from typing import Annotated, Any, TypeVar, get_type_hints

import typer

from galenic.schema import RunDetails

R = TypeVar("R")


def parse_number(typed: object) -> float:
    """A number as typed. BadParameter with advice if it has a decimal comma, or is no finite number."""
    text = str(typed)
    if re.fullmatch(r"[+-]?\d+,\d+", text.strip()):
        raise typer.BadParameter(f"{text!r} has a decimal comma. Write a point: {text.strip().replace(',', '.')}")
    try:
        number = float(text)
    except ValueError:
        raise typer.BadParameter(f"{text!r} is not a number. Expected a number such as 1 or 0.5.") from None
    if not math.isfinite(number):
        raise typer.BadParameter(f"{text!r} is not a finite number. Expected a number such as 1 or 0.5.")
    return number


def parse_positive(typed: object) -> float:
    """A number above 0 as typed. BadParameter with advice otherwise."""
    number, text = parse_number(typed), str(typed)
    if number <= 0:
        raise typer.BadParameter(f"{text!r} is not above 0. Expected a number such as 1 or 0.5.")
    return number


def parse_day(text: str) -> str:
    """A day as typed. BadParameter if it is not YYYY-MM-DD."""
    try:
        return date.fromisoformat(text).isoformat() if text else ""
    except ValueError:
        raise typer.BadParameter(f"{text!r} is not a day. Expected YYYY-MM-DD, such as 2027-12-31.") from None


Key = Annotated[str, typer.Option("--key", help="Name of your key.")]
OptionalKey = Annotated[str | None, typer.Option("--key", help="Name of your key. Needed for stored records.")]
Second = Annotated[str, typer.Option("--second", help="Name of your second key. It confirms that it is you.")]
OptionalSecond = Annotated[str | None, typer.Option("--second", help="Name of your second key. Some policies ask for it.")]
Json = Annotated[bool, typer.Option("--json", help="Print the result as JSON.")]
Columns = Annotated[
    Path | None, typer.Option("--columns", help="Description of the columns (TOML). Write one with: galenic table describe")
]
Groups = Annotated[
    list[str] | None, typer.Option("--group", help="Column that defines groups to compare, such as sex. Repeat for more.")
]
Times = Annotated[
    tuple[str, str] | None,
    typer.Option("--survival", metavar="TIME EVENT", help="Column of the time to an event, and column of whether it happened."),
]
Patient = Annotated[str | None, typer.Option("--patient", help="Column that identifies the patient.")]
Target = Annotated[str | None, typer.Option("--target", help="Column to predict when the usefulness of the data is tested.")]
Holdout = Annotated[
    Path | None, typer.Option("--holdout", help="Table of real patients that the model never sees. Privacy attacks need it.")
]
Epsilon = Annotated[
    float,
    typer.Option(
        "--epsilon", parser=parse_positive, metavar="NUMBER",
        help="Privacy limit epsilon. Smaller means stronger privacy and less accurate data; 1 is typical.",
    ),
]  # fmt: skip
Delta = Annotated[
    float,
    typer.Option(
        "--delta", parser=parse_positive, metavar="NUMBER",
        help="Chance that the privacy limit does not hold. Keep it far below 1 divided by the number of patients.",
    ),
]  # fmt: skip
Population = Annotated[
    str, typer.Option("--population", help="Name of the budget population: the patients who share a privacy budget.")
]
Buy = Annotated[bool, typer.Option("--buy", help="Spend part of epsilon on column details that you did not declare.")]
ReleasePolicy = Annotated[
    str,
    typer.Option(
        "--release-policy", help="Rules of the release check. One of internal, partner, public, deidentified, or a TOML file."
    ),
]
OptionalReleasePolicy = Annotated[
    str | None,
    typer.Option(
        "--release-policy", help="Rules of the release check. One of internal, partner, public, deidentified, or a TOML file."
    ),
]
NoPrivacy = Annotated[bool, typer.Option("--no-privacy", help="Fit without noise. The result has no privacy guarantee.")]
MinPatients = Annotated[
    int, typer.Option("--min-patients", min=1, help="With --no-privacy: number of patients who must share an exact value.")
]
Seed = Annotated[int | None, typer.Option("--seed", help="Seed of the random numbers. The same seed gives the same result.")]
Source = Annotated[str, typer.Option("--from", help="Source of the data: file, or store (a stored data set).")]
Purpose = Annotated[str, typer.Option("--purpose", help="Purpose of use, such as research or treatment.")]
Report = Annotated[Path | None, typer.Option("--report", help="Write the report to this file.")]
Yes = Annotated[bool, typer.Option("--yes", help="Do not ask for confirmation.")]
Dataset = Annotated[str, typer.Argument(metavar="DATASET", help="Name of a stored data set, as in: galenic records list")]
PatientId = Annotated[str, typer.Argument(metavar="PATIENT", help="Identifier of the patient. With FHIR data: DATASET|ID.")]
Run = Annotated[str, typer.Argument(metavar="RUN", help="Id of the run, such as 20260101-120000-abcdef.")]
Person = Annotated[str, typer.Option("--who", help="Key or account of the person.")]
Until = Annotated[str, typer.Option("--until", parser=parse_day, metavar="YYYY-MM-DD", help="Last day.")]
Withdrawn = Annotated[bool, typer.Option("--withdrawn", help="Record that it was withdrawn.")]
Port = Annotated[int, typer.Option("--port", min=1, max=65535, help="Port to listen on.")]
Base = Annotated[str, typer.Option("--base", help="Public URL of the server. Default: https://localhost and the port.")]
Certificate = Annotated[Path | None, typer.Option("--certificate", help="TLS certificate (PEM). Default: self-signed.")]
Scope = Annotated[str, typer.Option("--scope", help="SMART scopes, separated by spaces.")]
DisplayName = Annotated[str, typer.Option("--display-name", help="Name that people see.")]


@dataclass(frozen=True, kw_only=True)
class DetailOptions:
    """Options of commands that make runs: public texts about the result."""

    title: Annotated[str, typer.Option(help="Title of the result. Public: the card and the release contain it.")] = ""
    intended_use: Annotated[str, typer.Option(help="Task that the recipient needs the result for. Public.")] = ""
    recipient: Annotated[str, typer.Option(help="Person or organization that receives the result. Public.")] = ""

    def details(self) -> RunDetails:
        """The texts, checked. OptionError for control characters or an overlong text."""
        return RunDetails(self.title, self.intended_use, self.recipient)


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
