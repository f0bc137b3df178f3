"""From a patient table to a synthetic one that has been judged: the release way up to the signatures."""

import contextlib
import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from fractions import Fraction
from pathlib import Path

import numpy as np
import pyarrow as pa

from galenic import records
from galenic.errors import DescriptionError
from galenic.evidence.tables import bin_column, evaluate_table, measure_balance_effect
from galenic.flows.columns import ColumnOptions, TableDescription, describe_table, refuse_unknown
from galenic.flows.shadow_attack import attack_with_shadows
from galenic.generators.tables import (
    ENGINE,
    ENGINE_VERSION,
    FitCost,
    MixtureTables,
    SampledRows,
    constraint_findings,
    fit_findings,
)
from galenic.installation import Installation
from galenic.privacy import MIN_PATIENTS, Budget, Domain, PrivateRows, buy_domain, deidentify_columns, domain_share
from galenic.records import Source, Split
from galenic.release import Decision, Engine, Preview, ResourceUsage, Run, TableContent, load_policy, sizes_of
from galenic.schema import Column, Constraint, Finding, NotMeasured, Progress, Report, Table, no_progress

JUDGED_ROWS = 60_000  # rows of each half that the judge reads; training reads all
DEFAULT_POPULATION, DEFAULT_LIMIT, DEFAULT_LIMIT_DELTA = "default", 4.0, 1e-8


@dataclass(frozen=True)
class SynthesisRequest:
    """What to make. population: whose budget pays; two files of the same patients must name the same population.

    rows: synthetic rows (None: the noisy number of training rows). target: the column that utility predicts.
    holdout: patients kept aside by the caller; otherwise 30 % are held out here.
    shadows: fits of shadow models by which membership is attacked, too; each costs as much as the fit itself.
    private: False fits without noise and is labelled so; then `least` patients must share an exact value for it to be said.
    given: column -> value that every synthetic row shall have. balance: a category column whose values shall be equally frequent.
    times: (column of the time until an event, column that says whether it happened), for the judge. groups: columns by which the judge
    compares groups of people. seed: of the split and the judge only, never of noise.
    """

    epsilon: float = 1.0
    delta: float = 1e-9
    population: str = DEFAULT_POPULATION
    column_options: ColumnOptions = field(default_factory=ColumnOptions)
    cap: int = 1
    rows: int | None = None
    target: str | None = None
    policy: str = "internal"
    private: bool = True
    seed: int | None = None
    holdout: Source | None = None
    given: Mapping[str, object] = field(default_factory=dict)
    balance: str | None = None
    groups: tuple[str, ...] = ()
    times: tuple[str, str] | None = None
    shadows: int = 0
    least: int = MIN_PATIENTS
    by: str = ""  # who asks for it, where somebody is signed in


@dataclass(frozen=True)
class SynthesisResult:
    """How a run ended. The synthetic table is there for the caller who owns the patients' file; it leaves by `release`."""

    run: str
    folder: Path
    decision: Decision
    report: Report
    synthetic: Table
    model: MixtureTables
    domain: Domain


def as_source(table: "str | Path | pa.Table | Source") -> Source:
    """A source from a path, an Arrow table, or anything with an Arrow C stream (pandas, polars)."""
    if isinstance(table, Source):
        return table
    if isinstance(table, str | Path):
        return records.read(table)
    return records.in_memory(table if isinstance(table, pa.Table) else pa.table(table))


def estimate_cost(source: Source, request: SynthesisRequest) -> FitCost:
    """Time, memory and epsilon that a request will take; from the table's size only.

    Judging adds 3e-5 s per judged cell and 4 s, as measured on tables of 14 to 50 columns and 6,000 to 100,000 rows.
    """
    return cost_of(len(source.names), source.count(), request)


