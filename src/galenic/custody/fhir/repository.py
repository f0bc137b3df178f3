"""FHIR repository of one data set: location of its resources, their patient compartments, and the search index."""

import contextlib
import threading
from collections import OrderedDict
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from functools import cache
from typing import Any, TypeVar

from galenic import store
from galenic.custody.datasets import describe_dataset
from galenic.custody.fhir.care_follower import CareFollower
from galenic.custody.fhir.care_teams import CARE_TYPES
from galenic.custody.fhir.group_commit import GroupCommit, PendingWrite
from galenic.custody.fhir.index_files import open_index
from galenic.custody.fhir.index_update import IndexUpdate
from galenic.custody.fhir.messages import RequestContext, last_updated
from galenic.custody.fhir.server_grant import MOST_TRIES, ServerGrant
from galenic.errors import AccessDeniedError, ConflictError
from galenic.installation import Installation
from galenic.schema import Progress, SearchHit, SearchRequest, SearchScope, no_progress
from galenic.security import Grant, Session

GrantKey = int | str  # subject id, or the identifier of a new patient
Key = TypeVar("Key", bound=GrantKey)
T = TypeVar("T")
CONDITION_SECONDS = 2.0  # time limit of the search of a conditional interaction
CHUNK = 500  # versions that are indexed at once
FEW = 5_000  # versions that are indexed before the repository is open, not in the background
FOLLOWED = CARE_TYPES | {"Practitioner", "PractitionerRole"}  # types that care relations follow
MOST_PEOPLE = 100_000  # subject ids that are remembered


@dataclass(frozen=True, slots=True)
class ResourceOwner:
    """Subject of a resource. subject: None if the identifier is not known yet; is_patient: True if the resource is protected as
    a patient's, because it names a patient or may be about one."""

    subject: int | None
    identifier: str
    is_patient: bool
    mentions: tuple[int, ...] = ()


