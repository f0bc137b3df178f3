"""FHIR R4 goes into custody: checked, each resource's bytes kept under the key of whose it is, each Bundle whole or not at all."""

import os
import sys
from collections import Counter, deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from contextlib import ExitStack
from dataclasses import dataclass, field
from hashlib import sha256
from multiprocessing import get_context
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING

from galenic import store
from galenic.custody.datasets import describe_dataset
from galenic.installation import Installation
from galenic.records import freeze_gc, paused_gc
from galenic.schema import Progress, no_progress
from galenic.security import Grant, Session

if TYPE_CHECKING:
    from galenic.records.fhir import PreparedDocument, PreparedResource

LINES, BYTES = 500, 2 * 2**20  # NDJSON lines that become durable together: so many, or so many bytes
WORTH = 8 * 2**20  # bytes of input from which on helpers are worth their start
AHEAD = 6  # units that wait for each helper
SHOWN = 3
# what may be somebody's only by what it refers to, and so may have to wait for that
LATE = frozenset(
    (
        "AuditEvent",
        "Basic",
        "Binary",
        "Communication",
        "CommunicationRequest",
        "Composition",
        "DetectedIssue",
        "DocumentManifest",
    )
) | {"Linkage", "List", "Media", "MessageHeader", "Provenance", "Task"}
MOST_WAITING, MOST_KNOWN = 10_000, 200_000
Lines = list[tuple[int, bytes]]


@dataclass
class Received:
    """What an import of FHIR did. seen: resources that came, by type; new: those stored; again: those here already, with all
    their bytes. erased: left out, since whose they are was erased. refused: documents (lines, Bundles) that are not valid R4."""

    dataset: str
    seen: Counter[str] = field(default_factory=Counter)
    new: int = 0
    again: int = 0
    erased: int = 0
    refused: int = 0
    nobodys: int = 0
    unresolved: int = 0
    people: int = 0
    issues: Counter[tuple[str, str]] = field(default_factory=Counter)
    shown: list[dict[str, str]] = field(default_factory=list)


@paused_gc()
def import_fhir(
    installation: Installation,
    session: Session,
    places: list[Path],
    name: str,
    *,
    ids: str | None = None,
    label: str = "clinical",
    region: str = "",
    helpers: int | None = None,
    progress: Progress = no_progress,
) -> Received:
    """Brings files of FHIR R4 (resource, Bundle, NDJSON; plain or gzip) into custody. What is here already, byte for byte, is
    passed over, so an import that was cut short is simply run again.

    ids: whose ids the resources have (default: the data set's name). Patient/1 of another server is somebody else.
    helpers: processes that parse and check beside this one (default: one per further core where the input is large).
    """
    whose_ids = name if ids is None else ids
    total = max(sum(p.stat().st_size for p in places if p.exists()), 1)
    if helpers is None:
        helpers = (os.cpu_count() or 1) - 1 if total >= WORTH else 0
    with installation.gate.open(session, "import", store.resource(name), "records") as handle, ExitStack() as stack:
        row: dict[str, object] = {
            "name": name,
            "region": region,
            "label": label,
            "patient": "",
            "kind": "fhir",
            "ids": whose_ids,
        }
        known = describe_dataset(installation, handle, row, store.SCHEMA)
        door, done = Door(installation, handle, known, whose_ids), 0
        pool = stack.enter_context(ProcessPoolExecutor(helpers, get_context("spawn"), freeze_gc)) if helpers else None
        for where, documents in _prepared(door, _in_order(places), pool, helpers):
            door.take(documents, where)
            done += sum(d.size for d in documents)
            progress("importing", min(done / total, 1.0))
        door.close()
    installation.gate.versions.look_again()
    return door.done


def _in_order(places: list[Path]) -> list[Path]:
    """People first, what is somebody's only by what it refers to last; otherwise as given."""
    late = ("provenance", "auditevent", "group", "list", "media", "binary")

    def rank(place: Path) -> int:
        name = place.name.lower()
        return 0 if name.startswith(("patient", "practitioner")) else 2 if name.startswith(late) else 1

    return sorted(places, key=rank)


def _prepared(
    door: "Door", places: list[Path], pool: ProcessPoolExecutor | None, helpers: int
) -> Iterator[tuple[str, list["PreparedDocument"]]]:
    """Documents that become durable together, parsed and checked, in their order; a few units ahead where there are helpers."""
    from galenic.records.fhir import prepare_document  # noqa: PLC0415  # its definitions load when they are needed

    ahead: deque[_Unit] = deque()
    units = ((p.name, u) for p in places for u in _units(p))
    more = True
    while more or ahead:
        while more and len(ahead) <= AHEAD * helpers:
            where, unit = next(units, ("", None))
            if unit is None:
                more = False
                break
            fresh = door.pass_over(unit)
            ahead.append(_Unit(where, fresh, _sent(pool, prepare_document, fresh)))
        while ahead and (ahead[0].ready or not _help(ahead, prepare_document)):
            yield ahead[0].where, ahead[0].result(prepare_document)
            ahead.popleft()
            if len(ahead) < AHEAD:
                break


