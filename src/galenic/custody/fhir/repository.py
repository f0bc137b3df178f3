"""One data set served as FHIR: where its resources are, whose they are, and the index that searches go by."""

import threading
import time
from collections import OrderedDict
from dataclasses import dataclass, field
from functools import cache
from typing import TYPE_CHECKING, Any

from galenic import store
from galenic.custody.datasets import describe_dataset
from galenic.custody.fhir.erasure import KIND, files_of
from galenic.custody.fhir.messages import last_updated
from galenic.errors import AccessDeniedError, KeyErasedError, StoreError
from galenic.installation import Installation
from galenic.schema import Progress, no_progress
from galenic.security import BUILDS, Grant, Session

if TYPE_CHECKING:
    from galenic.custody.fhir.group_commit import GroupCommit

LOOK_EVERY = 0.5  # s: what another process wrote is found within this time
CHUNK = 1_000
KNOWN_PEOPLE = 100_000


@dataclass(frozen=True, slots=True)
class ResourceOwner:
    """Whose a resource is. subject: None where nobody of that identifier is here yet; patient: whether it is to be kept as a
    patient's, which what names patients or may be about one is."""

    subject: int | None
    identifier: str
    patient: bool
    mentions: tuple[int, ...] = ()


@dataclass
class FhirRepository:
    """One data set, opened by the server's own session. One per process."""

    installation: Installation
    name: str
    known: store.Dataset
    session: Session
    index: store.ResourceIndex
    together: "GroupCommit"
    writing: Any = field(default_factory=threading.RLock)
    _own: Grant | None = None
    _looked: float = 0.0
    _people: "OrderedDict[str, int]" = field(default_factory=OrderedDict)
    _erasures: int = -1
    _indexed_at: int = -1

    def __post_init__(self) -> None:
        self._indexed_at = self.installation.gate.versions.get()["erasures"]

    @property
    def imported_at(self) -> str:
        """When the data set was made."""
        return str(self.known["imported_at"])

    def own(self) -> Grant:
        """The server's own decision: to keep the index."""
        if self._own is not None:
            try:
                self._own.beat()
            except AccessDeniedError:
                self._own = None
        if self._own is None:
            self._own = self.installation.gate.open(self.session, "index", store.resource(self.name), "operations")
        return self._own

    def locate(self, name: str) -> tuple[int, int, bool, bool] | None:
        """(row, subject, whether a patient's, whether it stands) of the newest version of a name (Type/id); None: never here."""
        self.look()
        return self.index.find(name)

    def place(self, subject: int | str, patient: bool) -> str:
        """What decisions call a part of the data set."""
        return store.record_resource(self.known, subject, patient=patient)

    def look(self) -> None:
        """Takes into the index what was written past it; opens another where a patient was erased."""
        erasures = self.installation.gate.versions.get()["erasures"]
        if erasures != self._indexed_at:
            with self.writing:
                old, self.index = self.index, _index(self.installation, self.own(), self.name)
                self._indexed_at, self._looked = erasures, 0.0
                if old.place == self.index.place:
                    self.index = old
        now = time.monotonic()
        if now - self._looked > LOOK_EVERY:
            self._looked = now
            self.catch_up()

    def catch_up(self, progress: Progress = no_progress) -> int:
        """Indexes every version that is not in the index yet; returns how many."""
        last = int(str(store.dataset(self.installation.db, self.name, self.session.tenant)["next_row"]))
        at = first = self.index.through()
        while at < last:
            with self.writing:
                stop = min(at + CHUNK, last)
                rows = store.rows_between(self.installation.db, self.own(), self.known, at, stop)
                self.index.put([self.indexed(kept, current) for kept, current in rows if kept.type != "Bundle"], through=stop)
            at = stop
            progress("indexing", (at - first) / max(last - first, 1))
        return last - first

    def indexed(self, kept: store.StoredDocument, current: bool) -> store.IndexEntry:
        """A version as the index takes it."""
        from galenic.records.fhir import restore_resource  # noqa: PLC0415

        updated = last_updated(kept, self.imported_at)
        if not current:
            patient = kept.type not in types_without_patient() or kept.subject != store.NO_SUBJECT
            return store.IndexEntry(kept.row, kept.type, kept.id, kept.subject, patient, updated, False)
        resource = restore_resource(kept.document, kept.about)
        return self.to_index(kept.row, resource, kept.id, kept.subject, updated)

    def to_index(self, row: int, resource: dict[str, Any], own: str, subject: int, updated: int) -> store.IndexEntry:
        """A resource that stands as the index takes it."""
        from galenic.records.fhir import compartment_of, normalize_text, search_values_of  # noqa: PLC0415

        found = search_values_of(resource)
        person = compartment_of({**resource, "id": own}).person or ""
        patient = belongs_to_patient(resource["resourceType"], person, subject)
        texts = [(name, normalize_text(text), text) for name, text in found.texts]
        return store.IndexEntry(
            row, resource["resourceType"], own, subject, patient, updated, True,
            found.tokens, texts, found.spans, found.amounts, found.links,
        )  # fmt: skip

    def owner(self, resource: dict[str, Any], people: dict[str, int | None]) -> ResourceOwner:
        """Whose a valid resource with an id is. people: who was looked for already."""
        from galenic.records.fhir import compartment_of  # noqa: PLC0415

        kind, found = resource["resourceType"], compartment_of(resource)
        if found.person:
            identifier = self.identifier(found.person)
            if identifier not in people:
                people[identifier] = self.subject_of(identifier)
            subject = people[identifier]
            return ResourceOwner(subject, identifier, belongs_to_patient(kind, found.person, subject or 0))
        for name in found.through:
            there = self.index.find(name)
            if there is not None and there[1] != store.NO_SUBJECT:
                return ResourceOwner(there[1], "", there[2])
        mentions = [self.subject_of(self.identifier(p)) for p in found.patients]
        return ResourceOwner(
            store.NO_SUBJECT, "", belongs_to_patient(kind, "", store.NO_SUBJECT), tuple(m for m in mentions if m is not None)
        )

    def identifier(self, reference: str) -> str:
        """How a person of the data set is known in the house."""
        own = reference.removeprefix("Patient/")
        return f"{self.known['ids']}|{own}" if self.known["ids"] else own

    def subject_of(self, identifier: str) -> int | None:
        """The subject id of somebody, or None."""
        erasures = self.installation.gate.versions.get()["erasures"]
        if erasures != self._erasures:
            self._people.clear()
            self._erasures = erasures
        found = self._people.get(identifier)
        if found is None:
            found = store.find_subject(self.installation.db, self.own(), identifier)
            if found is not None:
                self._people[identifier] = found
                if len(self._people) > KNOWN_PEOPLE:
                    self._people.popitem(last=False)
        return found

    def refused(self, session: Session, action: str, purpose: str) -> None:
        """What is asked where nothing is: a decision all the same, so that what is hidden and what is absent cost alike."""
        try:
            with self.installation.gate.open(session, action, self.place("unknown", True), purpose):
                pass
        except AccessDeniedError:
            pass

    def close(self) -> None:
        """Lets go of the index."""
        self.index.close()