@dataclass
class FhirRepository:
    """One data set, opened in the server's own session. One per process."""

    installation: Installation
    name: str
    dataset: store.Dataset
    session: Session
    index: store.ResourceIndex
    write_lock: Any = field(default_factory=threading.RLock)
    group_commit: GroupCommit = field(init=False)
    index_update: IndexUpdate = field(init=False)
    server_grant: ServerGrant = field(init=False)
    care: CareFollower = field(init=False)
    _people: "OrderedDict[str, int]" = field(default_factory=OrderedDict)
    _erasures: int = -1
    _index_erasures: int = -1

    def __post_init__(self) -> None:
        self.group_commit = GroupCommit(self.write_lock, self._commit)
        self.care = CareFollower(self)
        self.index_update = IndexUpdate(self.missing_versions, self._index_next)
        gate, own = self.installation.gate, store.resource(self.name)
        self.server_grant = ServerGrant(lambda: gate.open(self.session, "index", own, "operations"))
        self._index_erasures = self.installation.gate.versions.get()["erasures"]

    @property
    def imported_at(self) -> str:
        """Time at which the data set was created."""
        return str(self.dataset["imported_at"])

    # access decisions

    def decision_resource(self, subject: int | str, is_patient: bool) -> str:
        """The name of one subject's part of the data set in access decisions."""
        return store.record_resource(self.dataset, subject, patient=is_patient)

    def grants(self, context: RequestContext, action: str, subjects: Mapping[Key, bool]) -> dict[Key, Grant]:
        """Grant for each subject (True: a patient). Subjects to which access is denied are left out."""
        named = [(s if isinstance(s, int) else "new", is_patient) for s, is_patient in subjects.items()]
        resources = [self.decision_resource(s, is_patient) for s, is_patient in named]
        opened = self.installation.gate.open_many(context.session, action, resources, context.purpose)
        return {s: grant for s, grant in zip(subjects, opened, strict=True) if grant is not None}

    def may_search(self, context: RequestContext, subject: int, is_patient: bool) -> bool:
        """True if a search may find a subject's resources. Nothing is read, so no grant is opened and nothing is recorded."""
        self.index.require_time()
        resource = self.decision_resource(subject, is_patient)
        return self.installation.gate.decide(context.session, "search", resource, context.purpose).allowed

    def record_refusal(self, context: RequestContext, action: str) -> None:
        """Makes a decision about an unknown patient, so that a hidden and an absent resource take the same time."""
        try:
            with self.installation.gate.open(context.session, action, self.decision_resource("unknown", True), context.purpose):
                pass
        except AccessDeniedError:
            pass

    def search_scope(self, context: RequestContext) -> SearchScope | None:
        """Subjects whose resources a search may return; None for all."""
        gate, session, purpose = self.installation.gate, context.session, context.purpose
        subjects = gate.visible_subjects(session, self.name, purpose)
        if subjects is None:
            return None
        # the set itself, not the version of the facts: a relation that expires changes no version
        return SearchScope(subjects, f"{session.who}/{session.subject}/{purpose}/{len(subjects)}/{hash(subjects)}")

    # index

    def first_matches(self, request: SearchRequest, limit: int) -> list[SearchHit]:
        """First matches of a short search, for example of a condition. Other writers wait for it."""
        with self.index.limited(store.QueryLimit(CONDITION_SECONDS)):
            return self.index.search(request, limit=limit)

    def locate(self, name: str) -> store.ResourceLocation | None:
        """Location of the newest version of a resource (Type/id), also if another process wrote it; None if it was never
        written."""
        return self._with_index(lambda: self._locate(name))

    def _locate(self, name: str) -> store.ResourceLocation | None:
        found, through = self.index.locate(name)
        if through < store.next_row(self.installation.db, self.name, self.session.tenant):
            newer = self.server_grant.use(
                lambda grant: store.newer_version(self.installation.db, grant, self.dataset, name, through)
            )
            if newer is not None and (found is None or newer[0].row > found.row):
                entry = self.stored_entry(*newer)
                return store.ResourceLocation(entry.row, entry.subject, entry.is_patient, entry.live)
        return found

    def refresh(self) -> None:
        """Updates the index with changes of other processes, and opens the new index after an erasure. Raise IndexBehindError
        if the update takes longer than a search may wait."""
        self._with_index(self.index_update.require_current)

    def _with_index(self, work: Callable[[], T]) -> T:
        """Result of work with the index. It is repeated with the new copy if an erasure replaced the index before this thread
        opened it."""
        for _ in range(MOST_TRIES - 1):
            self._follow_erasures()
            try:
                return work()
            except store.IndexReplacedError:
                self.installation.gate.versions.refresh()
        self._follow_erasures()
        return work()

    def _follow_erasures(self) -> None:
        erasures = self.installation.gate.versions.get()["erasures"]
        if erasures != self._index_erasures or not self.index.path.exists():  # the erasure counts before it deletes the old one
            with self.write_lock:
                old = self.index
                self.index = self.server_grant.use(lambda grant: open_index(self.installation, grant, self.name))
                self._index_erasures = erasures
                if old.path == self.index.path:
                    self.index = old

    def missing_versions(self) -> int:
        """Number of stored versions that are not in the index yet."""
        return store.next_row(self.installation.db, self.name, self.session.tenant) - self.index.through()

    def catch_up(self, progress: Progress = no_progress) -> int:
        """Indexes every version that is not in the index yet. Returns their number."""
        missing = first = self.missing_versions()
        while missing > 0:
            self.index_update.step()
            missing = self.missing_versions()
            progress("indexing", max(first - missing, 0) / first)
        return first

    def _index_next(self) -> None:
        """Indexes the next versions that are not in the index yet."""
        index = self.index
        first = index.through()
        stop = min(first + CHUNK, store.next_row(self.installation.db, self.name, self.session.tenant))
        if first < stop:
            versions = self.server_grant.use(
                lambda grant: store.rows_between(self.installation.db, grant, self.dataset, first, stop)
            )
            entries = [self.stored_entry(s, current) for s, current in versions if not store.is_envelope(s)]
            index.put(entries, first=first, through=stop)
            self.care.follow(versions)

    def compare(self) -> store.IndexComparison:
        """Compares the index with the stored versions."""
        return self.server_grant.use(lambda grant: store.compare_index(self.installation.db, grant, self.dataset, self.index))

    def repair(self, found: store.IndexComparison) -> None:
        """Indexes versions that are missing or outdated in the index, and removes those that are not stored."""
        rows = [*found.missing, *found.outdated]
        for start in range(0, len(rows), CHUNK):
            part = rows[start : start + CHUNK]
            self.index.put([self.stored_entry(s, current) for s, current in self.versions_at(part)])
        store.drop_versions(self.index, found.extra)

    def versions_at(self, rows: list[int]) -> list[tuple[store.StoredDocument, bool]]:
        """Versions by row, each with whether it is current; for the server's own index and care relations."""
        return self.server_grant.use(lambda grant: store.versions_at(self.installation.db, grant, self.dataset, rows))

    def stored_entry(self, stored: store.StoredDocument, current: bool) -> store.IndexEntry:
        """Index entry of a stored version."""
        from galenic.records.fhir import restore_resource  # noqa: PLC0415

        updated = last_updated(stored, self.imported_at)
        if not current:
            is_patient = stored.type not in types_without_patient() or stored.subject != store.NO_SUBJECT
            return store.IndexEntry(stored.row, stored.type, stored.id, stored.subject, is_patient, updated, False)
        resource = {**restore_resource(stored.document, stored.about), "id": stored.id}
        return self.index_entry(resource, stored.subject, updated, row=stored.row)

    def index_entry(self, resource: dict[str, Any], subject: int, updated: int, *, row: int = -1) -> store.IndexEntry:
        """The index entry of a current resource with an id. row: -1 until the version is written."""
        from galenic.records.fhir import compartment_of, normalize_text, search_values_of  # noqa: PLC0415

        values = search_values_of(resource)
        person = compartment_of(resource).person or ""
        is_patient = belongs_to_patient(resource["resourceType"], person, subject)
        texts = [(name, normalize_text(text), text) for name, text in values.texts]
        return store.IndexEntry(
            row, resource["resourceType"], resource["id"], subject, is_patient, updated, True,
            values.tokens, texts, values.spans, values.amounts, values.links,
        )  # fmt: skip

    # compartments

    def owner_of(
        self, resource: dict[str, Any], people: dict[str, int | None], scope: SearchScope | None = None
    ) -> ResourceOwner:
        """Owner of a valid resource with an id. people: subject ids by identifier, filled on lookup. scope: subjects visible to
        the writer; other referenced resources count as missing."""
        from galenic.records.fhir import compartment_of  # noqa: PLC0415

        resource_type, compartment = resource["resourceType"], compartment_of(resource)
        if compartment.person:
            identifier = self.identifier_of(compartment.person)
            if identifier not in people:
                people[identifier] = self.subject_of(identifier)
            subject = people[identifier]
            return ResourceOwner(subject, identifier, belongs_to_patient(resource_type, compartment.person, subject or 0))
        for name in compartment.through:
            location = self.locate(name)
            if (
                location is not None
                and location.subject != store.NO_SUBJECT
                and is_in_scope(scope, location.subject, is_patient=location.is_patient)
            ):
                return ResourceOwner(location.subject, "", location.is_patient)
        mentions = [self.subject_of(self.identifier_of(p)) for p in compartment.patients]
        is_patient = belongs_to_patient(resource_type, "", store.NO_SUBJECT)
        return ResourceOwner(store.NO_SUBJECT, "", is_patient, tuple(m for m in mentions if m is not None))

    def identifier_of(self, reference: str) -> str:
        """Identifier in this installation of a person of the data set."""
        person = reference.removeprefix("Patient/")
        return f"{self.dataset['ids']}|{person}" if self.dataset["ids"] else person

    def subject_of(self, identifier: str) -> int | None:
        """The subject id of an identifier, or None."""
        erasures = self.installation.gate.versions.get()["erasures"]
        if erasures != self._erasures:
            self._people.clear()
            self._erasures = erasures
        subject = self._people.get(identifier)
        if subject is None:
            subject = self.server_grant.use(lambda grant: store.find_subject(self.installation.db, grant, identifier))
            if subject is not None:
                self._people[identifier] = subject
                if len(self._people) > MOST_PEOPLE:
                    self._people.popitem(last=False)
        return subject

    # writes

    def _commit(self, group: list[PendingWrite]) -> None:
        """Writes and indexes all changes. Raise ConflictError if the subject of a resource has changed since the access
        decision."""
        for one in group:
            written_for = {c.name: c.subject for c in one.changes}
            for name, subject in one.subjects.items():
                location = self.locate(name)
                if location is not None and location.subject not in (subject, written_for[name]):
                    raise ConflictError(f"{name} now belongs to another patient. Read it again, then repeat the change.")
        changes = [c for one in group for c in one.changes]
        written = self.server_grant.use(lambda grant: store.write_resources(self.installation.db, self.dataset, changes, grant))
        entries = [e for one in group for e in one.entries]
        for entry, version in zip(entries, written, strict=True):
            entry.row, entry.updated = version.row, version.updated
        with contextlib.suppress(store.IndexReplacedError):  # its copy takes the rows from the stored versions
            self.index.put(entries, first=written[0].row, through=written[-1].row + 1)
        rows = [v.row for c, v in zip(changes, written, strict=True) if c.type in FOLLOWED]
        if rows:
            self.care.follow(self.versions_at(rows))
        start = 0
        for one in group:
            one.written = written[start : start + len(one.changes)]
            one.is_done, start = True, start + len(one.changes)

    def close(self) -> None:
        """Closes the index."""
        self.index_update.close()
        self.index.close()


