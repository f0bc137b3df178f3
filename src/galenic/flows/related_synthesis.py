"""From several tables of the same patients to synthetic ones that have been judged."""

import tempfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from galenic import records
from galenic.errors import DescriptionError
from galenic.evidence.tables import bin_column, evaluate_table, measure_membership
from galenic.flows.columns import ColumnOptions, describe_table
from galenic.flows.synthesis import JUDGED_ROWS, SynthesisRequest, reserved, split_rng, start_run
from galenic.generators.tables import (
    ENGINE,
    ENGINE_VERSION,
    RelatedTables,
    check_relation_constraints,
    constraint_findings,
    fit_findings,
)
from galenic.installation import Installation
from galenic.privacy import deidentify_columns
from galenic.records import Source, Split, TableDeclaration, own_columns
from galenic.release import Decision, Engine, Preview, ResourceUsage, TableContent
from galenic.schema import NTH, PATIENT, Column, Finding, NotMeasured, Progress, Relation, Report, Table, in_order, no_progress

FEW_PATIENTS = 5_000  # up to which half of them are held out: attacks on fewer would see too little
SIDES = ("train_rows", "test_rows")
STRICT = ("privacy.", "fidelity.")  # findings that count only if every table has them


@dataclass(frozen=True)
class RelatedResult:
    """How a run ended. tables: synthetic ones, for the caller who owns the patients' files; they leave by `release`."""

    run: str
    folder: Path
    decision: Decision
    report: Report
    reports: Mapping[str, Report]
    tables: Mapping[str, Table]
    model: RelatedTables


def relations_of(
    path: str | Path, *, private: bool, buy: bool = False
) -> tuple[tuple[Relation, ...], dict[str, Source], dict[str, str]]:
    """(the tables that a file states, parents first; their sources; columns left out, with why)."""
    sources: dict[str, Source] = {}
    found: list[Relation] = []
    dropped: dict[str, str] = {}
    for stated in records.read_relations(path):
        source = records.read(stated.file)
        relation, left_out = _relation(stated, source, private=private, buy=buy)
        sources[stated.name] = source
        found.append(relation)
        dropped |= {f"{stated.name}.{name}": why for name, why in left_out.items()}
    relations = in_order(tuple(found))
    check_relation_constraints(relations)
    return relations, sources, dropped


def _relation(stated: TableDeclaration, source: Source, *, private: bool, buy: bool) -> tuple[Relation, dict[str, str]]:
    keys = {stated.key, stated.foreign_key, *stated.links} - {""}
    unknown = [n for n in (*stated.keep, *stated.drop, *stated.kinds) if n not in source.names]
    if unknown:
        raise DescriptionError(f"table {stated.name!r}: columns {unknown} are absent; it has {list(source.names)}.")
    unkept = [n for n in source.names if stated.keep and n not in (*stated.keep, stated.order, *keys)]
    left = tuple(n for n in source.names if n in keys or n in stated.drop or n in unkept)
    column_options = ColumnOptions(stated.columns or None, unit="row", drop=left, buy=buy)
    declared = describe_table(source, column_options, private=private)
    columns = tuple(_stated_kind(c, stated) for c in declared.columns)
    undeclared = tuple(n for n in declared.undeclared if n != stated.order and n not in stated.kinds)
    if any(c.role == "value" for c in columns):
        kept = deidentify_columns(source, columns, undeclared=undeclared)
        known, dropped = {c.name for c in kept.columns}, {n: w for n, w in kept.dropped.items() if n not in keys}
    else:
        known, dropped = set(), {}
    columns = tuple(
        c.but(kind="identifier", role="value", edges=(), categories=())
        if c.name in keys
        else c
        if c.name in known
        else c.but(role="drop")
        for c in columns
    )
    relation = Relation(
        name=stated.name,
        columns=columns,
        key=stated.key,
        parent=stated.parent,
        foreign_key=stated.foreign_key,
        order=stated.order,
        most=stated.most,
        links=stated.links,
        orphans=stated.orphans,
        since=stated.since,
        constraints=(*declared.constraints, *stated.constraint),
    )
    return relation, dropped


def _stated_kind(c: Column, stated: TableDeclaration) -> Column:
    """The column as the file of tables states it: the one that orders rows is a date; kinds that it names."""
    if c.name == stated.order and c.kind != "date":
        return c.but(kind="date", format=c.format or stated.format, role="value", edges=(), categories=())
    kind = stated.kinds.get(c.name)
    if kind is None or kind == c.kind:
        return c
    return c.but(kind=kind, edges=(), categories=(), low=None, high=None, step=None, other=kind == "category")