def belongs_to_patient(kind: str, person: str, subject: int) -> bool:
    """Whether a resource is to be kept as a patient's: all but what no reference of its type can tie to one, and staff."""
    if person:
        return not person.startswith("Practitioner/")
    return subject != store.NO_SUBJECT or kind not in types_without_patient()


@cache
def types_without_patient() -> frozenset[str]:
    """Types of which no reference can name a patient."""
    from galenic.records.fhir import r4, search_parameters_of  # noqa: PLC0415

    def tied(kind: str) -> bool:
        found = [p for c, p in search_parameters_of(kind).items() if p.type == "reference" and not c.startswith("_")]
        return any(not p.targets or "Patient" in p.targets for p in found)

    return frozenset(
        k for k in r4().resources if not tied(k) and k not in ("Patient", "Person", "Binary", "Basic", "Parameters")
    )


def open_repository(
    installation: Installation, session: Session, name: str, progress: Progress = no_progress, *, ids: str = ""
) -> FhirRepository:
    """The facade of a data set, made where there is none; its index brought up to date, or made anew where it can not be read."""
    if not any(d["name"] == name for d in store.all_datasets(installation.db, session.tenant)):
        with installation.gate.open(session, "import", store.resource(name), "records") as handle:
            row: dict[str, object] = {"name": name, "region": "", "label": "clinical", "patient": "", "kind": "fhir"}
            describe_dataset(installation, handle, {**row, "ids": ids or name}, store.SCHEMA)
    from galenic.custody.fhir.group_commit import GroupCommit  # noqa: PLC0415  # which takes facades

    known = store.dataset(installation.db, name, session.tenant)
    with installation.gate.open(session, "index", store.resource(name), "operations") as handle:
        index = _index(installation, handle, name)
    repository = FhirRepository(installation, name, known, session, index, GroupCommit())
    repository.catch_up(progress)
    return repository


def _index(installation: Installation, handle: Grant, name: str) -> store.ResourceIndex:
    for build in reversed(store.all_builds(installation.db, name, KIND)):
        place = installation.shards / f"{build['id']}.db"
        if not build["detail"]:
            continue  # being made by another process
        if place.exists():
            try:
                return store.ResourceIndex(place, handle.build_key(str(build["id"])))
            except (StoreError, KeyErasedError):
                place.unlink(missing_ok=True)
        store.drop_build(installation.db, str(build["id"]), installation.shards)
        installation.tree.drop(BUILDS + int(str(build["id"]).rpartition("-")[2]))
    made, number = store.next_build(installation.db, KIND, name)
    installation.tree.add([BUILDS + number])
    store.finish_build(installation.db, made, {"files": files_of(made)})
    return store.ResourceIndex(installation.shards / f"{made}.db", handle.build_key(made))
