"""The commands: parse, call one flow, show the result."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Annotated, Any

import typer

from galenic import custody, flows, records, store
from galenic.cli import show
from galenic.errors import DescriptionError
from galenic.evidence import EvaluationRequest
from galenic.evidence.tables import ComparedSources
from galenic.generators import SynthesisRequest
from galenic.installation import installation_if_any, open_installation
from galenic.privacy import ColumnOptions
from galenic.release import (
    check_release,
    decide,
    list_releases,
    load_policy,
    recall_release,
    report_page,
    sign_with_key,
    trust_of_release,
    write_release,
)
from galenic.security import ROLES
from galenic.version import __version__

app = typer.Typer(
    name="galenic",
    help="Turns patient records into generative-AI results that are safe to use, and shows the evidence.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode="rich",
)

Key = Annotated[str, typer.Option(help="Name of your key.")]
Second = Annotated[str, typer.Option(help="A second key of yours: the step up.")]
Json = Annotated[bool, typer.Option("--json", help="Results as JSON on stdout.")]
Columns = Annotated[Path | None, typer.Option("--columns", help="Description of columns (TOML, from: galenic describe).")]
Groups = Annotated[
    list[str] | None, typer.Option("--group", help="Column that makes groups of people to compare; repeat for more.")
]
Times = Annotated[
    tuple[str, str] | None, typer.Option("--survival", help="Column of the time until an event, and of whether it happened.")
]
Patient = Annotated[str | None, typer.Option(help="Column that tells patients apart.")]


@app.command(epilog="Example: galenic describe patients.csv --out columns.toml")
def describe(
    table: Annotated[Path, typer.Argument(help="CSV, Parquet or Arrow file.")],
    out: Annotated[Path | None, typer.Option(help="Write the TOML here instead of to stdout.")] = None,
    patient: Patient = None,
    private: Annotated[bool, typer.Option(help="Leave out bounds and categories read from the data.")] = False,
    as_json: Json = False,
) -> None:
    """Infer what each column holds, and write it as TOML for you to correct."""
    columns, text = custody.describe_source(open_installation(), records.read(table), patient=patient, private=private)
    if as_json:
        show.print_json(
            [{"name": c.name, "kind": c.kind, "unit": c.unit, "role": c.role, "missing": c.missing} for c in columns]
        )
    elif out is None:
        typer.echo(text)
    if out is not None:
        with store.file_aside(out) as aside:
            aside.write_text(text, encoding="utf-8")
        show.messages.print(
            f"{len(columns)} columns described in {out}. Read it, correct it, then pass it with --columns {out}."
        )


@app.command(epilog="Example: galenic synthesize patients.csv --patient patient_id --epsilon 1 --drop name")
def synthesize(
    table: Annotated[Path, typer.Argument(help="CSV, Parquet or Arrow file; with --from store, a data set in custody.")],
    epsilon: Annotated[float, typer.Option(help="What one patient may change: e to this power.")] = 1.0,
    delta: Annotated[float, typer.Option(help="Chance that the guarantee fails; far below 1 / patients.")] = 1e-9,
    population: Annotated[str, typer.Option(help="Whose budget pays; the same patients, the same name.")] = "default",
    columns: Columns = None,
    patient: Patient = None,
    unit: Annotated[str, typer.Option(help="What is protected: patient, or row (each row is one patient).")] = "patient",
    rows_per_patient: Annotated[int, typer.Option(help="Most rows used of one patient; noise grows with it.")] = 1,
    drop: Annotated[list[str] | None, typer.Option(help="Column to leave out; repeat for more.")] = None,
    buy: Annotated[bool, typer.Option(help="Buy what the description only observed.")] = False,
    rows: Annotated[
        int | None, typer.Option(help="Synthetic rows to make (default: the noisy number of training rows).")
    ] = None,
    target: Annotated[str | None, typer.Option(help="Column that the utility check predicts.")] = None,
    holdout: Annotated[Path | None, typer.Option(help="Patients kept aside by you (default: 30 % are held out).")] = None,
    group: Groups = None,
    survival: Times = None,
    shadows: Annotated[
        int, typer.Option(help="Also attack with so many shadow fits; each costs as much as the fit itself.")
    ] = 0,
    policy: Annotated[str, typer.Option(help="internal, partner, public, or a TOML file.")] = "internal",
    no_privacy: Annotated[bool, typer.Option("--no-privacy", help="Fit without noise: no formal guarantee.")] = False,
    given: Annotated[
        list[str] | None, typer.Option(help="COLUMN=VALUE that every row shall have (empty: missing); repeat for more.")
    ] = None,
    balance: Annotated[str | None, typer.Option(help="Category column whose values shall be equally frequent.")] = None,
    min_patients: Annotated[int, typer.Option(help="With --no-privacy: patients who must share an exact value.")] = 5,
    out: Annotated[Path | None, typer.Option(help="Also copy the signers' report here (HTML).")] = None,
    where: Annotated[str, typer.Option("--from", help="file, or store: records in custody, past the gate.")] = "file",
    key: Annotated[str | None, typer.Option(help="With --from store: your key.")] = None,
    purpose: Annotated[str, typer.Option(help="With --from store: what for.")] = "synthetic-data",
    as_json: Json = False,
) -> None:
    """Make a synthetic table, measure it, and decide whether it may leave."""
    if where not in ("file", "store") or (where == "store") != (key is not None):
        raise DescriptionError("--from is file, or store together with --key NAME: records in custody are read past the gate.")
    source = records.read(table) if where == "file" else None
    column_options = ColumnOptions(columns, patient, unit, tuple(drop or ()), buy)
    unseen = records.read(holdout) if holdout else None
    request = SynthesisRequest(
        epsilon, delta, population, column_options, rows_per_patient, rows, target, policy, not no_privacy, holdout=unseen
    )
    request = replace(request, given=_given(given or []), balance=balance, least=min_patients)
    request = replace(request, groups=tuple(group or ()), times=survival, shadows=shadows)
    installation = open_installation()
    cost = flows.estimate_cost(source, request) if source else None
    price = f"epsilon {epsilon:g} at delta {delta:g} of population “{population}”" if not no_privacy else "no formal guarantee"
    told = f"About {cost.seconds:.0f} s and {cost.megabytes:.0f} MB; " if cost else ""
    show.messages.print(f"{told}{price}; one {unit} is protected.")
    if unit == "patient" and not no_privacy:
        show.messages.print(
            f"At most {rows_per_patient} row(s) of each patient are used; noise is {rows_per_patient} x that of one row."
        )
    with show.progress(as_json) as tell:
        if source:
            result = flows.synthesize(installation, source, request, tell)
        else:
            session = installation.sign_in(str(key))
            result = flows.synthesize_stored(installation, session, str(table), request, purpose=purpose, progress=tell)
    if out is not None:
        with store.file_aside(out) as aside:
            aside.write_bytes(report_page(result.folder).read_bytes())
    if as_json:
        show.print_json({"run": result.run, "folder": str(result.folder), **show.report_json(result.report, result.decision)})
    else:
        show.run(result.run, result.folder, result.decision)
    raise typer.Exit(0 if result.decision.accepted else 1)


def _given(said: list[str]) -> dict[str, object]:
    """COLUMN=VALUE as a condition; values of one column said twice are alternatives."""
    found: dict[str, object] = {}
    for one in said:
        column, sign, value = one.partition("=")
        if not sign or not column:
            raise DescriptionError("--given expects COLUMN=VALUE, such as --given sex=female. Correct it.")
        before = found.get(column)
        found[column] = (
            (value or None) if column not in found else [*(before if isinstance(before, list) else [before]), value or None]
        )
    return found


@app.command(epilog="Example: galenic impute 20260101-120000-abcdef patients.csv completed.csv")
def impute(
    run: str,
    table: Annotated[Path, typer.Argument(help="CSV, Parquet or Arrow file of yours, with gaps.")],
    out: Annotated[Path, typer.Argument(help="CSV or Parquet file to write; must not exist.")],
    seed: Annotated[int | None, typer.Option(help="Draw the same again.")] = None,
    as_json: Json = False,
) -> None:
    """Fill the gaps of your own rows by a run's model, each from what its row holds. The result holds your patients' values."""
    done = flows.impute(open_installation(), run, records.read(table), out, seed=seed)
    if as_json:
        show.print_json({"rows": done.table.rows, "filled": done.filled, "rows_left": done.left, "written": str(out)})
    else:
        show.out.print(
            f"{done.filled} values filled in {done.table.rows} rows, written to {out}; {done.left} row(s) left as they were"
        )


@app.command(epilog="Example: galenic evaluate real.csv synthetic.csv --holdout unseen.csv")
def evaluate(
    real: Annotated[Path, typer.Argument(help="The real table that was imitated.")],
    synthetic: Annotated[Path, typer.Argument(help="The synthetic table.")],
    holdout: Annotated[
        Path | None, typer.Option(help="Real patients that the maker never saw: enables membership attacks.")
    ] = None,
    columns: Columns = None,
    patient: Patient = None,
    target: Annotated[str | None, typer.Option(help="Column that the utility check predicts.")] = None,
    group: Groups = None,
    survival: Times = None,
    policy: Annotated[str | None, typer.Option(help="Also decide by this policy (exit code 1 if it refuses).")] = None,
    as_json: Json = False,
) -> None:
    """Judge anybody's synthetic table: fidelity, utility, privacy attacks."""
    described = records.read_description(columns) if columns else None
    rules = load_policy(policy) if policy else None
    sources = records.read(real), records.read(synthetic)
    unseen = records.read(holdout) if holdout else None
    with show.progress(as_json) as tell:
        options = EvaluationRequest(
            target=target,
            times=survival,
            groups=tuple(group or ()),
            constraints=records.read_constraints(columns) if columns else (),
        )
        compared = ComparedSources(*sources, unseen, described, patient)
        report = flows.evaluate(open_installation(), compared, options, tell)
    verdict = decide(report, rules) if rules else None
    if as_json:
        show.print_json(show.report_json(report, verdict))
    else:
        show.findings(report)
        if verdict:
            show.decision(verdict)
    raise typer.Exit(1 if verdict and not verdict.accepted else 0)


