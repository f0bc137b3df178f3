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
from galenic.errors import AccessDenied, DescriptionError, NotHere, RecordError
from galenic.flows import leave, sign_off, work
from galenic.flows.fhir.answer import Asking, instant, now_micros
from galenic.flows.fhir.bulk_job import COPY, RECORDS, drop_bulk
from galenic.flows.fhir.facade import Facade
from galenic.flows.fhir.read import read
from galenic.security import Fact

SECONDARY = frozenset({"research", "synthetic-data", "de-identification", "quality"})
KEPT = timedelta(days=1)
MOST_AT_ONCE = 3  # exports of one client that are not done
SERVED_APART = ("AuditEvent", "Bundle", "Parameters", "OperationOutcome", "CapabilityStatement")


@dataclass(frozen=True)
class File:
    """One file of an export. name: its member of a released copy, or how it is sealed; sha256: of what is fetched."""

    kind: str
    name: str
    count: int
    sha256: str


@dataclass(frozen=True)
class Export:
    """How an export stands. state: running, complete or failed; what: for people; at: up to when records are in it."""

    job: str
    state: str
    what: str
    share: float
    request: str
    at: str
    run: str = ""
    files: tuple[File, ...] = ()
    about: dict[str, Any] = field(default_factory=dict)


class TooMany(DescriptionError):
    """So many exports are under way that another has to wait."""


def ask_export(
    facade: Facade, asking: Asking, request: str, *, level: str, group: str = "", kinds: tuple[str, ...] = (), since: str = "",
    patients: tuple[str, ...] = (),
) -> str:  # fmt: skip
    """Asks for an export; returns its id. level: system, Patient or Group; request: the address it was asked by; patients: of these
    alone. AccessDenied where the asker's scopes cover none of the types."""
    mine = [e for e in work.all_doing(facade.house, asking.session.who) if e.kind in (RECORDS, COPY) and not e.ended]
    if len(mine) >= MOST_AT_ONCE:
        raise TooMany(f"{len(mine)} exports of yours are under way. Wait until one is done, or stop one (DELETE).")
    allowed = _kinds(asking, kinds)
    about: dict[str, Any] = {
        "dataset": facade.name, "level": level, "kinds": allowed, "purpose": asking.purpose, "request": request, "why": asking.why,
        "asked_at": instant(now_micros()), "since": _since(since),
    }  # fmt: skip
    if asking.purpose in SECONDARY:
        if since or group or patients:
            raise RecordError("for secondary use the whole data set is copied: without _since, group and patient.")
        verdict = facade.house.gate.judge(asking.session, "train", store.resource(facade.name), asking.purpose)
        if not verdict.allowed:
            raise AccessDenied(
                f"{asking.session.who} may not have a copy of {facade.name} for {asking.purpose} ({verdict.reason})."
            )
        return work.ask(facade.house, asking.session, COPY, about)
    people = _members(facade, asking, group) if group else None
    if patients:
        named = [facade.subject_of(facade.identifier(p)) for p in patients]
        people = sorted({s for s in named if s is not None and (people is None or s in people)})
    return work.ask(facade.house, asking.session, RECORDS, {**about, "people": people})


def _kinds(asking: Asking, kinds: tuple[str, ...]) -> list[str]:
    from galenic.records.fhir import r4  # noqa: PLC0415

    every = [k for k in sorted(r4().resources) if k not in SERVED_APART]
    strange = sorted(k for k in kinds if k not in every)
    if strange:
        raise RecordError(f"_type names {len(strange)} that are no types of R4, or not served. Expected Patient,Observation,….")
    allowed = [k for k in (kinds or every) if asking.may(k, "rs")]
    if not allowed:
        raise AccessDenied("the token's scopes cover none of these types. Needed: system/*.rs, or of each type.")
    return allowed


def _since(text: str) -> int:
    from galenic.records.fhir import span  # noqa: PLC0415

    if not text:
        return 0
    try:
        return int(span(text)[0])
    except (ValueError, OverflowError):
        raise RecordError("_since is no instant. Expected 2026-11-30T10:00:00Z.") from None


