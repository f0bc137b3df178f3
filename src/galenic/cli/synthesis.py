"""The commands that make synthetic tables: synthesize and impute."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Annotated

import typer

from galenic import flows, records, store
from galenic.cli import first_look, show
from galenic.cli.files import require_writable
from galenic.cli.options import (
    Buy,
    Columns,
    Delta,
    DetailOptions,
    Epsilon,
    Groups,
    Holdout,
    Json,
    MinPatients,
    NoPrivacy,
    OptionalKey,
    Patient,
    Population,
    Purpose,
    ReleasePolicy,
    Report,
    Run,
    Seed,
    Source,
    Target,
    Times,
    Yes,
    expand_options,
)
from galenic.errors import OptionError
from galenic.generators import SynthesisRequest
from galenic.installation import Installation, open_installation
from galenic.privacy import ColumnOptions, PrivacyUnit
from galenic.release import report_page

commands = typer.Typer()


@dataclass(frozen=True, kw_only=True)
class SynthesisOptions:
    """Options of `galenic table synthesize`."""

    epsilon: Epsilon = 1.0
    delta: Delta = 1e-9
    population: Population = "default"
    columns: Columns = None
    patient: Patient = None
    unit: Annotated[str, typer.Option(help="Unit that privacy protects: patient, or row if each row is another patient.")] = (
        "patient"
    )
    rows_per_patient: Annotated[
        int, typer.Option(help="Maximum number of rows to use of one patient. More rows need more noise.")
    ] = 1
    drop: Annotated[list[str] | None, typer.Option(help="Column to leave out. Repeat for more.")] = None
    buy: Buy = False
    rows: Annotated[
        int | None, typer.Option(help="Number of rows to draw. Default: about as many as the model was trained on.")
    ] = None
    target: Target = None
    holdout: Holdout = None
    group: Groups = None
    survival: Times = None
    shadows: Annotated[
        int, typer.Option(min=0, help="Number of shadow models to attack with. Each takes as long as the fit itself.")
    ] = 0
    release_policy: ReleasePolicy = "internal"
    no_privacy: NoPrivacy = False
    given: Annotated[
        list[str] | None,
        typer.Option(help="COLUMN=VALUE that each synthetic row must have. An empty value means missing. Repeat for more."),
    ] = None
    balance: Annotated[str | None, typer.Option(help="Category column whose values must be equally frequent.")] = None
    min_patients: MinPatients = 5
    report: Report = None
    preview: Annotated[bool, typer.Option("--preview", help="Show synthetic rows afterwards, even if the run is refused.")] = (
        False
    )
    yes: Yes = False
    source: Source = "file"
    key: OptionalKey = None
    purpose: Purpose = "synthetic-data"

    def request(self) -> SynthesisRequest:
        """The request to the workflow."""
        return SynthesisRequest(
            epsilon=self.epsilon,
            delta=self.delta,
            population=self.population,
            column_options=ColumnOptions(self.columns, self.patient, self.unit, tuple(self.drop or ()), self.buy),
            cap=self.rows_per_patient,
            rows=self.rows,
            target=self.target,
            policy=self.release_policy,
            private=not self.no_privacy,
            holdout=records.read(self.holdout) if self.holdout else None,
            given=parse_conditions(self.given or []),
            balance=self.balance,
            groups=tuple(self.group or ()),
            times=self.survival,
            shadows=self.shadows,
            least=self.min_patients,
        )


@commands.command(epilog="Example: galenic table synthesize patients.csv --patient patient_id --epsilon 1 --drop name")
@expand_options
def synthesize(
    table: Annotated[
        Path, typer.Argument(help="CSV, Excel, JSON, Parquet or Arrow file. With --from store: name of a stored data set.")
    ],
    options: SynthesisOptions,
    texts: DetailOptions,
    as_json: Json = False,
) -> None:
    """Make a synthetic table and check whether it may be released.

    The command fits a model with a privacy limit, draws rows, measures quality and privacy, and decides by a release policy. The
    synthetic rows stay in this installation until two people sign the run. Ends with 1 if the release policy refuses it.
    """
    if options.source not in ("file", "store") or (options.source == "store") != (options.key is not None):
        raise OptionError(
            "--from is file or store, and store needs --key. Example: galenic table synthesize clinic --from store --key dora"
        )
    if options.report is not None:
        require_writable(options.report)
    request = replace(options.request(), details=texts.details())
    installation = open_installation()
    file = flows.read_counted(installation, table, request) if options.source == "file" else None
    unit, run = _prepare_run(installation, file, str(table), options, request)
    protects = show.protects(str(unit), private=request.private)
    first_look.confirm_patient(_guessed(unit, options) if file else None, yes=options.yes or as_json)
    command = first_look.command_of(table, options)
    outcome = None
    if file is not None:
        with flows.counted_stops(installation, request):
            outcome = first_look.look_ahead(file, request)
    first_look.confirm_expected(outcome, request, command, yes=options.yes or as_json)
    with first_look.advised(outcome, request, command), show.progress(as_json) as progress:
        result = run(progress=show.before_first(progress, lambda: _print_cost(options, file, request)))
    if options.report is not None:
        with store.file_aside(options.report) as temporary:
            temporary.write_bytes(report_page(result.folder).read_bytes())
    _print_result(result, first_look.advise(result, outcome, request, command), options, protects=protects, as_json=as_json)
    raise typer.Exit(0 if result.decision.accepted else 1)


def _guessed(unit: PrivacyUnit, options: SynthesisOptions) -> str | None:
    """The patient column if it was recognized by its name alone."""
    return unit.column if options.patient is None and options.columns is None else None


def _print_result(
    result: flows.SynthesisResult, advice: tuple[str, ...], options: SynthesisOptions, *, protects: str, as_json: bool
) -> None:
    """Prints the decision, advice after a refusal, and synthetic rows or how to see them."""
    if as_json:
        about = {"protects": protects, "run": result.run, "folder": str(result.folder), "advice": list(advice)}
        show.print_json({**about, **show.report_json(result.report, result.decision)})
    else:
        show.run(result.run, result.folder, result.decision)
        first_look.print_next(result.run, advice, with_rows=options.preview)


def _prepare_run(
    installation: Installation, file: records.Source | None, name: str, options: SynthesisOptions, request: SynthesisRequest
) -> tuple[PrivacyUnit, Callable[..., flows.SynthesisResult]]:
    """(the unit of privacy, the run on a file or on the data set of that name in custody)."""
    if file is not None:
        return flows.unit_of(file, request), partial(flows.synthesize, installation, file, request)
    session = installation.sign_in(str(options.key))
    unit = flows.stored_unit(installation, session, name, request)
    return unit, partial(flows.synthesize_stored, installation, session, name, request, purpose=options.purpose)


def _print_cost(options: SynthesisOptions, file: records.Source | None, request: SynthesisRequest) -> None:
    """Prints the estimated time, memory and privacy cost."""
    cost = flows.estimate_cost(file, request) if file else None
    price = f"epsilon {options.epsilon:g} at delta {options.delta:g} of population “{options.population}”"
    if options.no_privacy:
        price = "no formal guarantee"
    resources = f"About {cost.seconds:.0f} s and {cost.megabytes:.0f} MB; " if cost else ""
    show.messages.print(f"{resources}{price}.")
    if options.unit == "patient" and not options.no_privacy and options.rows_per_patient > 1:
        show.messages.print(f"Noise is {options.rows_per_patient} x that of one row per patient.")


def parse_conditions(texts: list[str]) -> dict[str, object]:
    """COLUMN=VALUE as conditions by column; several values of one column are alternatives."""
    conditions: dict[str, object] = {}
    for text in texts:
        column, sign, value = text.partition("=")
        if not sign or not column:
            raise OptionError("--given expects COLUMN=VALUE, such as --given sex=female. Correct it.")
        earlier = conditions.get(column)
        if column in conditions:
            conditions[column] = [*(earlier if isinstance(earlier, list) else [earlier]), value or None]
        else:
            conditions[column] = value or None
    return conditions


@commands.command(epilog="Example: galenic table impute 20260101-120000-abcdef patients.csv completed.csv")
def impute(
    run: Run,
    table: Annotated[Path, typer.Argument(help="CSV, Parquet or Arrow file with missing values.")],
    target: Annotated[Path, typer.Argument(metavar="FILE", help="CSV or Parquet file to write. It must not exist.")],
    seed: Seed = None,
    as_json: Json = False,
) -> None:
    """Fill missing values in your table with the model of a run.

    The result contains your patients' values. Handle it like the table itself.
    """
    completed = flows.impute(open_installation(), run, records.read(table), target, seed=seed)
    if as_json:
        show.print_json(
            {"rows": completed.table.rows, "filled": completed.filled, "rows_left": completed.left, "written": str(target)}
        )
    else:
        show.out.print(
            f"{completed.filled} values filled in {completed.table.rows} rows, written to {target}; "
            f"{completed.left} row(s) not changed"
        )