@app.command(epilog="Example: galenic key ada --role privacy-officer")
def key(
    name: str,
    role: Annotated[str, typer.Option(help=f"One of: {', '.join(ROLES)}.")],
    person: Annotated[
        str, typer.Option(help="Who stands behind the key (default: you); two keys of one person are one person.")
    ] = "",
    as_json: Json = False,
) -> None:
    """Make a person's key with its role (its identity stays unverified until people exist in the installation)."""
    made = custody.make_key(open_installation(), name, role, person=person)
    if as_json:
        show.print_json({"name": name, "role": role, "fingerprint": made.fingerprint})
    else:
        show.out.print(f"key {name} ({role}, identity unverified), fingerprint {made.fingerprint}")


@app.command(epilog="Example: galenic sign 20260101-120000-abcdef --key ada")
def sign(run: str, key: Annotated[str, typer.Option(help="Name of your key.")], as_json: Json = False) -> None:
    """Sign a run, in the role of your key, after reading its report."""
    installation = open_installation()
    role = sign_with_key(installation, run, key)
    if as_json:
        show.print_json({"run": run, "role": role, "identity": "unverified"})
    else:
        show.out.print(f"signed {run} as {role} (unverified identity)")


@app.command(epilog="Example: galenic release 20260101-120000-abcdef ./release")
def release(
    run: str,
    folder: Annotated[Path, typer.Argument(help="Folder to write; must not exist.")],
    policy: Annotated[str | None, typer.Option(help="Hold the run against this policy.")] = None,
    trust: Annotated[Path | None, typer.Option(help="Write the keys a recipient must know to this JSON file.")] = None,
    as_json: Json = False,
) -> None:
    """Write the release folder, if evidence, policy and signatures allow it."""
    installation = open_installation()
    target, lines = write_release(installation, run, folder, policy_name=policy)
    if trust is not None:
        with store.file_aside(trust) as aside:
            aside.write_text(json.dumps(trust_of_release(installation, target), indent=1), encoding="utf-8")
    if as_json:
        show.print_json({"run": run, "folder": str(target), "checked": lines})
    else:
        show.out.print(f"released to {target}")
        for line in lines:
            show.out.print(f"  {line}")


