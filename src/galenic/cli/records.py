"""The commands of records: in, out, and is it what it says it is?"""

from datetime import datetime
from pathlib import Path
from typing import Annotated

import typer

from galenic import custody, flows, jobs, records, store
from galenic.cli import show
from galenic.cli.app import Json, Key, Second, app
from galenic.cli.import_report import print_import
from galenic.errors import DescriptionError
from galenic.generators import simulated
from galenic.installation import Installation, open_installation
from galenic.records import fhir
from galenic.records.quality import QualityRequest
from galenic.schema import NotMeasured, to_json


@app.command(epilog="Example: galenic check patients.ndjson.gz")
def check(
    files: Annotated[list[Path], typer.Argument(help="FHIR R4 as JSON (a resource, a Bundle) or NDJSON, plain or gzip.")],
    as_json: Json = False,
) -> int:
    """Check FHIR R4: structure, codes, dates, references, narrative, HL7's rules. Ends with 2 where something is wrong."""
    found = []
    with show.progress(as_json) as tell:
        for path in files:
            found.append(fhir.validate_files(path, tell))
    if as_json:
        show.print_json(
            [
                {
                    "file": f.source,
                    "valid": f.valid,
                    "resources": dict(f.resources),
                    "refused": f.refused,
                    "issues": [{"level": level, "rule": rule, "count": n} for (level, rule), n in f.counted.items()],
                    "shown": f.shown,
                }
                for f in found
            ]
        )
    else:
        for one in found:
            _print(one)
    return 0 if all(f.valid for f in found) else 2


def _print(found: fhir.ValidationResult) -> None:
    verdict = "valid" if found.valid else f"{found.refused} refused"
    show.out.print(f"{found.source}: {found.resources.total():,} resources, {verdict}")
    for issue in found.shown:
        count = found.counted[issue["level"], issue["rule"]]
        where = ", ".join(part for part in (issue["where"], issue["expression"]) if part)
        what = f"{where} {issue['text']}".strip()
        show.out.print(f"  {issue['level']} {issue['rule']} ({count:,}): {what}", markup=False)


@app.command("import", epilog="Example: galenic import patients.csv --as clinic --patient patient_id --key inge")
def import_(
    paths: Annotated[list[Path], typer.Argument(help="A table, FHIR files, or a folder of FHIR NDJSON, OMOP CDM or MEDS.")],
    name: Annotated[str, typer.Option("--as", help="Name of the data set in custody.")],
    key: Key,
    patient: Annotated[str, typer.Option(help="Of a table: the column that tells patients apart.")] = "",
    mapping: Annotated[
        Path | None, typer.Option("--map", help="Of a table: what its columns are as events (TOML), kept with it.")
    ] = None,
    ids: Annotated[
        str | None, typer.Option(help="Whose ids patients have (default: the data set's name). Tables: none.")
    ] = None,
    label: Annotated[str, typer.Option(help="Class of data: clinical, research, genetic, psychiatric, public.")] = "clinical",
    region: Annotated[str, typer.Option(help="Where the records must stay.")] = "",
    durable: Annotated[bool, typer.Option(help="Of a table: as a job that survives this process: galenic jobs")] = False,
    as_json: Json = False,
) -> int:
    """Bring records into custody, sealed under each patient's key. Run again, it passes over what is there (tables: adds)."""
    installation = open_installation()
    kind = records.kind_of(paths)
    importer = custody.importer_for(kind)
    request = custody.ImportRequest(name, patient=patient, mapping=mapping, ids=ids, label=label, region=region)
    plan = importer.plan(paths, request)
    if durable:
        if not plan.in_steps:
            raise DescriptionError("only tables need --durable: an interrupted import of FHIR, OMOP or MEDS is repeated.")
        return _import_as_job(installation, plan, key)
    session = installation.sign_in(key)
    with show.progress(as_json) as progress:
        result = importer.run(installation, session, plan, progress)
    return print_import(kind, result, as_json)


def _import_as_job(installation: Installation, plan: custody.ImportPlan, key: str) -> int:
    with store.jobs.opened(jobs.jobs_url(installation), jobs.KINDS) as work:
        job = work.start("import", jobs.import_state(installation, plan, key))
        show.messages.print(f"job {job}; if this process dies: galenic jobs --work")
        work.wait(job)
        show.out.print(f"{work.get(job).steps} steps done")
    return 0


@app.command(epilog="Example: galenic export clinic out.csv --purpose research --key rosa --second rosa2")
def export(
    dataset: str,
    target: Path,
    purpose: Annotated[str, typer.Option(help="What for.")],
    key: Key,
    second: Second,
    form: Annotated[
        str, typer.Option("--as", help="rows, fhir (NDJSON), bundle, omop, meds, csv or parquet (events); default: as it came.")
    ] = "",
    as_json: Json = False,
) -> None:
    """Write what a decision lets out; the copy is listed as outside from then on."""
    installation = open_installation()
    done = custody.export_records(installation, installation.sign_in(key, second), dataset, purpose, target, form)
    if done.form == "rows":
        show.out.print(f"{done.written['rows']} rows written to {target}")
        return
    if as_json:
        show.print_json({**done.__dict__, "written": dict(done.written), "dropped": dict(done.dropped)})
        return
    show.out.print(
        f"{done.written.total():,} written to {target}: {', '.join(f'{n:,} {k}' for k, n in done.written.most_common())}"
    )
    for what, count in done.dropped.most_common():
        show.out.print(f"  dropped {count:,}: {what}", markup=False)