Work = Callable[[Lines], list["PreparedDocument"]]


@dataclass(slots=True)
class _Unit:
    """Documents that are being prepared, by a helper or by this process."""

    where: str
    lines: Lines
    future: "Future[list[PreparedDocument]] | None"
    done: "list[PreparedDocument] | None" = None

    @property
    def ready(self) -> bool:
        return self.done is not None or self.future is None or self.future.done()

    def result(self, work: Work) -> list["PreparedDocument"]:
        if self.done is None and self.future is not None:
            try:
                self.done = self.future.result()
            except BrokenProcessPool:  # a helper was killed, or could not start: this process does its work
                self.future = None
        return work(self.lines) if self.done is None else self.done


def _help(ahead: deque[_Unit], work: Work) -> bool:
    """Does here what no helper has begun, rather than wait; False where there is none."""
    for unit in ahead:
        if unit.done is None and unit.future is not None and unit.future.cancel():
            unit.done = work(unit.lines)
            return True
    return False


def _sent(pool: ProcessPoolExecutor | None, work: Work, lines: Lines) -> Future[list["PreparedDocument"]] | None:
    if pool is None or not lines:
        return None
    main = sys.modules["__main__"]
    # a helper begins by importing what this process began with: a second that it does not need, and a second run of a script
    # without a guard; it needs `work` alone
    sys.modules["__main__"] = ModuleType("__main__")
    try:
        return pool.submit(work, lines)
    except BrokenProcessPool:
        return None
    finally:
        sys.modules["__main__"] = main


def _units(place: Path) -> Iterator[Lines]:
    """Documents that become durable together: each Bundle alone, other lines by the hundred."""
    from galenic.records.fhir import is_ndjson, lines, read_whole  # noqa: PLC0415

    if not is_ndjson(place):
        yield [(0, read_whole(place))]
        return
    waiting: Lines = []
    size = 0
    for number, raw in lines(place):
        bundle = b'"Bundle"' in raw[:2_000]
        if waiting and (bundle or len(waiting) >= LINES or size > BYTES):
            yield waiting
            waiting, size = [], 0
        waiting.append((number, raw))
        size += len(raw)
        if bundle:
            yield waiting
            waiting, size = [], 0
    if waiting:
        yield waiting