@app.command(epilog="Example: galenic verify ./release --trust trusted-keys.json")
def verify(
    folder: Path,
    trust: Annotated[Path | None, typer.Option(help="JSON of fingerprints and roles, received by another way.")] = None,
    recalls: Annotated[list[Path] | None, typer.Option(help="Recall notice; repeat for more.")] = None,
    as_json: Json = False,
) -> None:
    """Check a release offline: files, evidence, policy, signatures."""
    lines = check_release(folder, trust=trust, recalls=tuple(recalls or ()), installation=installation_if_any())
    if as_json:
        show.print_json({"folder": str(folder), "verified": True, "checked": lines})
    else:
        show.out.print(f"[green]VERIFIED[/] {folder}")
        for line in lines:
            show.out.print(f"  {line}")


@app.command(epilog='Example: galenic recall 20260101-120000-abcdef --reason "wrong cohort" --notice recall.json')
def recall(
    run: str,
    reason: Annotated[str, typer.Option(help="Why; recipients read it.")],
    notice: Annotated[Path, typer.Option(help="Where to write the signed notice for recipients.")] = Path("recall.json"),
) -> None:
    """Take a release back."""
    show.out.print(f"recalled; hand {recall_release(open_installation(), run, reason, notice)} to every recipient")


@app.command(epilog="Example: galenic register")
def register(as_json: Json = False) -> None:
    """List what has been released and recalled."""
    rows = list_releases(open_installation())
    if as_json:
        show.print_json(rows)
        return
    for row in rows:
        show.out.print(f"{row['released_at']}  {row['run']}  {row['policy']}  {row['state']}  {row['reason'] or ''}")
    if not rows:
        show.out.print("Nothing has been released. Make something: galenic synthesize TABLE")


