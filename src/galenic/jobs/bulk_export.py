"""Bulk export (FHIR Bulk Data Access 2.0): asked for, done by a worker, fetched by whoever asked, and gone after a day. For care and
operations each patient is a decision of its own; for secondary use it is a de-identified copy that leaves by release."""

import hashlib
import io
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

from galenic import store
from galenic.custody import drop_bulk
from galenic.custody.fhir import FhirRepository, RequestContext, format_instant, now_micros, read
from galenic.errors import AccessDeniedError, DescriptionError, InputError, NotFoundError, RecordError
from galenic.jobs import worker
from galenic.jobs.bulk_steps import COPY, RECORDS
from galenic.release import run_status, write_release
from galenic.security import Fact

SECONDARY = frozenset({"research", "synthetic-data", "de-identification", "quality"})
KEPT = timedelta(days=1)
MOST_AT_ONCE = 3  # exports of one client that are not done
SERVED_APART = ("AuditEvent", "Bundle", "Parameters", "OperationOutcome", "CapabilityStatement")


@dataclass(frozen=True)
class ExportFile:
    """One file of an export. name: its member of a released copy, or how it is sealed; sha256: of what is fetched."""

    kind: str
    name: str
    count: int
    sha256: str


@dataclass(frozen=True)
class ExportStatus:
    """How an export stands. state: running, complete or failed; what: for people; at: up to when records are in it."""

    job: str
    state: str
    what: str
    share: float
    request: str
    at: str
    run: str = ""
    files: tuple[ExportFile, ...] = ()
    about: dict[str, Any] = field(default_factory=dict)


class TooManyExportsError(DescriptionError):
    """So many exports are under way that another has to wait."""


def request_export(
    repository: FhirRepository, context: RequestContext, request: str, *, level: str,
    group: str = "", kinds: tuple[str, ...] = (), since: str = "",
    patients: tuple[str, ...] = (),
) -> str:  # fmt: skip
    """Asks for an export; returns its id. level: system, Patient or Group; request: the address it was asked by; patients: of these
    alone. AccessDenied where the asker's scopes cover none of the types."""
    mine = [
        e
        for e in worker.all_job_statuses(repository.installation, context.session.who)
        if e.kind in (RECORDS, COPY) and not e.ended
    ]
    if len(mine) >= MOST_AT_ONCE:
        raise TooManyExportsError(f"{len(mine)} exports of yours are under way. Wait until one is done, or stop one (DELETE).")
    allowed = _kinds(context, kinds)
    about: dict[str, Any] = {
        "dataset": repository.name, "level": level, "kinds": allowed, "purpose": context.purpose, "request": request, "why": context.why,
        "asked_at": format_instant(now_micros()), "since": _since(since),
    }  # fmt: skip
    if context.purpose in SECONDARY:
        if since or group or patients:
            raise RecordError("for secondary use the whole data set is copied: without _since, group and patient.")
        verdict = repository.installation.gate.decide(
            context.session, "train", store.resource(repository.name), context.purpose
        )
        if not verdict.allowed:
            raise AccessDeniedError(
                f"{context.session.who} may not have a copy of {repository.name} for {context.purpose} ({verdict.reason})."
            )
        return worker.submit_job(repository.installation, context.session, COPY, about)
    people = _members(repository, context, group) if group else None
    if patients:
        named = [repository.subject_of(repository.identifier(p)) for p in patients]
        people = sorted({s for s in named if s is not None and (people is None or s in people)})
    return worker.submit_job(repository.installation, context.session, RECORDS, {**about, "people": people})


def _kinds(context: RequestContext, kinds: tuple[str, ...]) -> list[str]:
    from galenic.records.fhir import r4  # noqa: PLC0415

    every = [k for k in sorted(r4().resources) if k not in SERVED_APART]
    strange = sorted(k for k in kinds if k not in every)
    if strange:
        raise RecordError(f"_type names {len(strange)} that are no types of R4, or not served. Expected Patient,Observation,….")
    allowed = [k for k in (kinds or every) if context.may(k, "rs")]
    if not allowed:
        raise AccessDeniedError("the token's scopes cover none of these types. Needed: system/*.rs, or of each type.")
    return allowed


def _since(text: str) -> int:
    from galenic.records.fhir import date_range  # noqa: PLC0415

    if not text:
        return 0
    try:
        return int(date_range(text)[0])
    except (ValueError, OverflowError):
        raise RecordError("_since is no instant. Expected 2026-11-30T10:00:00Z.") from None