def cost_of(columns: int, rows: int, request: SynthesisRequest) -> FitCost:
    """The same from the numbers of columns and rows."""
    learning = MixtureTables().cost(columns, rows, request.epsilon if request.private else None)
    judged = min(rows, JUDGED_ROWS) * columns
    seconds = learning.seconds * (1 + request.shadows) + 4 + 3e-5 * judged
    return replace(learning, seconds=seconds, megabytes=learning.megabytes + 2.5e-4 * judged)


def synthesize(
    installation: Installation, source: Source, request: SynthesisRequest, progress: Progress = no_progress
) -> SynthesisResult:
    """Reads, splits by patient, de-identifies, buys the domain, fits, samples, judges and decides; keeps all of it in a run.

    The decision may be a refusal: then the synthetic table stays inside and the refusal is counted and audited.
    """
    rng = split_rng(request)
    with start_run(installation, request) as run:
        declared = describe_table(source, request.column_options, private=request.private)
        kept = deidentify_columns(source, declared.columns, undeclared=declared.undeclared)
        named = {
            "--target": (request.target,) if request.target else (),
            "--group": request.groups,
            "--survival": request.times or (),
        }
        refuse_unknown(kept.columns, named=named, given=request.given, balance=request.balance)
        split = _split(source, declared.patient, request, rng)
        model, domain, budget = _learn(installation, run.id, split, declared, kept.columns, request, progress)
        drawn = _drawn(model, request, domain.rows)
        synthetic = drawn.table
        used = ResourceUsage.until_now()
        report = _judge(split, synthetic, run.id, request, declared.constraints, rng, progress)
        if request.shadows:
            attacked = attack_with_shadows(
                split,
                synthetic,
                kept.columns,
                declared.constraints,
                shadows=request.shadows,
                epsilon=request.epsilon,
                delta=request.delta,
                private=request.private,
                target=request.target,
                least=request.least,
                rng=rng,
                progress=progress,
            )
            report = report.plus(replace(attacked, audience="internal" if request.private else "public"))
        if request.balance is not None:
            report = report.plus(_balance(split, synthetic, model, request, rng))
        report = report.plus(*fit_findings(model.fitted, budget, request.cap), *constraint_findings(drawn))
        return _conclude(run, report, synthetic, split, (model, domain, budget), kept.dropped, used)


def start_run(installation: Installation, request: SynthesisRequest) -> contextlib.AbstractContextManager[Run]:
    """A run for a request; its criteria are on the audit chain before a row is read."""
    policy = load_policy(request.policy)
    if request.rows is not None and request.rows < 1:
        raise DescriptionError(
            f"rows is {request.rows}. Expected 1 or more, or none for as many as there are (noisily counted)."
        )
    epsilon = request.epsilon if request.private else None
    return Run.start(installation, "table", policy, requester=request.by, detail={"epsilon": epsilon})


def split_rng(request: SynthesisRequest) -> np.random.Generator:
    """Random generator of the split and the evaluation."""
    return np.random.default_rng(request.seed if request.seed is not None else int.from_bytes(os.urandom(8), "big"))


def _split(source: Source, patient: str | None, request: SynthesisRequest, rng: np.random.Generator) -> Split:
    if request.holdout is not None:
        return records.split_as_given(source, request.holdout, patient, rng, cap=request.cap)
    return records.split_by_patient(source, patient, rng, cap=request.cap)


@contextlib.contextmanager
def reserved(installation: Installation, run: str, request: SynthesisRequest) -> Iterator[Budget | None]:
    """The budget that a run may spend (None without privacy), settled whatever happens."""
    if not request.private:
        yield None
        return
    if request.population == DEFAULT_POPULATION:
        installation.ledger.declare(
            DEFAULT_POPULATION, epsilon=DEFAULT_LIMIT, delta=DEFAULT_LIMIT_DELTA, actor=installation.actor
        )
    budget = installation.ledger.reserve(
        request.population, epsilon=request.epsilon, delta=request.delta, purpose=f"synthesize {run}", actor=installation.actor
    )
    installation.audit.append(
        "budget.reserved", run, population=request.population, epsilon=request.epsilon, delta=request.delta
    )
    try:
        yield budget
    finally:
        budget.settle()
        installation.audit.append(
            "budget.settled", run, rho=float(budget.rho - budget.rho_left), mechanisms=len(budget.mechanisms)
        )


