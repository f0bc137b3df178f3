"""Steps of a bulk export: each patient under a separate access decision, into encrypted files by type."""

import hashlib
from collections import defaultdict
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import orjson

from galenic import store
from galenic.custody import BULK_BUILD, drop_bulk, short_server_session
from galenic.custody.fhir import DECISION_EXTENSION, last_updated, serialize, types_without_patient
from galenic.errors import AccessDeniedError, GalenicError
from galenic.flows import StoredCopyRequest, deidentify_stored
from galenic.installation import Installation, open_installation
from galenic.jobs.client import job_session
from galenic.jobs.progress import already_started, progress_writer
from galenic.security import BUILDS, Grant, Session

RECORDS, COPY = "bulk", "copy"  # kinds of jobs
PATIENTS = 100  # number of patients decided at once
DELETED = "Bundle"  # type of the files that list deleted resources; Bundles themselves are not exported
DELETIONS = 1_000  # entries in one Bundle
STEP_BYTES = 32 * 2**20  # bytes of resources in a step, which are held in memory


def advance_bulk(state: dict[str, Any]) -> dict[str, Any]:
    """Runs one step: exports patients until there are 32 MiB of resources. A step that a stopped process began is repeated."""
    installation = open_installation(Path(state["home"]))
    try:
        session = job_session(installation, state)
        dataset = store.dataset(installation.db, state["dataset"], session.tenant)
        erasures = installation.gate.versions.get()["erasures"]
        if "build" not in state:
            state = {**state, **_begin(installation, state), "erasures": erasures}
        return _advance(installation, session, dataset, state)
    except GalenicError as error:
        if "build" in state:
            drop_bulk(installation, state["build"])
        return {**state, "files": [], "done": True, "error": str(error)}
    finally:
        installation.close()


def _advance(installation: Installation, session: Session, dataset: store.Dataset, state: dict[str, Any]) -> dict[str, Any]:
    """Returns the state after a step of an export that has a build."""
    state = _Step(installation, session, dataset, state).run()
    if installation.gate.versions.get()["erasures"] != state["erasures"]:
        drop_bulk(installation, state["build"])
        return {
            **state,
            "files": [],
            "done": True,
            "error": ("a patient was erased during the export. Start the export again."),
        }
    if state["done"]:
        _end(installation, session, state)
    progress_writer(installation, state)(f"{state['at']:,} of {len(state['ids']):,} patients", state["share"])
    return state


def _begin(installation: Installation, state: dict[str, Any]) -> dict[str, Any]:
    """The subjects to export, and a new key for the files."""
    with _service_grant(installation, state["dataset"]) as grant:
        every = store.subjects_of(installation.db, grant, state["dataset"])
    people = state.get("people")
    wanted = None if people is None else set(people)
    ids = [s for s in every if s != store.NO_SUBJECT and (wanted is None or s in wanted)]
    if state["level"] == "system" and wanted is None:
        ids.append(store.NO_SUBJECT)
    build, number = store.next_build(installation.db, BULK_BUILD, state["dataset"])
    installation.tree.add([BUILDS + number])
    return {"build": build, "ids": ids, "at": 0, "files": []}


@contextmanager
def _service_grant(installation: Installation, name: str) -> Iterator[Grant]:
    with (
        short_server_session(installation) as session,
        installation.gate.open(session, "index", store.resource(name), "operations") as grant,
    ):
        yield grant


def _end(installation: Installation, session: Session, state: dict[str, Any]) -> None:
    row = {"id": f"bulk/{state['build']}", "kind": "bulk", "made_from": f"table/{state['dataset']}"}
    store.add_artefact(installation.db, row, [s for s in state["ids"] if s != store.NO_SUBJECT])
    store.finish_build(installation.db, state["build"], {"files": []})
    installation.gate.end(session)


