"""FHIR R4 goes into custody: checked, each resource's bytes kept under the key of whose it is, each Bundle whole or not at all."""

import json
import re
import uuid
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from hashlib import sha256
from pathlib import Path
from typing import Any

from galenic import store
from galenic.errors import RecordError
from galenic.flows.check import lines_of
from galenic.flows.custody import describe_dataset
from galenic.flows.house import House, Progress, quiet
from galenic.security import Pass, Session

LINES, BYTES = 500, 4 * 2**20  # NDJSON lines that become durable together: so many, or so many bytes
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
SEARCH = re.compile(rb'"reference"\s*:\s*("[A-Z][A-Za-z]+\?(?:[^"\\\\]|\\\\.)*")')
IDS = uuid.UUID("2c1f4d0e-8a7b-5d6c-9e3f-0a1b2c3d4e5f")  # name space of ids for resources that came without


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


@dataclass(slots=True)
class Part:
    """One resource on its way in. person: reference to whose it is, "" for nobody's."""

    kind: str
    id: str
    raw: bytes
    about: dict[str, Any]
    resource: dict[str, Any]
    person: str = ""
    patients: tuple[str, ...] = ()
    through: tuple[str, ...] = ()


def import_fhir(
    house: House,
    session: Session,
    places: list[Path],
    name: str,
    *,
    ids: str | None = None,
    label: str = "clinical",
    region: str = "",
    progress: Progress = quiet,
) -> Received:
    """Brings files of FHIR R4 (resource, Bundle, NDJSON; plain or gzip) into custody. What is here already, byte for byte, is
    passed over, so an import that was cut short is simply run again.

    ids: whose ids the resources have (default: the data set's name). Patient/1 of another server is somebody else.
    """
    whose_ids = name if ids is None else ids
    sizes = {p: max(p.stat().st_size, 1) if p.exists() else 1 for p in places}
    with house.gate.open(session, "import", store.resource(name), "records") as handle:
        row: dict[str, object] = {
            "name": name,
            "region": region,
            "label": label,
            "patient": "",
            "kind": "fhir",
            "ids": whose_ids,
        }
        known = describe_dataset(house, handle, row, store.SCHEMA)
        door = Door(house, handle, known, whose_ids)
        done = 0
        for place in _in_order(places):
            for unit in _units(place):
                door.take(unit, place.name)
                done += sum(len(line.raw) for line in unit)
                progress("importing", min(done / sum(sizes.values()), 1.0))
        door.close()
    house.gate.versions.look_again()
    return door.done


def _in_order(places: list[Path]) -> list[Path]:
    """People first, what is somebody's only by what it refers to last; otherwise as given."""
    late = ("provenance", "auditevent", "group", "list", "media", "binary")

    def rank(place: Path) -> int:
        name = place.name.lower()
        return 0 if name.startswith(("patient", "practitioner")) else 2 if name.startswith(late) else 1

    return sorted(places, key=rank)


def _units(place: Path) -> Iterator[list[Any]]:
    """Lines that become durable together: each Bundle alone, other lines by the hundred."""
    waiting: list[Any] = []
    size = 0
    for line in lines_of(place):
        bundle = line.document is not None and line.document.resource.get("resourceType") == "Bundle"
        if waiting and (bundle or len(waiting) >= LINES or size > BYTES):
            yield waiting
            waiting, size = [], 0
        waiting.append(line)
        size += len(line.raw)
        if bundle:
            yield waiting
            waiting, size = [], 0
    if waiting:
        yield waiting


