"""Bulk export (FHIR Bulk Data Access 2.0): requested, done by a worker, fetched by the same client, and deleted after a day.
For care and operations, access is decided for each patient separately. For secondary use, a de-identified copy is exported
by a release."""

import hashlib
import io
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import Any

import orjson

from galenic import store
from galenic.custody import BULK_BUILD, drop_bulk
from galenic.custody.fhir import FhirRepository, RequestContext, format_instant, read
from galenic.errors import (
    AccessDeniedError,
    GoneError,
    KeyErasedError,
    NotFoundError,
    RecordError,
    StateError,
    UnknownNameError,
)
from galenic.installation import Installation
from galenic.jobs.bulk_steps import COPY, DELETED, RECORDS
from galenic.jobs.client import all_job_statuses, job_status, stop_job, submit_job
from galenic.jobs.progress import JobStatus
from galenic.release import Run, run_status, write_release
from galenic.security import Fact

SECONDARY = frozenset({"research", "synthetic-data", "de-identification", "quality"})
LIFETIME = timedelta(days=1)
MOST_AT_ONCE = 3  # maximum of unfinished exports of one client
NOT_EXPORTED = ("AuditEvent", "Bundle", "Parameters", "OperationOutcome", "CapabilityStatement")
BLOCK = io.DEFAULT_BUFFER_SIZE * 16  # bytes of a released file that are sent at once


@dataclass(frozen=True)
class ExportRequest:
    """Request for an export. url: of the request; level: system, Patient or Group; group: id of the Group;
    resource_types: none for all; since: an instant, "" for none; patients: ids, none for all."""

    url: str
    level: str
    group: str = ""
    resource_types: tuple[str, ...] = ()
    since: str = ""
    patients: tuple[str, ...] = ()


@dataclass(frozen=True)
class ExportFile:
    """One file of an export. kind: its resource type; name: of its member in a released copy, or of its encrypted file; sha256: of
    content as it is fetched."""

    kind: str
    name: str
    count: int
    sha256: str

    @property
    def is_of_deletions(self) -> bool:
        """True if the file lists resources that were deleted."""
        return self.kind == DELETED


@dataclass(frozen=True)
class ExportStatus:
    """Status of an export. state: running, complete or failed; what: for people; at: time up to which resources are included."""

    job: str
    state: str
    what: str
    share: float
    request: str
    at: str
    run: str = ""
    files: tuple[ExportFile, ...] = ()
    about: dict[str, Any] = field(default_factory=dict)


class TooManyExportsError(StateError):
    """The client has too many unfinished exports."""


def request_export(repository: FhirRepository, context: RequestContext, request: ExportRequest) -> str:
    """Submits an export job; returns its id. AccessDeniedError if the client's scopes cover none of the types."""
    with store.locked(repository.installation.home / "exports"):  # counted and submitted by one request at a time
        return _request_export(repository, context, request)


def _request_export(repository: FhirRepository, context: RequestContext, request: ExportRequest) -> str:
    unfinished = [
        j for j in all_job_statuses(repository.installation, context.session.who) if j.kind in (RECORDS, COPY) and not j.ended
    ]
    if len(unfinished) >= MOST_AT_ONCE:
        raise TooManyExportsError(
            f"{len(unfinished)} of your exports are not finished. Wait for one to finish, or cancel one (DELETE)."
        )
    asked_at = store.time_after_writes(repository.installation.db, repository.name, context.session.tenant)
    about: dict[str, Any] = {
        "dataset": repository.name, "level": request.level, "kinds": _allowed_types(context, request.resource_types),
        "purpose": context.purpose, "request": request.url, "why": context.reason, "asked_at": format_instant(asked_at),
        "since": _since(request.since),
    }  # fmt: skip
    if context.purpose in SECONDARY:
        _require_copy(repository, context, request)
        return submit_job(repository.installation, context.session, COPY, about)
    people = _people(repository, context, request)
    return submit_job(repository.installation, context.session, RECORDS, {**about, "people": people})