def _members(repository: FhirRepository, context: RequestContext, group: str) -> list[int]:
    """Subjects of a Group's members, as far as the asker may read it."""
    import orjson  # noqa: PLC0415

    whole = orjson.loads(read(repository, context, "Group", group).body)
    names = [str(m.get("entity", {}).get("reference", "")) for m in whole.get("member", []) if not m.get("inactive")]
    found = [
        repository.subject_of(repository.identifier(n.removeprefix("Patient/"))) for n in names if n.startswith("Patient/")
    ]
    return sorted({s for s in found if s is not None})


def export_status(repository: FhirRepository, context: RequestContext, job: str) -> ExportStatus:
    """How an export of the asker stands. NotHere where there is none, it is somebody else's, was stopped, or is over."""
    try:
        found = worker.job_status(repository.installation, job)
    except InputError:
        raise NotFoundError("there is no such export.") from None
    about = found.about
    if (
        found.by != context.session.who
        or found.kind not in (RECORDS, COPY)
        or found.state == "stopped"
        or _dropped(repository, job)
    ):
        raise NotFoundError("there is no such export.")
    asked = datetime.fromisoformat(about["asked_at"])
    if found.ended and asked + KEPT < datetime.now(UTC):
        drop_export(repository, context, job)
        raise NotFoundError("there is no such export any more: they are kept for a day.")
    made = ExportStatus(job, found.state, found.what, found.share, about["request"], about["asked_at"], about=about)
    if found.state != "done":
        return _with(made, state="failed" if found.ended else "running")
    if found.kind == COPY:
        return _copied(repository, made, str(about.get("run", "")))
    return _with(made, state="complete", files=tuple(ExportFile(**f) for f in about["files"]))


def _with(export: ExportStatus, **changed: Any) -> ExportStatus:
    return ExportStatus(**{**export.__dict__, **changed})


def _copied(repository: FhirRepository, made: ExportStatus, run: str) -> ExportStatus:
    """A de-identified copy: complete once two people have signed it."""
    waiting = run_status(repository.installation, run)
    if waiting.state in ("refused", "rejected", "recalled"):
        return _with(made, state="failed", run=run, what=f"the copy stays inside: it was {waiting.state}. See release {run}.")
    if waiting.state == "signing":
        missing = " and ".join(waiting.missing)
        return _with(made, state="running", run=run, share=0.99, what=f"release {run} waits for its signature as {missing}")
    target = repository.installation.home / "released" / run
    if not target.exists():
        write_release(repository.installation, run, target)
    kinds, files = set(made.about["kinds"]), []
    with zipfile.ZipFile(target / "data.zip") as packed:
        for member in packed.namelist():
            kind = member.rpartition("/")[2].partition(".")[0]
            if kind in kinds and member.endswith(".ndjson"):
                raw = packed.read(member)
                files.append(ExportFile(kind, member, raw.count(b"\n"), hashlib.sha256(raw).hexdigest()))
    return _with(made, state="complete", run=run, files=tuple(files))


def read_file(repository: FhirRepository, context: RequestContext, job: str, number: int) -> Iterator[bytes]:
    """What is in a file of an export, in parts. NotHere where there is none."""
    export = export_status(repository, context, job)
    if export.state != "complete" or not 0 <= number < len(export.files):
        raise NotFoundError("there is no such file.")
    file = export.files[number]
    repository.installation.audit.append(
        "bulk.fetched", f"{repository.name}/{job}", actor=context.session.who, file=number, sha256=file.sha256, purpose=export.about["purpose"]
    )  # fmt: skip
    if export.run:
        return _member(repository, export.run, file.name)
    folder = repository.installation.shards / export.about["build"]
    return store.read_blob(folder / file.name, repository.own().build_key(export.about["build"]))


def _member(repository: FhirRepository, run: str, name: str) -> Iterator[bytes]:
    with zipfile.ZipFile(repository.installation.home / "released" / run / "data.zip") as packed, packed.open(name) as file:
        yield from iter(lambda: file.read(io.DEFAULT_BUFFER_SIZE * 16), b"")


def drop_export(repository: FhirRepository, context: RequestContext, job: str) -> None:
    """Stops an export that is under way, or deletes what is kept of one that is done."""
    found = worker.job_status(repository.installation, job)
    if found.by != context.session.who:
        raise NotFoundError("there is no such export.")
    if not found.ended:
        worker.stop_job(repository.installation, context.session, job)
    if found.about.get("build"):
        drop_bulk(repository.installation, str(found.about["build"]))
    repository.installation.facts.put(Fact("job", f"work/{job}", "dropped", found.by, label=found.kind), actor=found.by)


def _dropped(repository: FhirRepository, job: str) -> bool:
    fact = repository.installation.facts.one("job", f"work/{job}")
    return fact is None or fact.state == "dropped"
