"""The steps of a bulk export: patients in turn, each under a decision of its own, into sealed files of one type each."""

import hashlib
import shutil
from collections import defaultdict
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import orjson

from galenic import store
from galenic.errors import AccessDenied, GalenicError
from galenic.flows.deidentify_stored import deidentify_stored
from galenic.flows.fhir.answer import DECISION, shown, updated_of
from galenic.flows.fhir.facade import directory
from galenic.flows.house import House, open_house
from galenic.flows.work import begun_before, session_of, teller
from galenic.security import BUILDS, Pass, Session

RECORDS, COPY = "bulk", "copy"  # kinds of jobs
KIND = "bulk"  # of builds
PEOPLE = 100  # decided at once
STEP_BYTES = 32 * 2**20  # of records in a step, which are in memory
Lines = dict[str, list[bytes]]


def advance_bulk(state: dict[str, Any]) -> dict[str, Any]:
    """One step: patients until there are 32 MiB of records. What a process that died had written of it is written again."""
    house = open_house(Path(state["home"]))
    try:
        session = session_of(house, state)
        known = store.dataset(house.db, state["dataset"], session.tenant)
        erasures = house.gate.versions.get()["erasures"]
        if "build" not in state:
            state = {**state, **_begin(house, known, state), "erasures": erasures}
        step = _Step(house, session, known, state)
        state = step.done()
        if house.gate.versions.get()["erasures"] != state["erasures"]:
            drop_bulk(house, state["build"])
            return {**state, "files": [], "done": True, "error": "a patient was erased while this ran. Ask again."}
        if state["done"]:
            _end(house, session, state)
        teller(house, state)(f"{state['at']:,} of {len(state['ids']):,} patients", state["share"])
        return state
    except GalenicError as error:
        if "build" in state:
            drop_bulk(house, state["build"])
        return {**state, "files": [], "done": True, "error": str(error)}
    finally:
        house.close()


def _begin(house: House, known: store.Dataset, state: dict[str, Any]) -> dict[str, Any]:
    """Whose records are asked for, and the key that the files are sealed under."""
    build, number = store.next_build(house.db, KIND, state["dataset"])
    house.tree.add([BUILDS + number])
    with _own(house, state["dataset"]) as own:
        every = store.subjects_of(house.db, own, str(known["name"]))
    people = state.get("people")
    ids = [s for s in every if s != store.NOBODY and (people is None or s in set(people))]
    if state["level"] == "system" and people is None:
        ids.append(store.NOBODY)
    return {"build": build, "ids": ids, "at": 0, "files": []}


def _own(house: House, name: str) -> Pass:
    from galenic.flows.serving import server_session  # noqa: PLC0415  # which takes facades

    return house.gate.open(server_session(house), "index", store.resource(name), "operations")


def _end(house: House, session: Session, state: dict[str, Any]) -> None:
    row = {"id": f"bulk/{state['build']}", "kind": "bulk", "made_from": f"table/{state['dataset']}"}
    store.add_artefact(house.db, row, [s for s in state["ids"] if s != store.NOBODY])
    store.finish_build(house.db, state["build"], {"files": []})
    house.gate.end(session)


def drop_bulk(house: House, build: str) -> None:
    """Deletes an export's files, and the key that they are sealed under."""
    shutil.rmtree(house.shards / build, ignore_errors=True)
    if any(b["id"] == build for b in store.all_builds(house.db, kind=KIND)):
        store.drop_build(house.db, build, house.shards)
        house.tree.drop(BUILDS + int(build.rpartition("-")[2]))


class _Step:
    """One step of an export."""

    def __init__(self, house: House, session: Session, known: store.Dataset, state: dict[str, Any]) -> None:
        self.house, self.session, self.known, self.state = house, session, known, state
        self.kinds, self.lines, self.size = frozenset(state["kinds"]), defaultdict[str, list[bytes]](list), 0

    def done(self) -> dict[str, Any]:
        """The state after the step."""
        ids, at = self.state["ids"], self.state["at"]
        while at < len(ids) and self.size < STEP_BYTES:
            part = ids[at : at + PEOPLE]
            self._people([s for s in part if s != store.NOBODY])
            if store.NOBODY in part:
                self._nobodys()
            at += len(part)
        files = [*self.state["files"], *self._written()]
        share = at / max(len(ids), 1)
        return {**self.state, "at": at, "files": files, "share": share, "done": at >= len(ids)}

    def _people(self, subjects: list[int]) -> None:
        """Each under a decision of its own; of whom the asker may not read, nothing is written and nothing said."""
        places = [store.of_record(self.known, s) for s in subjects]
        opened = self.house.gate.open_many(self.session, "read", places, self.state["purpose"])
        with ExitStack() as stack:
            for subject, handle in zip(subjects, opened, strict=True):
                if handle is not None:
                    self._take(stack.enter_context(handle), subject, self.kinds)

    def _nobodys(self) -> None:
        """What is about no patient, and what names none."""
        for patient, kinds in ((False, self.kinds & directory()), (True, self.kinds - directory())):
            place = store.of_record(self.known, store.NOBODY, patient=patient)
            try:
                with self.house.gate.open(self.session, "read", place, self.state["purpose"]) as handle:
                    self._take(handle, store.NOBODY, kinds)
            except AccessDenied:
                continue

    def _take(self, handle: Pass, subject: int, kinds: frozenset[str]) -> None:
        made = str(self.known["imported_at"])
        rows = store.standing_rows(self.house.db, handle, self.known, subject)
        for kept in store.read_rows(self.house.db, self.known, {subject: handle}, rows).values():
            if kept.type in kinds and not kept.about.get("deleted") and updated_of(kept, made) >= self.state["since"]:
                line = _marked(shown(kept, made), handle.decision)
                self.lines[kept.type].append(line)
                self.size += len(line)

    def _written(self) -> list[dict[str, Any]]:
        """Sealed files of this step, one of each type."""
        found = []
        with _own(self.house, str(self.known["name"])) as own:
            key = own.build_key(self.state["build"])
            for kind, lines in sorted(self.lines.items()):
                raw = b"\n".join(lines) + b"\n"
                name = store.write_blob(self.house.shards / self.state["build"], key, [raw])
                found.append({"kind": kind, "name": name, "count": len(lines), "sha256": hashlib.sha256(raw).hexdigest()})
        return found


def _marked(raw: bytes, decision: int) -> bytes:
    """A record that says by which decision it left."""
    resource = orjson.loads(raw)
    meta = resource.get("meta", {})
    mark = {"url": DECISION, "valueString": str(decision)}
    resource["meta"] = {**meta, "extension": [*(e for e in meta.get("extension", ()) if e.get("url") != DECISION), mark]}
    return orjson.dumps(resource)


def advance_copy(state: dict[str, Any]) -> dict[str, Any]:
    """A de-identified copy: a run that waits for its signatures."""
    house = open_house(Path(state["home"]))
    try:
        if begun_before(house, state):
            return {**state, "done": True, "error": "the worker ended while this ran. Ask again."}
        session = session_of(house, state)
        tell = teller(house, state)
        copy = deidentify_stored(house, session, state["dataset"], purpose=state["purpose"], by=session.who, progress=tell)
        house.gate.end(session)
        return {**state, "done": True, "share": 1.0, "run": copy.run, "what": "the copy waits for its signatures"}
    except GalenicError as error:
        return {**state, "done": True, "error": str(error)}
    finally:
        house.close()