def _require_copy(repository: FhirRepository, context: RequestContext, request: ExportRequest) -> None:
    """Raise RecordError unless the whole data set is requested, and AccessDeniedError unless the client may have a
    de-identified copy."""
    if request.since or request.group or request.patients:
        raise RecordError("for secondary use, only the whole data set can be exported. Leave out _since, group and patient.")
    dataset = store.resource(repository.name)
    decision = repository.installation.gate.decide(context.session, "train", dataset, context.purpose)
    if not decision.allowed:
        raise AccessDeniedError(
            f"{context.session.who} may not export {repository.name} for {context.purpose} ({decision.reason})."
        )


def _allowed_types(context: RequestContext, resource_types: tuple[str, ...]) -> list[str]:
    from galenic.records.fhir import r4  # noqa: PLC0415

    every = [t for t in sorted(r4().resources) if t not in NOT_EXPORTED]
    unknown = [t for t in resource_types if t not in every]
    if unknown:
        raise RecordError(
            f"_type has {len(unknown)} names that are not R4 resource types that can be exported. Expected "
            "Patient,Observation,…."
        )
    allowed = [t for t in (resource_types or every) if context.covers(t, "rs")]
    if not allowed:
        raise AccessDeniedError("the token's scopes cover none of these types. Needed: system/*.rs, or of each type.")
    return allowed


def _since(text: str) -> int:
    """Microseconds since 1970."""
    from galenic.records.fhir import date_range  # noqa: PLC0415

    if not text:
        return 0
    try:
        return int(date_range(text)[0])
    except (ValueError, OverflowError):
        raise RecordError("_since is not an instant. Expected 2026-11-30T10:00:00Z.") from None


def _people(repository: FhirRepository, context: RequestContext, request: ExportRequest) -> list[int] | None:
    """Subjects to export; None for all."""
    members = _members(repository, context, request.group) if request.group else None
    if not request.patients:
        return members
    named = [repository.subject_of(repository.identifier_of(p)) for p in request.patients]
    return sorted({s for s in named if s is not None and (members is None or s in members)})


def _members(repository: FhirRepository, context: RequestContext, group: str) -> list[int]:
    """Subjects of a Group's members. NotFoundError if the client may not read the Group."""
    resource = orjson.loads(read(repository, context, "Group", group).body)
    references = [str(m.get("entity", {}).get("reference", "")) for m in resource.get("member", []) if not m.get("inactive")]
    patients = [r.removeprefix("Patient/") for r in references if r.startswith("Patient/")]
    subjects = [repository.subject_of(repository.identifier_of(p)) for p in patients]
    return sorted({s for s in subjects if s is not None})


def export_status(repository: FhirRepository, context: RequestContext, job: str) -> ExportStatus:
    """Status of the client's export. Raise NotFoundError if it does not exist, belongs to another client, was canceled or has
    expired, and GoneError if an erasure deleted its files."""
    found = _own_job(repository, context, job)
    about = found.data
    requested = datetime.fromisoformat(about["asked_at"])
    if found.ended and requested + LIFETIME < datetime.now(UTC):
        drop_export(repository, context, job)
        raise NotFoundError("the export has expired: exports are available for one day. Start the export again.")
    status = ExportStatus(job, found.state, found.message, found.share, about["request"], about["asked_at"], about=about)
    if found.state != "done":
        return replace(status, state="failed" if found.ended else "running")
    if found.kind == COPY:
        return _copy_status(repository, status, str(about.get("run", "")))
    _require_files(repository, str(about["build"]))
    return replace(status, state="complete", files=tuple(ExportFile(**f) for f in about["files"]))


def _require_files(repository: FhirRepository, build: str) -> None:
    """GoneError if the files of a finished export were deleted, as the erasure of one of its patients does."""
    if not any(b["id"] == build for b in store.list_builds(repository.installation.db, kind=BULK_BUILD)):
        raise GoneError(
            "the files of this export were deleted, because a patient was erased afterwards. Start the export again."
        )


