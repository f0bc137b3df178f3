"""Evaluation of related synthetic tables: each flat table, attacks on whole patients, and one report of the worst findings."""

from collections.abc import Callable, Mapping
from dataclasses import replace

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from galenic.evidence.request import EvaluationRequest
from galenic.evidence.tables.binning import bin_column
from galenic.evidence.tables.evaluation import audience_of, evaluate_table
from galenic.evidence.tables.membership import measure_membership
from galenic.evidence.tables.table_evaluator import MAX_EVALUATED_ROWS, nobody_held_out
from galenic.records import Source, SyntheticTables, cap_rows, own_columns
from galenic.schema import NTH, PATIENT, Column, Finding, NotMeasured, Progress, Report, Table, progress_part

REQUIRED_EVERYWHERE = ("privacy.", "fidelity.")  # findings that count only if every table has them
PATIENTS = "patients"  # name of the report on whole patients
NOT_COMPARED = ("@gap", "@left", "@more")  # worked-out columns that only place a row among its siblings
FlatTables = Mapping[str, Source]


class RelatedTablesEvaluator:
    """Evaluates related synthetic tables. Findings of the generator are expected under the name of the table that they are about."""

    def measure(
        self,
        real: FlatTables,
        held_out: FlatTables,
        made: SyntheticTables,
        request: EvaluationRequest,
        rng: np.random.Generator,
        progress: Progress,
    ) -> Report:
        """Every flat table and the whole patients; of each finding the worst table counts."""
        flat, root = made.flat, made.relations[0].name
        if not (real[root].count() and held_out[root].count()):
            return nobody_held_out(request).plus(*(f for findings in request.model_findings.values() for f in findings))
        reports: dict[str, Report] = {}
        for place, relation in enumerate(made.relations):
            name, columns = relation.name, made.flat_columns[relation.name]
            train, test, synthetic = _one_row_each((real[name], held_out[name], flat[name]), columns, rng)
            options = replace(
                request,
                subject=f"{request.subject}: {name}",
                target=request.target if request.target in train.names else None,
                held_out=None,
            )
            count = len(made.relations)
            part = progress_part(progress, place / count, (place + 1) / count)
            reports[name] = evaluate_table(train, test, synthetic, options, rng=rng, progress=part)
        reports[PATIENTS] = _attack_patients(made, (real, held_out, flat), request, rng)
        for name, findings in request.model_findings.items():
            reports[name] = reports[name].plus(*findings)
        return combine_reports(request.subject, reports)


def _one_row_each(sources: tuple[Source, Source, Source], columns: tuple[Column, ...], rng: np.random.Generator) -> list[Table]:
    """One random row of each patient from training, held-out and synthetic rows: rows of one patient are not independent."""
    train, test, synthetic = (cap_rows(s, PATIENT, 1, rng).sample(MAX_EVALUATED_ROWS, rng) for s in sources)
    typed = synthetic.table(tuple(_without_format(c) for c in columns))
    return [train.table(columns), test.table(columns), Table(typed.frame, columns)]


def _without_format(column: Column) -> Column:
    """The column as synthetic rows hold it: their dates are dates already."""
    return column.but(format="") if column.kind == "date" else column


def _attack_patients(
    made: SyntheticTables,
    flat: tuple[FlatTables, FlatTables, FlatTables],
    request: EvaluationRequest,
    rng: np.random.Generator,
) -> Report:
    """The membership attacks on one row for each patient: columns of the root, numbers of rows in other tables, and the first row of
    each table. One table alone may hold too little of a patient for an attack to work."""
    real, held_out, synthetic = flat
    train, test = (_patient_rows(made, tables, rng) for tables in (real, held_out))
    synthetic_rows = _patient_rows(made, synthetic, rng, is_made=True)
    columns = tuple(bin_column(train, c) for c in train.columns)
    findings = measure_membership(train, test, synthetic_rows, columns, rng)
    audience = audience_of(request)
    return Report(f"{request.subject}: {PATIENTS}", tuple(replace(f, audience=audience) for f in findings))


def _patient_rows(made: SyntheticTables, flat: FlatTables, rng: np.random.Generator, *, is_made: bool = False) -> Table:
    """One wide row for each of at most MAX_EVALUATED_ROWS patients."""
    frame: pa.Table | None = None
    columns: list[Column] = []
    for r in made.relations:
        own = {c.name for c in own_columns(r, made.relations)}
        kept = tuple(c for c in made.flat_columns[r.name] if c.name in own and c.name not in NOT_COMPARED)
        typed = tuple(_without_format(c) if is_made else c for c in kept)
        # worked-out columns have a row number in the flat table; it is read beside the described ones
        source = flat[r.name].sample(MAX_EVALUATED_ROWS, rng) if frame is None else flat[r.name]
        rows = source.table((Column(PATIENT, "identifier"), Column(NTH, "integer"), *typed)).frame
        rows = rows.filter(pc.equal(rows[NTH], 1)).drop_columns([NTH])
        rows = rows.rename_columns([PATIENT, *(f"{r.name}: {c.name}" for c in kept)])
        columns += [c.but(name=f"{r.name}: {c.name}", missing=True) for c in kept]
        frame = rows if frame is None else frame.join(rows, PATIENT, join_type="left outer")
    assert frame is not None
    return Table(frame.drop_columns([PATIENT]), tuple(columns))


def combine_reports(subject: str, reports: Mapping[str, Report]) -> Report:
    """One report: of each finding the worst table's, with every table's value in its detail. If privacy or fidelity of one table could
    not be measured, that of the whole is not measured."""
    names = dict.fromkeys(f.name for report in reports.values() for f in report.findings)
    return Report(subject, tuple(_worst(name, {t: r.get(name) for t, r in reports.items()}) for name in names))


def _worst(name: str, by_table: dict[str, Finding | NotMeasured | None]) -> Finding | NotMeasured:
    measured = {t: f for t, f in by_table.items() if isinstance(f, Finding)}
    failed = {t: f for t, f in by_table.items() if isinstance(f, NotMeasured)}
    if not measured or (failed and name.startswith(REQUIRED_EVERYWHERE)):
        table, failure = next(iter(failed.items()))
        return replace(failure, why=f"{table}: {failure.why}")
    direction = next(iter(measured.values())).direction
    choose: Callable[..., str] = min if direction == "higher" else max
    table = choose(measured, key=lambda t: measured[t].value)
    worst = measured[table]
    detail = {**worst.detail, "tables": {t: f.value for t, f in measured.items()}, "table": table}
    several = f"; worst of {len(measured)} tables: {table}" if len(measured) > 1 else f"; {table}"
    return replace(worst, method=worst.method + several, detail=detail)
