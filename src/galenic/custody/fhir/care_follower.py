"""Care relations follow the resources of a repository: each new version that is indexed, and all of them at a scan."""

from collections.abc import Iterable
from typing import Any, Protocol

from galenic import store
from galenic.custody.fhir.care_teams import CARE_TYPES, FAILURES, StaffDirectory, relations_of, report_failure, write_relations
from galenic.custody.fhir.messages import last_updated
from galenic.installation import Installation
from galenic.schema import SearchHit, SearchRequest
from galenic.security import Fact

MOST_RESOURCES = 200_000  # of one type at a scan
CHUNK, NAMES_AT_ONCE = 500, 100
REFERENCES = {"CareTeam": "participant", "Encounter": "participant", "EpisodeOfCare": "care-manager"}  # search parameters
STAFF_TYPES = frozenset({"Practitioner", "PractitionerRole"})


class IndexedResources(Protocol):
    """Resources of one data set and their index: the part of the FHIR repository that care relations are read from."""

    installation: Installation

    @property
    def imported_at(self) -> str:
        """Time at which the data set was created."""

    def versions_at(self, rows: list[int]) -> list[tuple[store.StoredDocument, bool]]:
        """Versions by row, each with whether it is current."""

    def locate(self, name: str) -> store.ResourceLocation | None:
        """Location of the newest version of a resource; None if there is none."""

    def refresh(self) -> None:
        """Updates the index."""

    def first_matches(self, request: SearchRequest, limit: int) -> list[SearchHit]:
        """First matches of a search."""


class CareFollower:
    """Brings care relations up to date with the resources of one repository."""

    def __init__(self, repository: IndexedResources) -> None:
        self.repository = repository
        self._changed = 0  # relations that were added or ended
        self.failed = 0  # failures since the start: of a resource, or of a whole chunk

    def follow(self, versions: Iterable[tuple[store.StoredDocument, bool]]) -> int:
        """Updates the relations of new versions; returns how many changed. A failure is logged and fails no write."""
        found = [(s, current) for s, current in versions if s.type in CARE_TYPES | STAFF_TYPES]
        if not found:
            return 0
        try:
            return self._follow(found)
        except FAILURES as error:
            self._fail(error)
            return 0

    def _fail(self, error: Exception) -> None:
        self.failed += 1
        report_failure(error)

    def _follow(self, found: list[tuple[store.StoredDocument, bool]]) -> int:
        installation = self.repository.installation
        staff = StaffDirectory(installation, self._practitioner, self._count)
        if not staff.systems and not installation.facts.of("staff-system"):
            return 0
        facts = []
        found = [*found, *self._concerned(staff, found)]
        for stored, current in found:
            if stored.type in CARE_TYPES and (current or stored.about.get("deleted")):
                try:
                    facts += self._relations(staff, stored, current)
                except FAILURES as error:
                    self._fail(error)
        count = write_relations(installation, facts)
        self._changed += count
        return count

    def _concerned(
        self, staff: StaffDirectory, found: list[tuple[store.StoredDocument, bool]]
    ) -> list[tuple[store.StoredDocument, bool]]:
        """Current resources that changed staff concern: those that refer to them, and those that gave relations to an account that
        their identifiers name (it may be ambiguous now)."""
        changed = [(s, current) for s, current in found if s.type in STAFF_TYPES]
        if not changed:
            return []
        names = {f"{s.type}/{s.id}" for s, _ in changed}
        names |= {h.name for h in self._referring("PractitionerRole", "practitioner", names)}
        rows = {h.row for kind, parameter in REFERENCES.items() for h in self._referring(kind, parameter, names)}
        rows |= self._rows_by_account(staff, changed)
        wanted = sorted(rows - {s.row for s, _ in found})
        parts = [self.repository.versions_at(wanted[i : i + CHUNK]) for i in range(0, len(wanted), CHUNK)]
        return [version for part in parts for version in part if version[1]]

    def _rows_by_account(self, staff: StaffDirectory, changed: list[tuple[store.StoredDocument, bool]]) -> set[int]:
        accounts: set[str] = set()
        for stored, current in changed:
            if current and stored.type == "Practitioner":
                try:
                    accounts |= staff.accounts_named_by(self._resource(stored))
                except FAILURES as error:
                    self._fail(error)
        facts = self.repository.installation.facts
        labels = {f.label for a in accounts for f in facts.of("care", who=a) if f.state == "given" and f.label}
        found = [self.repository.locate(name) for name in sorted(labels)]
        return {place.row for place in found if place is not None and place.is_live}

    def _referring(self, kind: str, parameter: str, names: set[str]) -> list[SearchHit]:
        """Resources of a type that refer to one of the names."""
        from galenic.records.fhir import parse_search  # noqa: PLC0415

        listed, hits = sorted(names), []
        for start in range(0, len(listed), NAMES_AT_ONCE):
            request = parse_search(kind, [(parameter, ",".join(listed[start : start + NAMES_AT_ONCE]))])
            hits += self.repository.first_matches(request, MOST_RESOURCES)
        return hits

    def _relations(self, staff: StaffDirectory, stored: store.StoredDocument, current: bool) -> list[Fact]:
        updated = last_updated(stored, self.repository.imported_at)
        resource = self._resource(stored) if current else None
        return relations_of(self.repository.installation, staff, stored, resource, updated)

    def scan(self) -> int:
        """Updates the relations of all current resources; returns how many changed."""
        before = self._changed
        self.repository.refresh()  # follows what was imported meanwhile
        for kind in sorted(CARE_TYPES):
            rows = [h.row for h in self.repository.first_matches(SearchRequest(kind), MOST_RESOURCES)]
            for start in range(0, len(rows), CHUNK):
                self.follow(self.repository.versions_at(rows[start : start + CHUNK]))
        return self._changed - before

    @staticmethod
    def _resource(stored: store.StoredDocument) -> dict[str, Any]:
        from galenic.records.fhir import restore_resource  # noqa: PLC0415

        return {**restore_resource(stored.document, stored.about), "id": stored.id}

    def _practitioner(self, name: str) -> dict[str, Any] | None:
        """The Practitioner that a reference names, through a PractitionerRole where it names one."""
        for _ in range(2):
            kind, _, resource_id = name.partition("/")
            location = self.repository.locate(name) if kind in STAFF_TYPES and resource_id else None
            if location is None or not location.is_live:
                return None
            stored = next((s for s, current in self.repository.versions_at([location.row]) if current), None)
            resource = self._resource(stored) if stored is not None else {}
            if kind == "Practitioner":
                return resource
            name = str(resource.get("practitioner", {}).get("reference", ""))
        return None

    def _count(self, system: str, value: str) -> int:
        from galenic.records.fhir import parse_search  # noqa: PLC0415

        request = parse_search("Practitioner", [("identifier", f"{system}|{value}")])
        return len(self.repository.first_matches(request, 2))