def synthesize_related(
    installation: Installation,
    relations: tuple[Relation, ...],
    sources: Mapping[str, Source],
    request: SynthesisRequest,
    *,
    dropped: dict[str, str] | None = None,
    progress: Progress = no_progress,
) -> RelatedResult:
    """Flattens, splits by patient, learns table by table, samples, judges every table and decides; keeps all of it in a run.

    request: rows is the number of patients to make. One patient's rows in all tables are what is protected.
    """
    rng = split_rng(request)
    with start_run(installation, request) as run:
        # the patients' rows stand in this folder while they are joined; it goes whatever happens
        with tempfile.TemporaryDirectory(dir=installation.home, prefix=".flat-") as folder:
            progress("joining tables", 0.02)
            flat = records.flatten(relations, sources, Path(folder) / "real")
            halves = _halves(flat, relations, rng, private=request.private)
            sizes = _sizes(relations, sources, flat, halves)
            model = RelatedTables(relations, least=request.least, seed=request.seed)
            with reserved(installation, run.id, request) as budget:
                model.fit(
                    {name: s.train for name, s in halves.items()}, budget, progress=lambda w, s: progress(w, 0.05 + 0.4 * s)
                )
            progress("sampling", 0.5)
            tables = model.sample(request.rows if request.rows is not None else model.patients)
            used = ResourceUsage.until_now()
            made = records.flatten(
                tuple(replace(r, columns=tables[r.name].columns) for r in relations),
                {name: records.in_memory(t.frame, name) for name, t in tables.items()},
                Path(folder) / "made",
            )
            reports, views = _judged(model, halves, made, run.id, request, rng, lambda w, s: progress(w, 0.6 + 0.35 * s))
        for r in relations:
            paid = fit_findings(model.models[r.name].fitted, budget, r.rows_of_a_patient)
            reports[r.name] = reports[r.name].plus(*paid, *constraint_findings(model.rules[r.name].drawn(tables[r.name])))
        report = combined(run.id, reports)
        sizes |= {f"{name}.lines_ended_early": rules.ended for name, rules in model.rules.items() if rules.rules}
        unit = "patient, with at most " + ", ".join(f"{r.rows_of_a_patient} row(s) of {r.name}" for r in relations)
        content = TableContent(
            tables=tables,
            previews=views,
            model=model,
            engine=Engine(ENGINE, ENGINE_VERSION),
            report=report,
            dropped=dropped or {},
            unit=unit,
            sizes=sizes,
            budget=budget,
            usage=used,
        )
        place, decision = run.decide_and_write(content)
        return RelatedResult(run.id, place, decision, report, reports, tables, model)


def _sizes(
    relations: tuple[Relation, ...], sources: Mapping[str, Source], flat: Mapping[str, Source], halves: Mapping[str, Split]
) -> dict[str, float]:
    """Rows of each half, and the share of each table's rows that its cap left out, for the signers' sheet."""
    sizes: dict[str, float] = {f"{name}.{side}": getattr(half, side) for name, half in halves.items() for side in SIDES}
    return sizes | {f"{r.name}.rows_left_out": 1 - flat[r.name].count() / max(sources[r.name].count(), 1) for r in relations}


def _halves(
    flat: Mapping[str, Source], relations: tuple[Relation, ...], rng: np.random.Generator, *, private: bool
) -> dict[str, Split]:
    """Each flat table split by the same patients."""
    patients = flat[relations[0].name]
    # a private fit must not choose by the exact number of patients
    share = 0.5 if not private and patients.count() <= FEW_PATIENTS else 0.3
    root = records.split_by_patient(patients, PATIENT, rng, test_share=share)
    learned = _patients(root.train)
    halves = {relations[0].name: root}
    for r in relations[1:]:
        inside = np.concatenate(
            [np.asarray(pc.is_in(b[PATIENT], value_set=learned).to_numpy()) for _, b in flat[r.name].raw([PATIENT])]
            or [np.zeros(0, bool)]
        )
        source = flat[r.name]
        sizes = int(inside.sum()), int((~inside).sum())
        halves[r.name] = Split(source.where(inside), source.where(~inside), "patient", r.rows_of_a_patient, *sizes, 0.0)
    return halves


def _patients(source: Source) -> pa.Array:
    return pa.concat_arrays([chunk for _, batch in source.raw([PATIENT]) for chunk in batch[PATIENT].chunks])