def _learn(
    installation: Installation,
    run: str,
    split: Split,
    declared: TableDescription,
    columns: tuple[Column, ...],
    request: SynthesisRequest,
    progress: Progress,
) -> tuple[MixtureTables, Domain, Budget | None]:
    """Fits on the training half."""
    with reserved(installation, run, request) as budget:
        progress("buying the domain", 0.05)
        protected = PrivateRows(split.train, declared.patient, split.cap, budget)
        thresholds = budget.threshold_delta if budget else Fraction(0)
        sums = {c.columns[0] for c in declared.constraints if c.kind == "sum"}
        learned = tuple(c for c in columns if c.name not in sums)
        totals = tuple(c if c.kind != "unknown" else c.but(kind="numeric") for c in columns if c.name in sums)
        domain = buy_domain(protected, learned, protected.rho * domain_share(learned), thresholds, min_patients=request.least)
        domain = replace(domain, columns=(*domain.columns, *totals))
        model = MixtureTables(target=request.target, constraints=declared.constraints, least=request.least, seed=request.seed)
        model.fit(protected, domain, progress=lambda w, s: progress(w, 0.2 + 0.3 * s))
    return model, domain, budget


def _drawn(model: MixtureTables, request: SynthesisRequest, noisy_rows: int) -> SampledRows:
    rows = noisy_rows if request.rows is None else request.rows
    if request.balance is not None:
        return model.balanced(request.balance, rows)
    return model.drawn(rows, request.given)


def _judge(
    split: Split,
    synthetic: Table,
    run: str,
    request: SynthesisRequest,
    constraints: tuple[Constraint, ...],
    rng: np.random.Generator,
    progress: Progress,
) -> Report:
    train, test = (half.sample(JUDGED_ROWS, rng).table(synthetic.columns) for half in (split.train, split.test))
    return evaluate_table(
        train,
        test,
        synthetic,
        subject=run,
        private=request.private,
        target=request.target,
        times=request.times,
        groups=request.groups,
        constraints=constraints,
        rng=rng,
        progress=lambda w, s: progress(w, 0.5 + 0.4 * s),
    )


def _balance(
    split: Split, balanced: Table, model: MixtureTables, request: SynthesisRequest, rng: np.random.Generator
) -> Finding | NotMeasured:
    """What balancing does to the fairness of models trained on the rows."""
    by = str(request.balance)
    as_drawn = model.sample(balanced.rows)
    train, test = (half.sample(JUDGED_ROWS, rng).table(balanced.columns) for half in (split.train, split.test))
    columns = tuple(bin_column(train, c) for c in balanced.columns)
    found = measure_balance_effect(train, test, balanced, as_drawn, columns, rng, by=by, target=request.target)
    return replace(found, audience="internal" if request.private else "public")


def _conclude(
    run: Run,
    report: Report,
    synthetic: Table,
    split: Split,
    made: tuple[MixtureTables, Domain, Budget | None],
    dropped: dict[str, str],
    used: ResourceUsage,
) -> SynthesisResult:
    model, domain, budget = made
    held = split.test.sample(5_000, np.random.default_rng(0)).table(synthetic.columns)
    content = TableContent(
        tables={"data": synthetic},
        previews={"data": Preview(synthetic, held)},
        model=model,
        engine=Engine(ENGINE, ENGINE_VERSION),
        report=report,
        dropped=dropped,
        unit="row" if split.unit == "row" else f"patient, with at most {split.cap} row(s) each",
        sizes=sizes_of(split),
        budget=budget,
        usage=used,
    )
    folder, decision = run.decide_and_write(content)
    return SynthesisResult(run.id, folder, decision, report, synthetic, model, domain)