class Door:
    """One import under way: what is asked of each document before it is kept."""

    def __init__(self, installation: Installation, handle: Grant, known: store.Dataset, ids: str) -> None:
        self.installation, self.handle, self.known, self.ids = installation, handle, known, ids
        self.done = Received(str(known["name"]))
        self._found: dict[str, str] = {}
        self._absent: set[str] = set()
        self._open: Counter[str] = Counter()
        self._people: set[int] = set()
        self._late: list[PreparedResource] = []

    def pass_over(self, unit: Lines) -> Lines:
        """Counts what is here already, byte for byte; returns the rest."""
        from galenic.records.fhir import count_types  # noqa: PLC0415

        digests = [sha256(raw).hexdigest() for _, raw in unit]
        here = store.known_digests(self.installation.db, self.handle, self.known, digests)
        for (_, raw), digest in zip(unit, digests, strict=True):
            if digest in here:
                count = count_types(raw)
                self.done.seen += count
                self.done.again += count.total()
        return [line for line, digest in zip(unit, digests, strict=True) if digest not in here]

    def take(self, documents: list["PreparedDocument"], where: str) -> None:
        """Keeps what is valid, durably, before the next unit is looked at."""
        parts: list[PreparedResource] = []
        for document in documents:
            place = f"{where}, line {document.number}" if document.number else where
            self.done.seen += document.seen
            self.done.refused += document.refused
            for level, rule, expression, text in document.issues:
                self._note(level, rule, place, expression, text)
            parts += self._named(document.parts)
        self._keep(parts)

    def settle(self) -> None:
        """Keeps what waited for the resources that it refers to."""
        late, self._late = self._late, []
        self._keep(late, last=True)

    def close(self) -> None:
        """Keeps what waits; says which references still mean nobody and nothing here."""
        self.settle()
        self.done.people = len(self._people)
        self._look(self._open)
        for word, count in self._open.items():
            if word not in self._found:
                self.done.unresolved += count
                what = (
                    "names by a search what is not here. It is looked for again whenever it is read: import it, or correct it."
                )
                self._note("warning", "reference-unresolved", "", word.partition("?")[0], what)

    def _named(self, parts: list["PreparedResource"]) -> list["PreparedResource"]:
        """The parts of one document with what its searches mean here; without those that are only created where there is none."""
        self._look(s for p in parts for s in (*p.searches, p.condition, p.person) if "?" in s)
        there: dict[str, str] = {}
        for part in parts:
            if part.condition in self._found:
                there[f"{part.kind}/{part.id}"] = f"{part.kind}/{self._found[part.condition]}"
        kept = [p for p in parts if f"{p.kind}/{p.id}" not in there]
        self.done.again += len(parts) - len(kept)
        for part in kept:
            meant = part.about.get("references", {}) if there or part.searches else {}
            for search in part.searches:
                if search in self._found:
                    meant[search] = f"{search.partition('?')[0]}/{self._found[search]}"
                else:
                    self._open[search] += 1
            if meant:
                part.about["references"] = {text: there.get(name, name) for text, name in meant.items()}
            part.person = there.get(part.person, meant.get(part.person, part.person))
            if part.person in self._found:  # a search by the patient's identifier
                part.person = f"Patient/{self._found[part.person]}"
            elif part.kind == "Bundle" and "?" in part.person:
                part.person = ""
        return kept

    def _look(self, words: Iterable[str]) -> None:
        """Looks for what searches mean, those not known yet, all at once."""
        fresh = sorted({w for w in words if w not in self._found and w not in self._absent})
        if not fresh:
            return
        if len(self._found) + len(self._absent) > MOST_KNOWN:
            self._found.clear()
            self._absent.clear()
        names = store.documents_by_identifier(self.installation.db, self.handle, self.known, fresh)
        for word in fresh:
            meant = set(names.get(word, ()))
            if len(meant) == 1:
                self._found[word] = meant.pop().partition("/")[2]
            else:
                self._absent.add(word)

    def _keep(self, parts: list["PreparedResource"], *, last: bool = False) -> None:
        self._through(parts)
        waits = [] if last else [p for p in parts if not p.person and not p.patients and p.through and p.kind in LATE]
        late = {id(p) for p in waits}
        self._late += waits
        if len(self._late) > MOST_WAITING:
            self.settle()
        now = [p for p in parts if id(p) not in late]
        lost = [p for p in now if "?" in p.person]
        for part in lost:
            self._refuse(
                "error",
                "patient-unknown",
                "",
                part.kind,
                "names a patient by a search that means nobody here. Import them first.",
            )
        now = [p for p in now if "?" not in p.person]
        if not now:
            return
        called = {r: self._identifier(r) for p in now for r in (p.person, *p.patients) if r and r[0] != "#"}
        subjects, gone = store.admit(self.installation.db, self.handle, self.known, list(called.values()))
        incoming = [self._incoming(p, called, subjects) for p in now if called.get(p.person) not in gone]
        self.done.erased += len(now) - len(incoming)
        self._people |= {i.subject for i in incoming if i.subject != store.NO_SUBJECT}
        self._absent.difference_update(w for i in incoming for w in i.words)
        new = store.write_documents(self.installation.db, self.handle, self.known, incoming)
        heads = sum(p.kind == "Bundle" for p in now)
        self.done.nobodys += sum(i.subject == store.NO_SUBJECT and i.type != "Bundle" for i in incoming)
        self.done.new += new - heads
        self.done.again += len(incoming) - new

    def _through(self, parts: list["PreparedResource"]) -> None:
        """Gives to whose they are what says so only by what it refers to, in this unit or here already."""
        open_ones = [p for p in parts if not p.person and p.through]
        if not open_ones:
            return
        mine = {f"{p.kind}/{p.id}": p.person for p in parts if p.person}
        elsewhere = {t for p in open_ones for t in p.through if t not in mine and "?" not in t}
        here = store.document_subjects(self.installation.db, self.handle, self.known, sorted(elsewhere)) if elsewhere else {}
        for part in open_ones:
            owners = [mine[t] for t in part.through if t in mine]
            owners += [f"#{here[t]}" for t in part.through if here.get(t, store.NO_SUBJECT) != store.NO_SUBJECT]
            if owners:
                part.person = mine[f"{part.kind}/{part.id}"] = owners[0]

    def _refuse(self, level: str, rule: str, place: str, expression: str, text: str) -> None:
        self.done.refused += 1
        self._note(level, rule, place, expression, text)

    def _note(self, level: str, rule: str, place: str, expression: str, text: str) -> None:
        self.done.issues[level, rule] += 1
        if self.done.issues[level, rule] <= SHOWN:
            self.done.shown.append({"level": level, "rule": rule, "where": place, "expression": expression, "text": text})

    def _identifier(self, reference: str) -> str:
        own = reference.removeprefix("Patient/")
        return f"{self.ids}|{own}" if self.ids else own

    def _incoming(self, part: "PreparedResource", called: dict[str, str], subjects: dict[str, int]) -> store.IncomingDocument:
        subject = subjects[called[part.person]] if part.person in called else store.NO_SUBJECT
        if part.person.startswith("#"):  # by what it refers to: the subject is known by number
            subject = int(part.person[1:])
        mentions = tuple(subjects[called[r]] for r in part.patients if called[r] in subjects)
        return store.IncomingDocument(
            subject, part.kind, part.id, part.digest, part.about, part.raw.decode(), part.words, mentions
        )
