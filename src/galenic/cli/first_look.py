"""A first look at a synthesis: the expected result before it starts, advice after a refusal, and a preview of synthetic rows."""

import contextlib
import shlex
import sys
from collections.abc import Iterator
from dataclasses import fields
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.markup import escape
from rich.table import Table as TextTable

from galenic import flows, records
from galenic.cli import show
from galenic.cli.options import Json
from galenic.errors import BudgetError, StateError
from galenic.flows import SynthesisResult
from galenic.generators import SynthesisRequest
from galenic.generators.tables import ExpectedOutcome
from galenic.installation import open_installation
from galenic.records import Source

commands = typer.Typer()
FEW_COLUMNS = 8  # docs/how-to/choose-epsilon.md: no table of six columns was accepted
SHOWN_ROWS, COLUMN_WIDTH = 10, 13  # rows, and characters of the terminal for each column


@commands.command(epilog="Example: galenic table preview 20260101-120000-abcdef --rows 20")
def preview(
    run: Annotated[str, typer.Argument(help="ID of a run, accepted or refused.")],
    rows: Annotated[int, typer.Option(help="Number of rows to draw.")] = 1_000,
    as_json: Json = False,
) -> None:
    """Show synthetic rows of a run inside this installation. The rows are not released."""
    show_preview(run, rows, as_json=as_json)


def show_preview(run: str, rows: int = 1_000, *, as_json: bool = False) -> None:
    """Prints the first rows of a preview, and where all of them and the report are."""
    found = flows.preview(open_installation(), run, rows)
    if as_json:
        files = {name: str(path) for name, path in found.files.items()}
        show.print_json({"run": run, "state": found.state, "released": False, "files": files, "report": str(found.report)})
        return
    for name, table in found.tables.items():
        heading = f"Synthetic rows of run {run}" + (f", table {name}" if len(found.tables) > 1 else "")
        show.out.print(_text_table(f"{heading} (NOT RELEASED: for use inside this installation)", table.frame))
        show.out.print(f"All {table.rows:,} rows: {found.files[name]}", markup=False)
    show.out.print(f"Report: {found.report}", markup=False)
    if not found.private:
        show.messages.print("This model has no formal guarantee. Handle its rows like patient data.")


def _text_table(title: str, frame: Any) -> TextTable:
    names = frame.column_names[: max(show.out.width // COLUMN_WIDTH, 3)]
    table = TextTable(title=title, title_justify="left")
    for name in names:
        table.add_column(escape(name), overflow="ellipsis", no_wrap=True)
    for row in frame.select(names).slice(0, SHOWN_ROWS).to_pylist():
        table.add_row(*("" if v is None else escape(f"{v:.6g}" if isinstance(v, float) else str(v)) for v in row.values()))
    if frame.num_columns > len(names):
        table.caption = f"{frame.num_columns - len(names)} more columns are in the file."
    return table


def confirm_expected(outcome: ExpectedOutcome | None, request: SynthesisRequest, command: str, *, yes: bool) -> None:
    """Prints the expected result, and asks before budget is spent where refusal is likely. Without a terminal it goes on.

    StateError if the answer is no.
    """
    if outcome is None:
        return
    size, limit = outcome.size, outcome.limits.get("fidelity.tvd2.excess")
    allowed = f"; the policy allows {limit:.2f}" if limit is not None else ""
    show.messages.print(
        f"Expected for {size.patients:,} patients and {size.columns} columns at ε = {request.epsilon:g}: pairs of columns differ by about "
        f"{outcome.quality.pairs:.2f} from the real ones{allowed}. Chance of acceptance: about {outcome.chance:.0%}.",
        soft_wrap=True,
    )
    if size.columns < FEW_COLUMNS:
        few = f"With {size.columns} columns the attacks often cannot be tested (privacy.controls), and then the run is refused."
        show.messages.print(f"{few} Keep about twelve columns.", soft_wrap=True)
    if outcome.refusal_is_likely:
        show.messages.print("A refusal is likely, and the budget is used up even then. What would help:")
        print_advice(flows.advice(None, outcome, request, command))
        _ask("Continue anyway?", "Change the command as shown above, or answer yes (--yes).", yes=yes)


def confirm_patient(guessed: str | None, *, yes: bool) -> None:
    """Says which column was taken for the patient by its name, and asks on a terminal. StateError if the answer is no."""
    if guessed is None:
        return
    show.messages.print(
        f"Column {guessed!r} was recognized by its name. If another column tells patients apart, use: --patient COLUMN",
        markup=False,
        soft_wrap=True,
    )
    _ask(f"Does {guessed!r} tell patients apart?", "Name the column: --patient COLUMN", yes=yes)


def _ask(question: str, otherwise: str, *, yes: bool) -> None:
    if not yes and sys.stdin.isatty() and sys.stderr.isatty() and not typer.confirm(question, err=True):
        raise StateError(f"stopped before anything was spent. {otherwise}")


def print_advice(lines: tuple[str, ...]) -> None:
    """Prints advice, one line each."""
    for line in lines:
        show.messages.print(f"  • {line}", markup=False, soft_wrap=True)


def look_ahead(source: Source, request: SynthesisRequest) -> ExpectedOutcome | None:
    """The expected outcome of a synthesis; prints first what is read in a way that the user should know of."""
    left_out = (request.column_options.patient, *request.column_options.drop)
    if request.column_options.description is None:
        inspected = records.inspect_table(source, request.column_options.patient)
        hidden = (
            *(f"column {name!r}" for name in left_out),
            *(f"column {c.name!r}" for c in inspected.columns if c.role == "drop"),
        )
        shown = [notice for notice in inspected.notices if not notice.startswith(hidden)]
        print_advice(tuple(f"Note: {notice}" for notice in shown))
    return flows.expect_outcome(source, request)


@contextlib.contextmanager
def advised(outcome: ExpectedOutcome | None, request: SynthesisRequest, command: str) -> Iterator[None]:
    """Prints advice if the budget is too small for the table."""
    try:
        yield
    except BudgetError:
        if outcome is not None:
            show.messages.print("The privacy noise is too large for this table. What would help:")
            print_advice(flows.advice(None, outcome, request, command))
        raise


def advise(
    result: SynthesisResult, outcome: ExpectedOutcome | None, request: SynthesisRequest, command: str
) -> tuple[str, ...]:
    """Advice after a refusal; what was measured corrects the estimate."""
    if result.decision.accepted:
        return ()
    corrected = outcome.corrected(result.report) if outcome is not None else None
    return flows.advice(result.decision, corrected, request, command)


def print_next(run: str, advice: tuple[str, ...], *, with_rows: bool) -> None:
    """Prints advice after a refusal, and the synthetic rows or how to see them."""
    if advice:
        show.messages.print("What to change:")
        print_advice(advice)
    if with_rows:
        show_preview(run)
    else:
        show.messages.print(f"See synthetic rows inside this installation: galenic table preview {run}", markup=False)


def command_of(table: Path, options: Any, leave_out: tuple[str, ...] = ("epsilon", "yes", "preview")) -> str:
    """The command `galenic table synthesize` with the options that differ from their defaults, without some."""
    words = ["galenic", "table", "synthesize", str(table)]
    for field in fields(options):
        value = getattr(options, field.name)
        if value == field.default or value is None or field.name in leave_out:
            continue
        name = {"source": "--from"}.get(field.name, "--" + field.name.replace("_", "-"))
        for part in value if isinstance(value, list) else [value]:
            words += [name] if part is True else [name, *map(str, part if isinstance(part, tuple) else (part,))]
    return shlex.join(words)