def _members(facade: Facade, asking: Asking, group: str) -> list[int]:
    """Subjects of a Group's members, as far as the asker may read it."""
    import orjson  # noqa: PLC0415

    whole = orjson.loads(read(facade, asking, "Group", group).body)
    names = [str(m.get("entity", {}).get("reference", "")) for m in whole.get("member", []) if not m.get("inactive")]
    found = [facade.subject_of(facade.identifier(n.removeprefix("Patient/"))) for n in names if n.startswith("Patient/")]
    return sorted({s for s in found if s is not None})


def export_of(facade: Facade, asking: Asking, job: str) -> Export:
    """How an export of the asker stands. NotHere where there is none, it is somebody else's, was stopped, or is over."""
    try:
        found = work.doing(facade.house, job)
    except DescriptionError:
        raise NotHere("there is no such export.") from None
    about = found.about
    if found.by != asking.session.who or found.kind not in (RECORDS, COPY) or found.state == "stopped" or _dropped(facade, job):
        raise NotHere("there is no such export.")
    asked = datetime.fromisoformat(about["asked_at"])
    if found.ended and asked + KEPT < datetime.now(UTC):
        drop_export(facade, asking, job)
        raise NotHere("there is no such export any more: they are kept for a day.")
    made = Export(job, found.state, found.what, found.share, about["request"], about["asked_at"], about=about)
    if found.state != "done":
        return _with(made, state="failed" if found.ended else "running")
    if found.kind == COPY:
        return _copied(facade, made, str(about.get("run", "")))
    return _with(made, state="complete", files=tuple(File(**f) for f in about["files"]))


def _with(export: Export, **changed: Any) -> Export:
    return Export(**{**export.__dict__, **changed})


def _copied(facade: Facade, made: Export, run: str) -> Export:
    """A de-identified copy: complete once two people have signed it."""
    waiting = sign_off.run_of(facade.house, run)
    if waiting.state in ("refused", "rejected", "recalled"):
        return _with(made, state="failed", run=run, what=f"the copy stays inside: it was {waiting.state}. See release {run}.")
    if waiting.state == "signing":
        missing = " and ".join(waiting.missing)
        return _with(made, state="running", run=run, share=0.99, what=f"release {run} waits for its signature as {missing}")
    target = facade.house.home / "released" / run
    if not target.exists():
        leave.release(facade.house, run, target)
    kinds, files = set(made.about["kinds"]), []
    with zipfile.ZipFile(target / "data.zip") as packed:
        for member in packed.namelist():
            kind = member.rpartition("/")[2].partition(".")[0]
            if kind in kinds and member.endswith(".ndjson"):
                raw = packed.read(member)
                files.append(File(kind, member, raw.count(b"\n"), hashlib.sha256(raw).hexdigest()))
    return _with(made, state="complete", run=run, files=tuple(files))


def read_file(facade: Facade, asking: Asking, job: str, number: int) -> Iterator[bytes]:
    """What is in a file of an export, in parts. NotHere where there is none."""
    export = export_of(facade, asking, job)
    if export.state != "complete" or not 0 <= number < len(export.files):
        raise NotHere("there is no such file.")
    file = export.files[number]
    facade.house.audit.append(
        "bulk.fetched", f"{facade.name}/{job}", actor=asking.session.who, file=number, sha256=file.sha256, purpose=export.about["purpose"]
    )  # fmt: skip
    if export.run:
        return _member(facade, export.run, file.name)
    folder = facade.house.shards / export.about["build"]
    return store.read_blob(folder / file.name, facade.own().build_key(export.about["build"]))


def _member(facade: Facade, run: str, name: str) -> Iterator[bytes]:
    with zipfile.ZipFile(facade.house.home / "released" / run / "data.zip") as packed, packed.open(name) as file:
        yield from iter(lambda: file.read(io.DEFAULT_BUFFER_SIZE * 16), b"")


def drop_export(facade: Facade, asking: Asking, job: str) -> None:
    """Stops an export that is under way, or deletes what is kept of one that is done."""
    found = work.doing(facade.house, job)
    if found.by != asking.session.who:
        raise NotHere("there is no such export.")
    if not found.ended:
        work.stop(facade.house, asking.session, job)
    if found.about.get("build"):
        drop_bulk(facade.house, str(found.about["build"]))
    facade.house.facts.put(Fact("job", f"work/{job}", "dropped", found.by, label=found.kind), actor=found.by)


def _dropped(facade: Facade, job: str) -> bool:
    fact = facade.house.facts.one("job", f"work/{job}")
    return fact is None or fact.state == "dropped"
