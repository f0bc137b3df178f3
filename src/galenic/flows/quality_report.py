"""How good records are: a table or timelines, a file or a data set in custody; against a floor, as a page and as JSON."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from importlib import resources
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc

from galenic import records, store
from galenic.custody import read_timelines
from galenic.errors import DescriptionError, MissingExtraError
from galenic.installation import Installation
from galenic.records import Omop, fhir_files, kind_of, quality, read_meds
from galenic.records.terminology import terminology
from galenic.release import Decision, decide, load_policy, parse_policy
from galenic.schema import TIMELINE, NotMeasured, Progress, Report, no_progress, timeline_table
from galenic.security import Session

Open = Callable[[], Iterator[pa.Table]]


@dataclass(frozen=True)
class QualityResult:
    """What was found. html: the page; repaired: how many values of each column were converted, where that was asked for."""

    report: Report
    decision: Decision
    html: str
    repaired: dict[str, int]


def measure_quality(
    paths: list[Path], *, reference: Path | None = None, before: Path | None = None, floor: Path | None = None,
    repair: Path | None = None, patient: str = "", progress: Progress = no_progress,
) -> QualityResult:  # fmt: skip
    """Of files: a table, or FHIR, OMOP CDM, MEDS as timelines. reference: a declared population (TOML); before: an earlier load of the
    same table; repair: where to write the table with values in the unit of the rest. RecordError where they can not be read."""
    kind = kind_of(paths, "any")
    if kind != "table":
        if reference or before or repair:
            raise DescriptionError("a reference population, an earlier load and a repair go with a table.")
        progress("measuring", 0.2)
        found = quality.measure_events(_events(kind, paths), terminology())
        return _judged(paths[0].name, found, floor, {})
    source = records.read(paths[0])
    columns = tuple(records.describe(source))
    progress("measuring", 0.2)
    found = quality.measure_table(source, columns, patient=patient)
    progress("looking for duplicates", 0.6)
    try:
        found.findings.append(quality.find_duplicates(source))
    except MissingExtraError as error:
        found.findings.append(NotMeasured("quality.duplicates", str(error)))
    found.findings.append(quality.representativeness(source, quality.read_reference(reference) if reference else {}))
    if before:
        found.findings.append(quality.drift(source, records.read(before), columns))
    repaired = {}
    if repair is not None:
        with store.file_aside(repair) as aside:
            repaired = quality.repair_units(source, found.mixes, aside)
    return _judged(paths[0].name, found, floor, repaired)


def quality_of_stored(
    installation: Installation, session: Session, name: str, purpose: str, *, floor: Path | None = None
) -> QualityResult:
    """Of a data set in custody, as far as a decision covers it: timelines, or the rows of a table."""
    known = store.dataset(installation.db, name, session.tenant)
    with installation.gate.open(session, "index", store.resource(name), purpose) as handle:
        if known["kind"] != "table":
            with read_timelines(installation, handle, known) as lines:
                return _judged(name, quality.measure_events(lines.batches, terminology(installation.home)), floor, {})
        names = [n for n in store.schema_of(known).names if n not in handle.masked]

        def opener(wanted: list[str] | None) -> Iterator[pa.Table]:
            return store.read(installation.db, handle, known, names if wanted is None else wanted)

        source = records.Source(name, tuple(names), opener)
        found = quality.measure_table(source, tuple(records.describe(source)), patient=str(known["patient"]))
        return _judged(name, found, floor, {})


def _judged(title: str, found: quality.TableQuality, floor: Path | None, repaired: dict[str, int]) -> QualityResult:
    shipped = (resources.files("galenic.records.quality") / "floor.toml").read_text(encoding="utf-8")
    policy = load_policy(str(floor)) if floor else parse_policy(shipped, "the shipped floor")
    report = Report(f"quality of {title}", tuple(found.findings))
    held = {f.name for f in report.findings}
    if floor is None:  # the shipped floor asks of timelines and of tables what each can say
        asked = policy.with_rules(
            tuple(r for r in policy.rules if r.finding in held and report.get(r.finding) not in report.failures)
        )
    else:
        asked = policy
    decision = decide(report, asked)
    rules = {i.finding: (str(i.outcome), i.threshold, i.reason) for i in decision.items}
    return QualityResult(report, decision, quality.render_page(title, found, rules, decision.accepted), repaired)


def _events(kind: str, paths: list[Path]) -> Open:
    """Timelines of files that are not in custody; patients have numbers of this run alone."""
    if kind == "meds":
        return lambda: read_meds(paths[0])
    return (lambda: _of_omop(paths[0])) if kind == "omop" else (lambda: _of_fhir(fhir_files(paths)))


def _of_omop(place: Path) -> Iterator[pa.Table]:
    source, numbers = Omop(place), dict[str, int]()
    try:
        for events in source.events():
            yield _numbered(events, numbers)
    finally:
        source.close()


def _numbered(events: pa.Table, numbers: dict[str, int]) -> pa.Table:
    for name in pc.unique(events["subject"]).to_pylist():
        numbers.setdefault(name, len(numbers) + 1)
    place = pc.index_in(events["subject"], value_set=pa.array(list(numbers), pa.string())).cast(pa.int64())
    columns = {"subject_id": pc.add(place, 1), "ingest_id": pa.nulls(events.num_rows, pa.int64())}
    return pa.table([columns[f.name] if f.name in columns else events[f.name] for f in TIMELINE], schema=TIMELINE)


def _of_fhir(files: list[Path]) -> Iterator[pa.Table]:
    """Events of every resource that lowers; what can not be read is the business of `galenic check`."""
    from galenic.records import fhir  # noqa: PLC0415
    from galenic.records.fhir import documents_of  # noqa: PLC0415

    rows: list[tuple[object, ...]] = []
    numbers: dict[str, int] = {}
    for document in (d for path in files for d in documents_of(path)):
        resource = document.resource
        found = fhir.open_bundle(resource, document.raw).entries if resource.get("resourceType") == "Bundle" else None
        held = [(e.resource, e.renamed) for e in found] if found is not None else [(resource, {})]
        for one, renamed in held:
            lowered = fhir.resource_to_events(one, renamed=renamed)
            who = renamed.get(str(lowered.patient), lowered.patient)
            if who is not None:
                number = numbers.setdefault(str(who), len(numbers) + 1)
                rows += [(number, *event, None) for event in lowered.events]
        if len(rows) > 100_000:
            yield timeline_table(rows)
            rows = []
    if rows:
        yield timeline_table(rows)
