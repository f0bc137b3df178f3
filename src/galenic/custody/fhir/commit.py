"""Commit of staged changes as durable versions, under grants for all patients concerned: all of them or none."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

from galenic import store
from galenic.custody.fhir.care_teams import CARE_TYPES
from galenic.custody.fhir.group_commit import PendingWrite
from galenic.custody.fhir.messages import RequestContext, Resource, with_server_meta
from galenic.custody.fhir.reading import NOT_FOUND
from galenic.custody.fhir.repository import FhirRepository, GrantKey, ResourceOwner, close_grants, is_in_scope
from galenic.errors import AccessDeniedError, NotFoundError
from galenic.schema import SearchScope
from galenic.security import Grant

Locations = dict[str, store.ResourceLocation | None]


@dataclass(slots=True)
class StagedChange:
    """Planned change. exact: the resource, None to delete it; expected: as in store.ResourceChange; is_new: True if its id is
    new."""

    resource_type: str
    id: str
    exact: Resource | None
    expected: int | None = None
    is_new: bool = False

    @property
    def name(self) -> str:
        """Type/id."""
        return f"{self.resource_type}/{self.id}"

    @property
    def resource(self) -> Resource:
        """The resource with its id."""
        assert self.exact is not None
        return {**self.exact, "id": self.id}


@dataclass(frozen=True, slots=True)
class Committed:
    """Result of a commit, in the order of the changes: versions and the numbers of their decisions. updated: µs since 1970."""

    versions: tuple[store.WrittenVersion, ...] = ()
    decisions: tuple[int, ...] = ()
    updated: int = 0


def commit(
    repository: FhirRepository, context: RequestContext, staged: list[StagedChange], places: Sequence[str] = ()
) -> Committed:
    """Writes all changes durably, or none. Raise AccessDeniedError if access to one of the patients is denied. places:
    positions of the changes in a Bundle, for errors."""
    if any(s.resource_type == "AuditEvent" for s in staged):
        raise AccessDeniedError("AuditEvents are written only by the audit log. Read or search them instead.")
    locations: Locations = {s.name: repository.locate(s.name) for s in staged if not s.is_new}
    _require_visible(repository, context, staged, locations, places)
    owners = _owners(repository, staged, locations, repository.search_scope(context))
    subjects = _subjects(staged, owners, locations)
    grants = _open_grants(repository, context, subjects, places)
    try:
        _admit_new(repository, owners, grants)
        of_each = [grants[_key(o)] for o in owners]
        changes = [_change(s, o, g) for s, o, g in zip(staged, owners, of_each, strict=True)]
        entries = _index_entries(repository, staged, changes)
        before = {name: location.subject if location else None for name, location in locations.items()}
        versions = repository.group_commit.write(PendingWrite(changes, entries, before))
    finally:
        close_grants(grants.values())
    return Committed(tuple(versions), tuple(g.decision for g in of_each), max((v.updated for v in versions), default=0))


def _require_visible(
    repository: FhirRepository,
    context: RequestContext,
    staged: list[StagedChange],
    locations: Locations,
    places: Sequence[str],
) -> None:
    """Raise NotFoundError if a change names a resource that the caller cannot see. A client-assigned id would reveal that
    another patient's resource has it, so only callers who can see all resources may assign ids."""
    scope = repository.search_scope(context)
    if scope is None:
        return
    for i, one in enumerate(staged):
        found = locations.get(one.name)
        if not one.is_new and (found is None or not is_in_scope(scope, found.subject, is_patient=found.is_patient)):
            repository.record_refusal(context, "write")
            raise NotFoundError(_at(places, i) + NOT_FOUND)


def _at(places: Sequence[str], number: int) -> str:
    return f"{places[number]}: " if places else ""


def _change(staged: StagedChange, owner: ResourceOwner, grant: Grant) -> store.ResourceChange:
    from galenic.records.fhir import identifier_searches  # noqa: PLC0415

    words = tuple(identifier_searches(staged.resource)) if staged.exact else ()
    return store.ResourceChange(
        grant, int(grant.resource.rpartition("/")[2]), staged.resource_type, staged.id, _render(staged),
        staged.exact is None, staged.expected, words, owner.mentions, staged.is_new,
        writer=grant.who if staged.resource_type in CARE_TYPES else "",
    )  # fmt: skip