@app.command(epilog="Example: galenic simulate 1000 --out patients --as fhir --seed 1")
def simulate(
    count: Annotated[int, typer.Argument(help="How many patients.")] = 100,
    out: Annotated[Path, typer.Option(help="Folder (bundle: file) to write.")] = Path("simulated"),
    form: Annotated[str, typer.Option("--as", help="meds, fhir (NDJSON by type), bundle or omop.")] = "meds",
    seed: Annotated[int, typer.Option(help="The same seed gives the same patients.")] = 0,
    years: Annotated[int, typer.Option(help="How many years of records.")] = 10,
    until: Annotated[datetime | None, typer.Option(formats=["%Y-%m-%d"], help="Last day (default: this year's first).")] = None,
    rates: Annotated[bool, typer.Option("--rates", help="Only show the rates' sources.")] = False,
    as_json: Json = False,
) -> None:
    """Make patients from published rates; no real data goes in. For demonstrations and tests, not for research."""
    if rates:
        sources = simulated.rate_sources()
        if as_json:
            show.print_json(sources)
            return
        for s in sources:
            state = "assumed" if s["assumed"] else "verified" if s["verified"] else "unverified"
            show.out.print(f"{s['rate']}  [{state}]  {s['source']}", markup=False)
        return
    with show.progress(as_json) as tell:
        request = simulated.SimulationRequest(count, seed, years, until.date() if until else None)
        done = simulated.simulate(request, out, form=form, progress=tell)
    if as_json:
        show.print_json({**done.__dict__, "written": dict(done.written), "dropped": dict(done.dropped)})
        return
    show.out.print(f"{done.people:,} simulated patients with {done.events:,} events are in {out}")
    show.out.print(", ".join(f"{n:,} {kind}" for kind, n in done.written.most_common()), markup=False)
    for what, number in done.dropped.most_common():
        show.out.print(f"  dropped {number:,}: {what}", markup=False)


@app.command(epilog="Example: galenic quality patients.csv --out quality.html")
def quality(
    paths: Annotated[
        list[str], typer.Argument(help="A table, FHIR, OMOP or MEDS; with --key the name of a data set in custody.")
    ],
    out: Annotated[Path | None, typer.Option(help="Write the page here.")] = None,
    reference: Annotated[
        Path | None, typer.Option(help="Declared population (TOML): shares of values or bands, a table per column.")
    ] = None,
    before: Annotated[Path | None, typer.Option(help="An earlier load of the same table.")] = None,
    floor: Annotated[Path | None, typer.Option(help="Another floor (TOML) than the shipped one.")] = None,
    repair: Annotated[Path | None, typer.Option(help="Write the table with values in the unit of the rest.")] = None,
    patient: Annotated[str, typer.Option(help="Column that tells patients apart: their own values help to find units.")] = "",
    key: Annotated[str, typer.Option(help="Name of your key, for a data set in custody.")] = "",
    purpose: Annotated[str, typer.Option(help="What for, for a data set in custody.")] = "quality",
    as_json: Json = False,
) -> int:
    """Measure the quality of records. Ends with 1 where the quality floor does not hold."""
    with show.progress(as_json) as tell:
        if key:
            installation = open_installation()
            done = flows.quality_of_stored(installation, installation.sign_in(key), paths[0], purpose, floor=floor)
        else:
            request = QualityRequest(patient, reference, before, repair)
            done = flows.measure_quality([Path(p) for p in paths], request, floor=floor, progress=tell)
    if out is not None:
        with store.file_aside(out) as aside:
            aside.write_text(done.html, encoding="utf-8")
    if as_json:
        items = [i.__dict__ for i in done.decision.items]
        show.print_json(
            {**to_json(done.report), "floor": {"holds": done.decision.accepted, "items": items}, "repaired": done.repaired}
        )
        return 0 if done.decision.accepted else 1
    outcomes = {i.finding: i.outcome for i in done.decision.items}
    for finding in done.report.findings:
        if isinstance(finding, NotMeasured):
            show.out.print(f"{finding.name}: not measured, {finding.why}", markup=False)
            continue
        show.out.print(f"{finding.name}: {finding.value:.4g}  {outcomes.get(finding.name, '')}", markup=False)
        for place in finding.detail.get("columns", [])[:3]:
            show.out.print(f"    {place['where']}: {place['what']}", markup=False)
    for column, count in done.repaired.items():
        show.out.print(f"repaired {count:,} values of {column}", markup=False)
    show.out.print("the quality floor holds" if done.decision.accepted else "[red]the quality floor does NOT hold[/]")
    return 0 if done.decision.accepted else 1
