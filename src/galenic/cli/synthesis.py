"""The commands that make synthetic tables: synthesize and impute."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Annotated

import typer

from galenic import flows, records, store
from galenic.cli import show
from galenic.cli.options import Columns, Groups, Json, Patient, Times, expand_options
from galenic.errors import OptionError
from galenic.generators import SynthesisRequest
from galenic.installation import Installation, open_installation
from galenic.privacy import ColumnOptions, PrivacyUnit
from galenic.release import report_page
from galenic.schema import FitCost

commands = typer.Typer()


@dataclass(frozen=True, kw_only=True)
class SynthesisOptions:
    """Options of `galenic table synthesize`."""

    epsilon: Annotated[float, typer.Option(help="What one patient may change: e to this power.")] = 1.0
    delta: Annotated[float, typer.Option(help="Chance that the guarantee fails; far below 1 / patients.")] = 1e-9
    population: Annotated[str, typer.Option(help="Whose budget pays; the same patients, the same name.")] = "default"
    columns: Columns = None
    patient: Patient = None
    unit: Annotated[str, typer.Option(help="What is protected: patient, or row (each row is one patient).")] = "patient"
    rows_per_patient: Annotated[int, typer.Option(help="Most rows used of one patient; noise grows with it.")] = 1
    drop: Annotated[list[str] | None, typer.Option(help="Column to leave out; repeat for more.")] = None
    buy: Annotated[bool, typer.Option(help="Buy what the description only observed.")] = False
    rows: Annotated[int | None, typer.Option(help="Synthetic rows to make (default: the noisy number of training rows).")] = (
        None
    )
    target: Annotated[str | None, typer.Option(help="Column that the utility check predicts.")] = None
    holdout: Annotated[Path | None, typer.Option(help="Patients kept aside by you (default: 30 % are held out).")] = None
    group: Groups = None
    survival: Times = None
    shadows: Annotated[
        int, typer.Option(help="Also attack with so many shadow fits; each costs as much as the fit itself.")
    ] = 0
    policy: Annotated[str, typer.Option(help="internal, partner, public, or a TOML file.")] = "internal"
    no_privacy: Annotated[bool, typer.Option("--no-privacy", help="Fit without noise: no formal guarantee.")] = False
    given: Annotated[
        list[str] | None, typer.Option(help="COLUMN=VALUE that every row shall have (empty: missing); repeat for more.")
    ] = None
    balance: Annotated[str | None, typer.Option(help="Category column whose values shall be equally frequent.")] = None
    min_patients: Annotated[int, typer.Option(help="With --no-privacy: patients who must share an exact value.")] = 5
    out: Annotated[Path | None, typer.Option(help="Also copy the signers' report here (HTML).")] = None
    source: Annotated[str, typer.Option("--from", help="file, or store: records in custody, past the gate.")] = "file"
    key: Annotated[str | None, typer.Option(help="With --from store: your key.")] = None
    purpose: Annotated[str, typer.Option(help="With --from store: what for.")] = "synthetic-data"

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
            policy=self.policy,
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
    table: Annotated[Path, typer.Argument(help="CSV, Parquet or Arrow file; with --from store, a data set in custody.")],
    options: SynthesisOptions,
    as_json: Json = False,
) -> None:
    """Make a synthetic table, measure it, and decide whether it may leave."""
    if options.source not in ("file", "store") or (options.source == "store") != (options.key is not None):
        raise OptionError("--from is file, or store together with --key NAME: records in custody are read past the gate.")
    request = options.request()
    installation = open_installation()
    file = flows.read_counted(installation, table, request) if options.source == "file" else None
    unit, run = _prepare_run(installation, file, str(table), options, request)
    protects = show.protects(str(unit), private=request.private)
    with flows.counted_stops(installation, request):
        _print_price(options, flows.estimate_cost(file, request) if file else None)
    with show.progress(as_json) as progress:
        result = run(progress=progress)
    if options.out is not None:
        with store.file_aside(options.out) as temporary:
            temporary.write_bytes(report_page(result.folder).read_bytes())
    if as_json:
        about = {"protects": protects, "run": result.run, "folder": str(result.folder)}
        show.print_json({**about, **show.report_json(result.report, result.decision)})
    else:
        show.run(result.run, result.folder, result.decision)
    raise typer.Exit(0 if result.decision.accepted else 1)


def _prepare_run(
    installation: Installation, file: records.Source | None, name: str, options: SynthesisOptions, request: SynthesisRequest
) -> tuple[PrivacyUnit, Callable[..., flows.SynthesisResult]]:
    """(the unit of privacy, the run on a file or on the data set of that name in custody)."""
    if file is not None:
        return flows.unit_of(file, request), partial(flows.synthesize, installation, file, request)
    session = installation.sign_in(str(options.key))
    unit = flows.stored_unit(installation, session, name, request)
    return unit, partial(flows.synthesize_stored, installation, session, name, request, purpose=options.purpose)


def _print_price(options: SynthesisOptions, cost: FitCost | None) -> None:
    """Says before the work starts what it costs."""
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
    run: str,
    table: Annotated[Path, typer.Argument(help="CSV, Parquet or Arrow file of yours, with gaps.")],
    out: Annotated[Path, typer.Argument(help="CSV or Parquet file to write; must not exist.")],
    seed: Annotated[int | None, typer.Option(help="Draw the same again.")] = None,
    as_json: Json = False,
) -> None:
    """Fill the gaps of your own rows by a run's model, each from what its row holds. The result holds your patients' values."""
    completed = flows.impute(open_installation(), run, records.read(table), out, seed=seed)
    if as_json:
        show.print_json(
            {"rows": completed.table.rows, "filled": completed.filled, "rows_left": completed.left, "written": str(out)}
        )
    else:
        show.out.print(
            f"{completed.filled} values filled in {completed.table.rows} rows, written to {out}; "
            f"{completed.left} row(s) left as they were"
        )