def _render(staged: StagedChange) -> Callable[[int, int], bytes]:
    from galenic.records.fhir import write_json  # noqa: PLC0415

    exact = staged.exact or {"resourceType": staged.resource_type}
    return lambda version, updated: write_json(with_server_meta(exact, staged.id, version, updated))


def _owners(
    repository: FhirRepository, staged: list[StagedChange], locations: Locations, scope: SearchScope | None
) -> list[ResourceOwner]:
    owners: dict[str, ResourceOwner] = {}
    open_cases: list[StagedChange] = []
    people: dict[str, int | None] = {}
    for one in staged:
        if one.exact is None:
            location = locations.get(one.name)
            assert location is not None
            owners[one.name] = ResourceOwner(location.subject, "", location.is_patient)
            continue
        owner = owners[one.name] = repository.owner_of(one.resource, people, scope)
        if owner.subject == store.NO_SUBJECT and owner.is_patient:
            open_cases.append(one)
    for one in open_cases:  # in a patient's compartment by a reference to another resource of the same Bundle
        from galenic.records.fhir import compartment_of  # noqa: PLC0415

        through = [owners[n] for n in compartment_of(one.resource).through if n in owners and n != one.name]
        owned = [o for o in through if o.subject != store.NO_SUBJECT]
        if owned:
            owners[one.name] = owned[0]
    return [owners[s.name] for s in staged]


def _key(owner: ResourceOwner) -> GrantKey:
    return owner.identifier if owner.subject is None else owner.subject


def _subjects(
    staged: list[StagedChange], owners: list[ResourceOwner], locations: Locations
) -> dict[GrantKey, tuple[bool, int]]:
    """(True if it is a patient, number of the first change that concerns it) for every subject that owns or owned a changed
    resource."""
    subjects: dict[GrantKey, tuple[bool, int]] = {}
    for i, (one, owner) in enumerate(zip(staged, owners, strict=True)):
        subjects.setdefault(_key(owner), (owner.is_patient, i))
        location = locations.get(one.name)
        if location is not None and location.subject != owner.subject:
            subjects.setdefault(location.subject, (location.is_patient, i))
    return subjects


def _open_grants(
    repository: FhirRepository, context: RequestContext, subjects: dict[GrantKey, tuple[bool, int]], places: Sequence[str]
) -> dict[GrantKey, Grant]:
    """Grant to write for every subject. Raise AccessDeniedError if one is denied, with the same message and work for a hidden
    and an unknown patient."""
    grants = repository.grants(context, "write", {key: is_patient for key, (is_patient, _number) in subjects.items()})
    denied = [number for key, (_is_patient, number) in subjects.items() if key not in grants]
    if denied:
        close_grants(grants.values())
        raise AccessDeniedError(
            f"{_at(places, min(denied))}{context.session.who} may not write this for {context.purpose}: no rule allows it for every "
            "patient concerned."
        )
    return grants


def _admit_new(repository: FhirRepository, owners: Iterable[ResourceOwner], grants: dict[GrantKey, Grant]) -> None:
    """Gives each new patient a subject id."""
    new = {o.identifier: o.is_patient for o in owners if o.subject is None}
    for identifier, is_patient in new.items():
        subject = store.admit_subject(
            repository.installation.db, grants[identifier], repository.dataset, identifier, patient=is_patient
        )
        grants[identifier].settle(subject)


def _index_entries(
    repository: FhirRepository, staged: list[StagedChange], changes: list[store.ResourceChange]
) -> list[store.IndexEntry]:
    """Index entry of each change. Rows and times are assigned when they are written."""
    last: dict[str, int] = {c.name: i for i, c in enumerate(changes)}
    entries = []
    for i, (one, change) in enumerate(zip(staged, changes, strict=True)):
        if one.exact is None or last[change.name] != i:
            is_patient = change.grant.resource.startswith("record/")
            entries.append(store.IndexEntry(-1, one.resource_type, one.id, change.subject, is_patient, 0, False))
        else:
            entries.append(repository.index_entry(one.resource, change.subject, 0))
    return entries