def _judged(
    model: RelatedTables,
    halves: Mapping[str, Split],
    made: Mapping[str, Source],
    run: str,
    request: SynthesisRequest,
    rng: np.random.Generator,
    progress: Progress,
) -> tuple[dict[str, Report], dict[str, Preview]]:
    """Each flat table judged on one row of each patient, drawn at random: rows of one patient would vouch for each other."""
    reports, views = {}, {}
    for place, r in enumerate(model.relations):
        columns = model.models[r.name].columns
        three = (halves[r.name].train, halves[r.name].test, made[r.name])
        one_each = [records.cap_rows(s, PATIENT, 1, rng).sample(JUDGED_ROWS, rng) for s in three]
        train, test = (s.table(columns) for s in one_each[:2])
        synthetic = one_each[2].table(tuple(c.but(format="") if c.kind == "date" else c for c in columns))
        synthetic = Table(synthetic.frame, columns)
        reports[r.name] = evaluate_table(
            train,
            test,
            synthetic,
            subject=f"{run}: {r.name}",
            private=request.private,
            target=request.target if request.target in train.names else None,
            groups=request.groups,
            held_out=None,
            rng=rng,
            progress=_within(progress, place, len(model.relations)),
        )
        own = tuple(c for c in columns if not c.name.startswith("@previous."))
        views[r.name] = Preview(*(Table(t.frame.slice(0, 5_000).select([c.name for c in own]), own) for t in (synthetic, test)))
    reports["patients"] = _attacked(model, halves, made, run, request, rng)
    return reports, views


def _attacked(
    model: RelatedTables,
    halves: Mapping[str, Split],
    made: Mapping[str, Source],
    run: str,
    request: SynthesisRequest,
    rng: np.random.Generator,
) -> Report:
    """The attacks, on one row for each patient: what the root says, how many rows follow where, and the first row of each table. One
    table alone may say too little of a patient for an attack to see anything."""
    sides = [
        {name: half.train for name, half in halves.items()},
        {name: half.test for name, half in halves.items()},
        dict(made),
    ]
    train, test, synthetic = (_records(model, side, rng, is_made=side is sides[2]) for side in sides)
    columns = tuple(bin_column(train, c) for c in train.columns)
    found = measure_membership(train, test, synthetic, columns, rng)
    audience: Literal["public", "internal"] = "internal" if request.private else "public"
    return Report(f"{run}: patients", tuple(replace(f, audience=audience) for f in found))


def _records(model: RelatedTables, flat: Mapping[str, Source], rng: np.random.Generator, *, is_made: bool) -> Table:
    """One wide row for each of at most JUDGED_ROWS patients."""
    frame: pa.Table | None = None
    columns: list[Column] = []
    for r in model.relations:
        own = {c.name for c in own_columns(r, model.relations)}
        kept = tuple(c for c in model.models[r.name].columns if c.name in own and c.name not in ("@gap", "@left", "@more"))
        typed = tuple(c.but(format="") if c.kind == "date" and is_made else c for c in kept)
        # worked-out columns have a row number in the flat table; it is read beside the described ones
        source = flat[r.name].sample(JUDGED_ROWS, rng) if frame is None else flat[r.name]
        read = source.table((Column(PATIENT, "identifier"), Column(NTH, "integer"), *typed)).frame
        read = read.filter(pc.equal(read[NTH], 1)).drop_columns([NTH])
        read = read.rename_columns([PATIENT, *(f"{r.name}: {c.name}" for c in kept)])
        columns += [c.but(name=f"{r.name}: {c.name}", missing=True) for c in kept]
        frame = read if frame is None else frame.join(read, PATIENT, join_type="left outer")
    assert frame is not None
    return Table(frame.drop_columns([PATIENT]), tuple(columns))


def _within(progress: Progress, place: int, count: int) -> Progress:
    return lambda what, share: progress(what, (place + share) / count)


def combined(subject: str, reports: Mapping[str, Report]) -> Report:
    """One report: of each finding the worst table's, with every table's value in its detail. Of privacy and fidelity a table that
    could not be measured leaves the whole unmeasured."""
    names = dict.fromkeys(f.name for report in reports.values() for f in report.findings)
    return Report(subject, tuple(_worst(name, {t: r.get(name) for t, r in reports.items()}) for name in names))


def _worst(name: str, by_table: dict[str, Finding | NotMeasured | None]) -> Finding | NotMeasured:
    measured = {t: f for t, f in by_table.items() if isinstance(f, Finding)}
    failed = {t: f for t, f in by_table.items() if isinstance(f, NotMeasured)}
    if not measured or (failed and name.startswith(STRICT)):
        table, failure = next(iter(failed.items()))
        return replace(failure, why=f"{table}: {failure.why}")
    direction = next(iter(measured.values())).direction
    choose: Callable[..., str] = min if direction == "higher" else max
    table = choose(measured, key=lambda t: measured[t].value)
    worst = measured[table]
    detail = {**worst.detail, "tables": {t: f.value for t, f in measured.items()}, "table": table}
    said = f"{worst.method}; worst of {len(measured)} tables: {table}" if len(measured) > 1 else f"{worst.method}; {table}"
    return replace(worst, method=said, detail=detail)