class _Step:
    """One step of an export."""

    def __init__(self, installation: Installation, session: Session, dataset: store.Dataset, state: dict[str, Any]) -> None:
        self.installation, self.session, self.dataset, self.state = installation, session, dataset, state
        self.types, self.lines, self.size = frozenset(state["kinds"]), defaultdict[str, list[bytes]](list), 0

    def run(self) -> dict[str, Any]:
        """Returns the state after the step."""
        ids, at = self.state["ids"], self.state["at"]
        while at < len(ids) and self.size < STEP_BYTES:
            part = ids[at : at + PATIENTS]
            self._add_patients([s for s in part if s != store.NO_SUBJECT])
            if store.NO_SUBJECT in part:
                self._add_without_patient()
            at += len(part)
        files = [*self.state["files"], *self._write_files()]
        share = at / max(len(ids), 1)
        return {**self.state, "at": at, "files": files, "share": share, "done": at >= len(ids)}

    def _add_patients(self, subjects: list[int]) -> None:
        """Adds patients, each under a separate decision. Patients whom the client may not read are left out silently."""
        resources = [store.record_resource(self.dataset, s) for s in subjects]
        grants = self.installation.gate.open_many(self.session, "read", resources, self.state["purpose"])
        with ExitStack() as stack:
            for subject, grant in zip(subjects, grants, strict=True):
                if grant is not None:
                    self._add(stack.enter_context(grant), subject, self.types)

    def _add_without_patient(self) -> None:
        """Adds resources about no patient, and resources that could be about a patient but name none."""
        directory = types_without_patient()
        for is_patient, types in ((False, self.types & directory), (True, self.types - directory)):
            resource = store.record_resource(self.dataset, store.NO_SUBJECT, patient=is_patient)
            try:
                with self.installation.gate.open(self.session, "read", resource, self.state["purpose"]) as grant:
                    self._add(grant, store.NO_SUBJECT, types)
            except AccessDeniedError:
                continue

    def _add(self, grant: Grant, subject: int, types: frozenset[str]) -> None:
        imported_at = str(self.dataset["imported_at"])
        rows = store.current_rows(self.installation.db, grant, self.dataset, subject)
        for stored in store.read_rows(self.installation.db, self.dataset, {subject: grant}, rows).values():
            is_new = last_updated(stored, imported_at) >= self.state["since"]
            if stored.type in types and not stored.about.get("deleted") and is_new:
                line = _with_decision(serialize(stored, imported_at), grant.decision)
                self.lines[stored.type].append(line)
                self.size += len(line)
        if self.state["since"]:
            self._add_deleted(grant, subject, types)

    def _add_deleted(self, grant: Grant, subject: int, types: frozenset[str]) -> None:
        """Adds resources that were deleted since the requested time, as Bundles of delete requests (Bulk Data Access 2.0,
        deleted)."""
        rows = store.deleted_rows(self.installation.db, grant, self.dataset, subject)
        imported_at, names = str(self.dataset["imported_at"]), []
        for stored in store.read_rows(self.installation.db, self.dataset, {subject: grant}, rows).values():
            is_new = last_updated(stored, imported_at) >= self.state["since"]
            if stored.type in types and stored.about.get("deleted") and is_new:
                names.append(f"{stored.type}/{stored.id}")
        for start in range(0, len(names), DELETIONS):
            entries = [{"request": {"method": "DELETE", "url": name}} for name in names[start : start + DELETIONS]]
            line = orjson.dumps({"resourceType": "Bundle", "type": "transaction", "entry": entries})
            self.lines[DELETED].append(line)
            self.size += len(line)

    def _write_files(self) -> list[dict[str, Any]]:
        """Writes the encrypted files of this step, one for each type."""
        files = []
        with _service_grant(self.installation, str(self.dataset["name"])) as grant:
            key = grant.build_key(self.state["build"])
            for resource_type, lines in sorted(self.lines.items()):
                raw = b"\n".join(lines) + b"\n"
                name = store.write_blob(self.installation.shards / self.state["build"], key, [raw])
                digest = hashlib.sha256(raw).hexdigest()
                files.append({"kind": resource_type, "name": name, "count": len(lines), "sha256": digest})
        return files


def _with_decision(raw: bytes, decision: int) -> bytes:
    """Adds the number of its access decision to a resource."""
    resource = orjson.loads(raw)
    meta = resource.get("meta", {})
    mark = {"url": DECISION_EXTENSION, "valueString": str(decision)}
    others = (e for e in meta.get("extension", ()) if e.get("url") != DECISION_EXTENSION)
    resource["meta"] = {**meta, "extension": [*others, mark]}
    return orjson.dumps(resource)


def advance_copy(state: dict[str, Any]) -> dict[str, Any]:
    """Makes a de-identified copy as a run that waits for its signatures."""
    installation = open_installation(Path(state["home"]))
    try:
        if already_started(installation, state):
            return {**state, "done": True, "error": "the worker stopped during the export. Start the export again."}
        session = job_session(installation, state)
        tell = progress_writer(installation, state)
        request = StoredCopyRequest(state["dataset"], purpose=state["purpose"], requester=session.who)
        copy = deidentify_stored(installation, session, request, tell)
        installation.gate.end(session)
        return {**state, "done": True, "share": 1.0, "run": copy.run, "what": "the copy is waiting for its signatures"}
    except GalenicError as error:
        return {**state, "done": True, "error": str(error)}
    finally:
        installation.close()
