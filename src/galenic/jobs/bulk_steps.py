"""The steps of a bulk export: patients in turn, each under a decision of its own, into sealed files of one type each."""

import hashlib
from collections import defaultdict
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import orjson

from galenic import store
from galenic.custody import BULK_BUILD, drop_bulk, server_session
from galenic.custody.fhir import DECISION_EXTENSION, last_updated, serialize, types_without_patient
from galenic.errors import AccessDeniedError, GalenicError
from galenic.flows import StoredCopyRequest, deidentify_stored
from galenic.installation import Installation, open_installation
from galenic.jobs.client import job_session
from galenic.jobs.progress import already_started, progress_writer
from galenic.security import BUILDS, Grant, Session

RECORDS, COPY = "bulk", "copy"  # kinds of jobs
PEOPLE = 100  # decided at once
STEP_BYTES = 32 * 2**20  # of records in a step, which are in memory
Lines = dict[str, list[bytes]]


def advance_bulk(state: dict[str, Any]) -> dict[str, Any]:
    """One step: patients until there are 32 MiB of records. What a process that died had written of it is written again."""
    installation = open_installation(Path(state["home"]))
    try:
        session = job_session(installation, state)
        known = store.dataset(installation.db, state["dataset"], session.tenant)
        erasures = installation.gate.versions.get()["erasures"]
        if "build" not in state:
            state = {**state, **_begin(installation, known, state), "erasures": erasures}
        step = _Step(installation, session, known, state)
        state = step.done()
        if installation.gate.versions.get()["erasures"] != state["erasures"]:
            drop_bulk(installation, state["build"])
            return {**state, "files": [], "done": True, "error": "a patient was erased while this ran. Ask again."}
        if state["done"]:
            _end(installation, session, state)
        progress_writer(installation, state)(f"{state['at']:,} of {len(state['ids']):,} patients", state["share"])
        return state
    except GalenicError as error:
        if "build" in state:
            drop_bulk(installation, state["build"])
        return {**state, "files": [], "done": True, "error": str(error)}
    finally:
        installation.close()


def _begin(installation: Installation, known: store.Dataset, state: dict[str, Any]) -> dict[str, Any]:
    """Whose records are asked for, and the key that the files are sealed under."""
    build, number = store.next_build(installation.db, BULK_BUILD, state["dataset"])
    installation.tree.add([BUILDS + number])
    with _own(installation, state["dataset"]) as own:
        every = store.subjects_of(installation.db, own, str(known["name"]))
    people = state.get("people")
    ids = [s for s in every if s != store.NO_SUBJECT and (people is None or s in set(people))]
    if state["level"] == "system" and people is None:
        ids.append(store.NO_SUBJECT)
    return {"build": build, "ids": ids, "at": 0, "files": []}


def _own(installation: Installation, name: str) -> Grant:
    return installation.gate.open(server_session(installation), "index", store.resource(name), "operations")


def _end(installation: Installation, session: Session, state: dict[str, Any]) -> None:
    row = {"id": f"bulk/{state['build']}", "kind": "bulk", "made_from": f"table/{state['dataset']}"}
    store.add_artefact(installation.db, row, [s for s in state["ids"] if s != store.NO_SUBJECT])
    store.finish_build(installation.db, state["build"], {"files": []})
    installation.gate.end(session)


class _Step:
    """One step of an export."""

    def __init__(self, installation: Installation, session: Session, known: store.Dataset, state: dict[str, Any]) -> None:
        self.installation, self.session, self.known, self.state = installation, session, known, state
        self.kinds, self.lines, self.size = frozenset(state["kinds"]), defaultdict[str, list[bytes]](list), 0

    def done(self) -> dict[str, Any]:
        """The state after the step."""
        ids, at = self.state["ids"], self.state["at"]
        while at < len(ids) and self.size < STEP_BYTES:
            part = ids[at : at + PEOPLE]
            self._people([s for s in part if s != store.NO_SUBJECT])
            if store.NO_SUBJECT in part:
                self._nobodys()
            at += len(part)
        files = [*self.state["files"], *self._written()]
        share = at / max(len(ids), 1)
        return {**self.state, "at": at, "files": files, "share": share, "done": at >= len(ids)}

    def _people(self, subjects: list[int]) -> None:
        """Each under a decision of its own; of whom the asker may not read, nothing is written and nothing said."""
        places = [store.record_resource(self.known, s) for s in subjects]
        opened = self.installation.gate.open_many(self.session, "read", places, self.state["purpose"])
        with ExitStack() as stack:
            for subject, handle in zip(subjects, opened, strict=True):
                if handle is not None:
                    self._take(stack.enter_context(handle), subject, self.kinds)

    def _nobodys(self) -> None:
        """What is about no patient, and what names none."""
        for patient, kinds in ((False, self.kinds & types_without_patient()), (True, self.kinds - types_without_patient())):
            place = store.record_resource(self.known, store.NO_SUBJECT, patient=patient)
            try:
                with self.installation.gate.open(self.session, "read", place, self.state["purpose"]) as handle:
                    self._take(handle, store.NO_SUBJECT, kinds)
            except AccessDeniedError:
                continue

    def _take(self, handle: Grant, subject: int, kinds: frozenset[str]) -> None:
        made = str(self.known["imported_at"])
        rows = store.current_rows(self.installation.db, handle, self.known, subject)
        for kept in store.read_rows(self.installation.db, self.known, {subject: handle}, rows).values():
            if kept.type in kinds and not kept.about.get("deleted") and last_updated(kept, made) >= self.state["since"]:
                line = _marked(serialize(kept, made), handle.decision)
                self.lines[kept.type].append(line)
                self.size += len(line)

    def _written(self) -> list[dict[str, Any]]:
        """Sealed files of this step, one of each type."""
        found = []
        with _own(self.installation, str(self.known["name"])) as own:
            key = own.build_key(self.state["build"])
            for kind, lines in sorted(self.lines.items()):
                raw = b"\n".join(lines) + b"\n"
                name = store.write_blob(self.installation.shards / self.state["build"], key, [raw])
                found.append({"kind": kind, "name": name, "count": len(lines), "sha256": hashlib.sha256(raw).hexdigest()})
        return found


def _marked(raw: bytes, decision: int) -> bytes:
    """A record that says by which decision it left."""
    resource = orjson.loads(raw)
    meta = resource.get("meta", {})
    mark = {"url": DECISION_EXTENSION, "valueString": str(decision)}
    resource["meta"] = {
        **meta,
        "extension": [*(e for e in meta.get("extension", ()) if e.get("url") != DECISION_EXTENSION), mark],
    }
    return orjson.dumps(resource)


def advance_copy(state: dict[str, Any]) -> dict[str, Any]:
    """A de-identified copy: a run that waits for its signatures."""
    installation = open_installation(Path(state["home"]))
    try:
        if already_started(installation, state):
            return {**state, "done": True, "error": "the worker ended while this ran. Ask again."}
        session = job_session(installation, state)
        tell = progress_writer(installation, state)
        request = StoredCopyRequest(state["dataset"], purpose=state["purpose"], requester=session.who)
        copy = deidentify_stored(installation, session, request, tell)
        installation.gate.end(session)
        return {**state, "done": True, "share": 1.0, "run": copy.run, "what": "the copy waits for its signatures"}
    except GalenicError as error:
        return {**state, "done": True, "error": str(error)}
    finally:
        installation.close()