def _own_job(repository: FhirRepository, context: RequestContext, job: str) -> JobStatus:
    try:
        found = job_status(repository.installation, job)
    except UnknownNameError:
        raise NotFoundError("this export does not exist.") from None
    is_export = found.kind in (RECORDS, COPY) and found.state != "stopped" and not _is_dropped(repository, job)
    if found.user != context.session.who or not is_export:
        raise NotFoundError("this export does not exist.")
    return found


def _copy_status(repository: FhirRepository, status: ExportStatus, run: str) -> ExportStatus:
    """The status of a de-identified copy, which is complete once two people have signed it."""
    waiting = run_status(repository.installation, run)
    if waiting.state in ("refused", "rejected", "recalled"):
        return replace(
            status, state="failed", run=run, what=f"the copy was not released: it was {waiting.state}. See release {run}."
        )
    if waiting.state == "signing":
        missing = " and ".join(waiting.missing)
        return replace(
            status, state="running", run=run, share=0.99, what=f"release {run} is waiting for a signature by {missing}"
        )
    target = Run(repository.installation, run).released_folder
    if not target.exists():
        write_release(repository.installation, run, target)
    types, files = set(status.about["kinds"]), []
    with zipfile.ZipFile(target / "data.zip") as packed:
        for member in packed.namelist():
            resource_type = member.rpartition("/")[2].partition(".")[0]
            if resource_type in types and member.endswith(".ndjson"):
                raw = packed.read(member)
                files.append(ExportFile(resource_type, member, raw.count(b"\n"), hashlib.sha256(raw).hexdigest()))
    return replace(status, state="complete", run=run, files=tuple(files))


def read_file(repository: FhirRepository, context: RequestContext, job: str, number: int) -> Iterator[bytes]:
    """Content of an export's file, in blocks. Raise NotFoundError if it does not exist."""
    export = export_status(repository, context, job)
    if export.state != "complete" or not 0 <= number < len(export.files):
        raise NotFoundError("this file does not exist.")
    file = export.files[number]
    repository.installation.audit.append(
        "bulk.fetched", f"{repository.name}/{job}", actor=context.session.who, file=number, sha256=file.sha256, purpose=export.about["purpose"]
    )  # fmt: skip
    if export.run:
        return _read_member(repository, export.run, file.name)
    folder = repository.installation.shards / export.about["build"]
    try:
        key = repository.server_grant.use(lambda grant: grant.build_key(export.about["build"]))
    except KeyErasedError:  # deleted after the status was read
        raise GoneError("the files of this export were deleted in the meantime. Start the export again.") from None
    _record_download(repository.installation, str(export.about["build"]))
    return store.read_blob(folder / file.name, key)


def _record_download(installation: Installation, build: str) -> None:
    """Records at the first download that a copy of the export is outside the installation."""
    if store.artefact(installation.db, f"download/{build}") is None:
        row: store.Row = {"id": f"download/{build}", "kind": "download", "made_from": f"bulk/{build}", "place": "outside"}
        store.derive(installation.db, row)


def _read_member(repository: FhirRepository, run: str, name: str) -> Iterator[bytes]:
    with zipfile.ZipFile(Run(repository.installation, run).released_folder / "data.zip") as packed, packed.open(name) as file:
        yield from iter(lambda: file.read(BLOCK), b"")


def drop_export(repository: FhirRepository, context: RequestContext, job: str) -> None:
    """Cancels an unfinished export, or deletes the files of a finished one."""
    found = job_status(repository.installation, job)
    if found.user != context.session.who:
        raise NotFoundError("this export does not exist.")
    if not found.ended:
        stop_job(repository.installation, context.session, job)
    if found.data.get("build"):
        drop_bulk(repository.installation, str(found.data["build"]))
    repository.installation.facts.put(Fact("job", f"work/{job}", "dropped", found.user, label=found.kind), actor=found.user)


def _is_dropped(repository: FhirRepository, job: str) -> bool:
    fact = repository.installation.facts.one("job", f"work/{job}")
    return fact is None or fact.state == "dropped"