@app.command(epilog="Example: galenic budget clinic-2024 --epsilon 3 --delta 1e-8")
def budget(
    population: Annotated[str | None, typer.Argument(help="One population (default: all).")] = None,
    epsilon: Annotated[float | None, typer.Option(help="Declare the population with this limit.")] = None,
    delta: Annotated[float, typer.Option(help="Delta of the limit.")] = 1e-8,
    as_json: Json = False,
) -> None:
    """Declare a population's privacy budget, or show who spent what on what."""
    installation = open_installation()
    if epsilon is not None:
        if population is None:
            raise DescriptionError("name the population to declare: galenic budget NAME --epsilon 3")
        custody.declare_population(installation, population, epsilon=epsilon, delta=delta)
    found = custody.budget_statements(installation, population)
    if as_json:
        show.print_json([_plain(s) for s in found])
        return
    for s in found:
        show.statement(s)
    if not found:
        show.out.print("No population is declared. Declare one: galenic budget NAME --epsilon 3")


def _plain(statement: Any) -> dict[str, Any]:
    return {**statement.__dict__, "charges": [dict(c) for c in statement.charges]}


@app.command("audit-engine", epilog="Example: galenic audit-engine --runs 20")
def audit_engine(
    runs: Annotated[int, typer.Option(help="Times the engine is run on fresh canaries.")] = 100,
    canaries: Annotated[int, typer.Option(help="Canary patients per run.")] = 400,
    out: Annotated[Path | None, typer.Option(help="Write the result here as JSON.")] = None,
    as_json: Json = False,
) -> None:
    """Measure what the best attacker learns from the engine's noisy answers, against what is claimed."""
    found, data = flows.audit_engine(canaries=canaries, runs=runs)
    if out is not None:
        with store.file_aside(out) as aside:
            aside.write_text(json.dumps(data, indent=1) + "\n", encoding="utf-8")
    if as_json:
        show.print_json(data)
    else:
        for step, a in found.items():
            said = f"mu measured {a.mu:.4f} (95 %: {a.low:.4f} to {a.high:.4f}), claimed at most {a.claimed:.4f}"
            show.out.print(f"{step}: {said}; {'[green]holds[/]' if a.holds else '[red]WRONG[/] ' + '; '.join(a.wrong)}")
    raise typer.Exit(0 if all(a.holds for a in found.values()) else 1)


@app.command(epilog="Example: galenic demo")
def demo(folder: Annotated[Path, typer.Argument(help="Folder to write everything to.")] = Path("galenic-demo")) -> None:
    """Run the whole way on public data: RAND Health Insurance Experiment, epsilon 1, the person as the unit."""
    records.demo_table()
    place = folder.absolute()
    installation = open_installation(place / "home")
    show.messages.print("RAND Health Insurance Experiment: 20,190 person-years of 5,912 people. epsilon 1, unit: the person.")
    cost = flows.estimate_cost(records.demo_table(), SynthesisRequest())
    show.messages.print(f"About {cost.seconds:.0f} s and {cost.megabytes:.0f} MB.")
    target = _fresh(place / "release")
    with show.progress() as tell:
        done = flows.run_demo(installation, target, progress=tell)
    show.decision(done.result.decision)
    show.out.print("\nsigned by the demo, not by people (two throw-away keys)")
    show.out.print("[green]VERIFIED[/] offline:")
    for line in done.checked:
        show.out.print(f"  {line}")
    show.out.print("\nThe public policy refuses the same release:")
    show.out.print(f"  [red]REFUSED[/] {done.refusal}")
    show.out.print(f"\nCard for anyone:        {done.folder / 'card.html'}")
    show.out.print(f"Report for the signers: {report_page(done.result.folder)}")
    show.out.print(f"Check it yourself:      python {done.folder / 'verify_release.py'} {done.folder}")


def _fresh(folder: Path) -> Path:
    """The folder, or the next free one beside it: a demo run again overwrites nothing."""
    place, n = folder, 2
    while place.exists():
        place, n = folder.with_name(f"{folder.name}-{n}"), n + 1
    return place


@app.command()
def version() -> None:
    """Print the version."""
    typer.echo(__version__)