def is_in_scope(scope: SearchScope | None, subject: int, *, is_patient: bool) -> bool:
    """True if a subject's resources may be revealed."""
    return scope is None or not is_patient or subject in scope.subjects


def close_grants(grants: Iterable[Grant]) -> None:
    """Closes grants that were opened together."""
    for grant in grants:
        grant.__exit__(None, None, None)


def belongs_to_patient(resource_type: str, person: str, subject: int) -> bool:
    """True if a resource is protected as a patient's: all except staff, and types that cannot refer to a patient."""
    if person:
        return not person.startswith("Practitioner/")
    return subject != store.NO_SUBJECT or resource_type not in types_without_patient()


@cache
def types_without_patient() -> frozenset[str]:
    """Types without a reference that could name a patient."""
    from galenic.records.fhir import r4, search_parameters_of  # noqa: PLC0415

    def names_patients(resource_type: str) -> bool:
        references = [
            p for c, p in search_parameters_of(resource_type).items() if p.type == "reference" and not c.startswith("_")
        ]
        return any(not p.targets or "Patient" in p.targets for p in references)

    others = ("Patient", "Person", "Binary", "Basic", "Parameters")
    return frozenset(t for t in r4().resources if not names_patients(t) and t not in others)


def open_repository(
    installation: Installation, session: Session, name: str, progress: Progress = no_progress, *, ids: str = ""
) -> FhirRepository:
    """Repository of a data set, created if it does not exist. Its index is updated (in the background if it lacks many
    versions), or rebuilt if it cannot be read."""
    if not any(d["name"] == name for d in store.list_datasets(installation.db, session.tenant)):
        with installation.gate.open(session, "import", store.resource(name), "records") as grant:
            row: dict[str, object] = {"name": name, "region": "", "label": "clinical", "patient": "", "kind": "fhir"}
            describe_dataset(installation, grant, {**row, "ids": ids or name}, store.SCHEMA)
    repository = repository_as_it_is(installation, session, name, intact=True)
    index = repository.index
    if not store.is_checked(index):  # made by an earlier version, which could miss versions of another process
        repository.repair(repository.compare())
        store.mark_checked(index)
    if repository.missing_versions() > FEW:
        repository.index_update.start()
    else:
        repository.catch_up(progress)
    return repository


def repository_as_it_is(installation: Installation, session: Session, name: str, *, intact: bool = False) -> FhirRepository:
    """Repository of a data set, with its index unchanged. intact: an index with a damaged file is rebuilt."""
    dataset = store.dataset(installation.db, name, session.tenant)
    with installation.gate.open(session, "index", store.resource(name), "operations") as grant:
        index = open_index(installation, grant, name, intact=intact)
    return FhirRepository(installation, name, dataset, session, index)