class Door:
    """One import under way: what is asked of each document before it is kept."""

    def __init__(self, house: House, handle: Pass, known: store.Dataset, ids: str) -> None:
        from galenic.records import fhir  # noqa: PLC0415  # its definitions load when they are needed

        self.fhir, self.house, self.handle, self.known, self.ids = fhir, house, handle, known, ids
        self.done = Received(str(known["name"]))
        self._found: dict[str, str] = {}
        self._absent: set[str] = set()
        self._open: Counter[str] = Counter()
        self._people: set[int] = set()
        self._late: list[Part] = []

    def take(self, unit: list[Any], where: str) -> None:
        """Checks and keeps the documents of one unit, durably, before the next is looked at."""
        digests = {line.number: sha256(line.raw).hexdigest() for line in unit}
        here = store.known_digests(self.house.db, self.handle, self.known, list(digests.values()))
        parts: list[Part] = []
        for line in unit:
            if digests[line.number] in here and line.document is not None:
                count = _types(line.document.resource)
                self.done.seen += count
                self.done.again += count.total()
                continue
            place = f"{where}, line {line.number}" if line.number else where
            parts += self._parts(line, digests[line.number], place)
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

    def _parts(self, line: Any, digest: str, place: str) -> list[Part]:
        if line.document is None:
            self._refuse("error", "json", place, "", line.fault)
            return []
        resource = line.document.resource
        self.done.seen += _types(resource)
        wrong = False
        for issue in self.fhir.check(resource):
            wrong |= issue.level == "error"
            self._note(issue.level, issue.rule, place, issue.expression, issue.text)
        if wrong:
            self.done.refused += 1
            return []
        if resource["resourceType"] == "Bundle":
            try:
                return self._bundle(line, digest, place)
            except RecordError as error:
                self._refuse("error", "bundle-type", place, "Bundle", str(error))
                return []
        about = {} if "id" in resource else {"id": str(uuid.uuid5(IDS, digest))}
        whole = {**resource, **about}
        return [self._owned(Part(whole["resourceType"], whole["id"], line.document.raw, about, whole))]

    def _bundle(self, line: Any, digest: str, place: str) -> list[Part]:
        raw, bundle = line.document.raw, line.document.resource
        bytes_of = self.fhir.slices(raw, bundle)
        had_id = ["id" in e.get("resource", ()) for e in bundle.get("entry", ())]
        head = {k: v for k, v in bundle.items() if k != "entry"}
        around = [{k: v for k, v in e.items() if k != "resource"} for e in bundle.get("entry", ())]
        self._look(_searches(raw, bundle))
        opened = self.fhir.open_bundle(bundle, raw, self._find)
        for issue in opened.issues:
            self._note(issue.level, issue.rule, place, issue.expression, issue.text)
        parts = []
        for entry in opened.entries:
            number = int(entry.place.rpartition("[")[2][:-1])
            about: dict[str, Any] = {"bundle": digest, "entry": around[number]}
            if not entry.made:
                self.done.again += 1
                continue
            if entry.renamed:
                about["references"] = entry.renamed
            if not had_id[number]:
                about["id"] = entry.id
            parts.append(self._owned(Part(entry.kind, entry.id, bytes_of[number] or b"", about, entry.resource)))
        people = tuple(dict.fromkeys(p.person for p in parts if p.person.startswith("Patient")))
        person = people[0] if len(people) == 1 else ""
        top = Part("Bundle", digest, self.fhir.write(head), {"sha256": digest}, head, person, () if person else people)
        return [*parts, top]

    def _owned(self, part: Part) -> Part:
        found = self.fhir.whose(part.resource)
        part.person, part.patients, part.through = found.person or "", found.patients, found.through
        return part

    def _find(self, kind: str, search: str) -> str | None:
        """The one resource here that a conditional reference means."""
        word = f"{kind}?{search}"
        if word not in self._found:
            self._open[word] += 1
            return None
        return self._found[word]

    def _look(self, words: Iterable[str]) -> None:
        """Looks for what searches mean, those not known yet, all at once."""
        fresh = sorted({w for w in words if w not in self._found and w not in self._absent})
        if not fresh:
            return
        if len(self._found) + len(self._absent) > MOST_KNOWN:
            self._found.clear()
            self._absent.clear()
        names = store.spoken_of(self.house.db, self.handle, self.known, fresh)
        for word in fresh:
            meant = set(names.get(word, ()))
            if len(meant) == 1:
                self._found[word] = meant.pop().partition("/")[2]
            else:
                self._absent.add(word)

    def _keep(self, parts: list[Part], *, last: bool = False) -> None:
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
        subjects, gone = store.admit(self.house.db, self.handle, self.known, list(called.values()))
        incoming = [self._incoming(p, called, subjects) for p in now if called.get(p.person) not in gone]
        self.done.erased += len(now) - len(incoming)
        self._people |= {i.subject for i in incoming if i.subject != store.NOBODY}
        self._absent.difference_update(w for i in incoming for w in i.words)
        new = store.write_documents(self.house.db, self.handle, self.known, incoming)
        heads = sum(p.kind == "Bundle" for p in now)
        self.done.nobodys += sum(i.subject == store.NOBODY and i.type != "Bundle" for i in incoming)
        self.done.new += new - heads
        self.done.again += len(incoming) - new

    def _through(self, parts: list[Part]) -> None:
        """Gives to whose they are what says so only by what it refers to, in this unit or here already."""
        open_ones = [p for p in parts if not p.person and p.through]
        if not open_ones:
            return
        mine = {f"{p.kind}/{p.id}": p.person for p in parts if p.person}
        elsewhere = {t for p in open_ones for t in p.through if t not in mine and "?" not in t}
        here = store.named(self.house.db, self.handle, self.known, sorted(elsewhere)) if elsewhere else {}
        for part in open_ones:
            owners = [mine[t] for t in part.through if t in mine]
            owners += [f"#{here[t]}" for t in part.through if here.get(t, store.NOBODY) != store.NOBODY]
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

    def _incoming(self, part: Part, called: dict[str, str], subjects: dict[str, int]) -> store.Incoming:
        subject = subjects[called[part.person]] if part.person in called else store.NOBODY
        if part.person.startswith("#"):  # by what it refers to: the subject is known by number
            subject = int(part.person[1:])
        mentions = tuple(subjects[called[r]] for r in part.patients if called[r] in subjects)
        digest = str(part.about.pop("sha256", "")) or sha256(part.raw).hexdigest()
        about = json.dumps(part.about) if part.about else ""
        words = () if part.kind == "Bundle" else tuple(self.fhir.identifiers(part.resource))
        return store.Incoming(subject, part.kind, part.id, digest, about, part.raw.decode(), words, mentions)


def _types(resource: dict[str, Any]) -> Counter[str]:
    """Types of the resources in a document, a Bundle's own not counted."""
    if resource.get("resourceType") != "Bundle":
        return Counter([str(resource.get("resourceType"))])
    held = (e.get("resource") for e in resource.get("entry", ()) if isinstance(e, dict))
    return Counter(str(r.get("resourceType")) for r in held if isinstance(r, dict))


def _searches(raw: bytes, bundle: dict[str, Any]) -> list[str]:
    """Every search by which a Bundle refers, or asks whether to create."""
    found = [str(json.loads(t)) for t in set(SEARCH.findall(raw))]
    for entry in bundle.get("entry", ()):
        condition = entry.get("request", {}).get("ifNoneExist")
        if condition:
            found.append(f"{entry['resource']['resourceType']}?{condition.partition('?')[2] or condition}")
    return found
