"""Import of FHIR R4: resources are validated and stored byte for byte, encrypted with the key of their patient."""

import os
from collections import Counter
from collections.abc import Iterable
from concurrent.futures import ProcessPoolExecutor
from contextlib import ExitStack
from functools import partial
from hashlib import sha256
from multiprocessing import get_context
from pathlib import Path
from typing import TYPE_CHECKING

from galenic import store
from galenic.custody.datasets import describe_dataset
from galenic.custody.fhir_units import Lines, Prepare, PreparedUnit, SplitUnit, in_import_order, prepared_documents
from galenic.custody.importer import ImportRequest, ImportResult
from galenic.installation import Installation
from galenic.records import freeze_gc, paused_gc
from galenic.schema import Progress, no_progress
from galenic.security import Grant, Session

if TYPE_CHECKING:
    from galenic.records.fhir import PreparedResource, SourceServer

PARALLEL_BYTES = 8 * 2**20  # bytes of input above which worker processes save more time than their start takes
EXAMPLES = 1_000  # issues of each level and rule that are kept; all are counted
EMPTY = "is empty, so it has no resource. Check that it was copied completely, or leave it out."
MAX_DEFERRED, MAX_SEARCHES = 10_000, 200_000  # number of resources, and of searches with known results
MAX_ABSOLUTE = 100_000  # resources of other servers that references name
# resource types that may belong to a patient only by a reference, so they may have to wait for the referenced resource
DEFERRED_TYPES = frozenset(
    (
        "AuditEvent",
        "Basic",
        "Binary",
        "Communication",
        "CommunicationRequest",
        "Composition",
        "DetectedIssue",
        "DocumentManifest",
        "Linkage",
        "List",
        "Media",
        "MessageHeader",
        "Provenance",
        "Task",
    )
)


@paused_gc()
def import_fhir(
    installation: Installation,
    session: Session,
    places: list[Path],
    request: ImportRequest,
    *,
    workers: int | None = None,
    progress: Progress = no_progress,
) -> ImportResult:
    """Imports FHIR R4 files (resource, Bundle, NDJSON; plain or gzip). A Bundle is stored completely or not at all.

    Documents that equal the current version byte for byte are skipped, so an interrupted import can be repeated. workers:
    processes that parse and validate beside this one (default: one per further core if the input is large).
    """
    from galenic.records.fhir import SourceServer, prepare_document  # noqa: PLC0415  # its definitions load when they are needed

    server = SourceServer(request.bases, request.hash_long_ids)
    prepare = partial(prepare_document, server=server)

    total = max(sum(p.stat().st_size for p in places if p.exists()), 1)
    if workers is None:
        workers = (os.cpu_count() or 1) - 1 if total >= PARALLEL_BYTES else 0
    name = request.dataset
    with installation.gate.open(session, "import", store.resource(name), "records") as grant, ExitStack() as stack:
        row: store.Row = {"name": name, "region": request.region, "label": request.label, "patient": ""}
        row |= {"kind": "fhir", "ids": request.namespace}
        running, size = FhirImport(installation, grant, _known(installation, grant, row), server, prepare), 0
        pool = stack.enter_context(ProcessPoolExecutor(workers, get_context("spawn"), freeze_gc)) if workers else None
        for unit in prepared_documents(in_import_order(places), running.split, prepare, pool, workers):
            running.add(unit)
            size += sum(d.size for d in unit.documents)
            progress("importing", min(size / total, 1.0))
        running.finish()
    installation.gate.versions.refresh()
    return running.result


def _known(installation: Installation, grant: Grant, row: store.Row) -> store.Dataset:
    """Data set to import into, or the planned one. It is created when a resource is stored. Raise StateError if it has another
    kind."""
    if any(d["name"] == row["name"] for d in store.list_datasets(installation.db, grant.tenant)):
        return describe_dataset(installation, grant, row, store.SCHEMA)
    return row


class FhirImport:
    """FHIR import in progress: assigns each resource to its patient and stores it. The first stored resource creates the data
    set."""

    def __init__(
        self, installation: Installation, grant: Grant, dataset: store.Dataset, server: "SourceServer", prepare: Prepare
    ) -> None:
        self.installation, self.grant, self.dataset, self.namespace = installation, grant, dataset, str(dataset["ids"])
        self._server, self._prepare, self._written = server, prepare, 0
        self._absolute: Counter[tuple[str, str]] = Counter()  # references to resources of other servers: base, Type/id
        self.result = ImportResult(str(dataset["name"]))
        self._matches: dict[str, str] = {}  # id of the resource that a search matches
        self._unmatched: set[str] = set()
        self._open: Counter[str] = Counter()  # searches without a match when they were read
        self._subjects: set[int] = set()
        self._deferred: list[PreparedResource] = []
        self._deferred_names: set[str] = set()
        self._left_out: dict[str, str] = {}  # erased patient of the latest version of a name, which was left out

    def split(self, unit: Lines) -> SplitUnit:
        """Separates the documents of a unit that equal the current version byte for byte."""
        digests = [sha256(raw).hexdigest() for _, raw in unit]
        names = store.current_digests(self.installation.db, self.grant, self.dataset, digests)
        fresh: Lines = []
        stored: Lines = []
        for line, digest in zip(unit, digests, strict=True):
            (stored if digest in names and not self._server.changes(line[1]) else fresh).append(line)
        return SplitUnit(fresh, stored, frozenset(t for found in names.values() for t in found), self._written)

    def add(self, unit: PreparedUnit) -> None:
        """Stores the valid documents of one unit durably."""
        documents = unit.documents
        if unit.is_empty:
            self._add_issue("warning", "file-empty", {"where": unit.where, "expression": "", "text": EMPTY})
        if unit.fault:
            self.result.refused += 1
            self._add_issue("error", "file-damaged", {"where": unit.where, "expression": "", "text": unit.fault})
        if unit.split.stored:
            if self._are_current(unit):
                self._pass_over(unit.split)
            else:
                documents = sorted([*documents, *self._prepare(unit.split.stored)], key=lambda d: d.number)
        parts: list[PreparedResource] = []
        for document in documents:
            place = f"{unit.where}, line {document.number}" if document.number else unit.where
            self.result.seen += document.seen
            self.result.refused += document.refused_resources
            for level, rule, expression, text in document.issues:
                self._add_issue(level, rule, {"where": place, "expression": expression, "text": text})
            parts += self._resolved(document.parts)
        self._store(parts)

    def _are_current(self, unit: PreparedUnit) -> bool:
        """True if the stored documents of a unit are still the current versions, and no other document of the unit has the same
        name: an earlier line could contain another version, which this one then follows."""
        from galenic.records.fhir import names_in_bundle  # noqa: PLC0415

        db, stored, names = self.installation.db, unit.split.stored, unit.split.names
        if self._written != unit.split.at:
            digests = [sha256(raw).hexdigest() for _, raw in stored]
            if len(store.current_digests(db, self.grant, self.dataset, digests)) < len(set(digests)):
                return False
        coming = [*(f"{p.kind}/{p.id}" for d in unit.documents for p in d.parts), *self._deferred_names]
        if not names.isdisjoint(store.name_tokens(self.grant, self.dataset, coming)):
            return False
        for _, raw in stored:
            inside = names_in_bundle(raw)
            if inside:
                rows = store.newest_rows(db, self.grant, self.dataset, inside)
                envelope = rows.get(inside[-1], 0)
                if any(rows.get(name, envelope + 1) > envelope for name in inside):
                    return False
        return True

    def _pass_over(self, split: SplitUnit) -> None:
        from galenic.records.fhir import count_types, names_in_bundle  # noqa: PLC0415

        for _, raw in split.stored:
            count = count_types(raw)
            self.result.seen += count
            self.result.already_stored += count.total()
        if self._left_out:  # these are now the latest versions of their names
            inside = {name for _, raw in split.stored for name in names_in_bundle(raw)}
            left_out = list(self._left_out)
            for name, token in zip(left_out, store.name_tokens(self.grant, self.dataset, left_out), strict=True):
                if token in split.names or name in inside:
                    del self._left_out[name]

    def finish(self) -> None:
        """Stores the deferred resources and reports searches that still have no match."""
        self._store_deferred()
        self.result.patients = len(self._subjects)
        self._search(self._open)
        for search, count in self._open.items():
            if search not in self._matches:
                self.result.unresolved += count
                text = (
                    "is a search reference that matches no resource in the record store. It is searched again each time the "
                    "reference is read: import the resource, or correct the reference."
                )
                found = {"where": "", "expression": search.partition("?")[0], "text": text}
                self._add_issue("warning", "reference-unresolved", found)
        self._report_absolute()

    def _report_absolute(self) -> None:
        """Warns of absolute references to resources in the record store: they count as references to another server."""
        names = sorted({name for _, name in self._absolute})
        here = store.newest_rows(self.installation.db, self.grant, self.dataset, names) if names else {}
        by_base: Counter[str] = Counter()
        for (base, name), count in self._absolute.items():
            if name in here:
                by_base[base] += count
        for base, count in by_base.most_common():
            rule = ("warning", "reference-absolute")
            text = (
                f"{count:,} references name resources that are in custody by an address of {base}, so they count as resources, and "
                f"people, of another server. If the records come from there, import them again with --source-url {base}"
            )
            self.result.issues[rule] += count
            self.result.examples.append({"level": rule[0], "rule": rule[1], "where": "", "expression": "", "text": text})

    def _resolved(self, parts: list["PreparedResource"]) -> list["PreparedResource"]:
        """Parts of one document with their searches resolved, without conditional creates of existing resources."""
        self._search(s for p in parts for s in (*p.searches, p.condition, p.person) if "?" in s)
        existing: dict[str, str] = {}
        for part in parts:
            if part.condition in self._matches:
                existing[f"{part.kind}/{part.id}"] = f"{part.kind}/{self._matches[part.condition]}"
        new = [p for p in parts if f"{p.kind}/{p.id}" not in existing]
        self.result.already_stored += len(parts) - len(new)
        for part in new:
            self._resolve(part, existing)
            if part.absolute and len(self._absolute) < MAX_ABSOLUTE:
                self._absolute.update(part.absolute)
        return new

    def _resolve(self, part: "PreparedResource", existing: dict[str, str]) -> None:
        """Replaces the searches of one part by their matches, including its patient."""
        targets = part.about.get("references", {}) if existing or part.searches else {}
        for search in part.searches:
            if search in self._matches:
                targets[search] = f"{search.partition('?')[0]}/{self._matches[search]}"
            else:
                self._open[search] += 1
        if targets:
            part.about["references"] = {text: existing.get(name, name) for text, name in targets.items()}
        part.person = existing.get(part.person, targets.get(part.person, part.person))
        if part.person in self._matches:  # a search by the patient's identifier
            part.person = f"Patient/{self._matches[part.person]}"
        elif part.kind == "Bundle" and "?" in part.person:
            part.person = ""

    def _search(self, searches: Iterable[str]) -> None:
        """Looks up the matches of all searches that are not known yet."""
        fresh = sorted({s for s in searches if s not in self._matches and s not in self._unmatched})
        if not fresh:
            return
        if len(self._matches) + len(self._unmatched) > MAX_SEARCHES:
            self._matches.clear()
            self._unmatched.clear()
        names = store.documents_by_identifier(self.installation.db, self.grant, self.dataset, fresh)
        for search in fresh:
            matches = set(names.get(search, ()))
            if len(matches) == 1:
                self._matches[search] = matches.pop().partition("/")[2]
            else:
                self._unmatched.add(search)

    def _store_deferred(self) -> None:
        deferred, self._deferred, self._deferred_names = self._deferred, [], set()
        self._search(p.person for p in deferred if "?" in p.person)
        for part in deferred:
            if part.person in self._matches:
                part.person = f"Patient/{self._matches[part.person]}"
        self._store(deferred, last=True)

    def _store(self, parts: list["PreparedResource"], *, last: bool = False) -> None:
        """Stores parts. Parts whose patient depends on a resource that is not imported yet are deferred, except on the last
        attempt."""
        self._assign_by_reference(parts)
        ready = []
        for part in parts:
            name = f"{part.kind}/{part.id}"
            if not last and (_may_wait(part) or name in self._deferred_names):  # the versions of a resource stay in order
                self._deferred.append(part)
                self._deferred_names.add(name)
            else:
                ready.append(part)
        if len(self._deferred) > MAX_DEFERRED:
            self._store_deferred()
        for part in ready:
            if "?" in part.person:
                self._refuse_unknown_patient(part)
        ready = [p for p in ready if "?" not in p.person]
        if ready:
            self._write(ready)

    def _write(self, parts: list["PreparedResource"]) -> None:
        result, db = self.result, self.installation.db
        identifiers = {r: self._identifier(r) for p in parts for r in (p.person, *p.patients) if r and r[0] != "#"}
        subjects, erased = store.assign_subjects(db, self.grant, self.dataset, list(identifiers.values()))
        incoming = []
        for part in parts:
            name = f"{part.kind}/{part.id}"
            if identifiers.get(part.person) in erased:
                self._left_out[name] = part.person
                result.erased += part.kind != "Bundle"
            else:
                self._left_out.pop(name, None)
                incoming.append(self._incoming(part, identifiers, subjects))
        if not incoming:
            return
        if "tenant" not in self.dataset:  # it is new
            self.dataset = describe_dataset(self.installation, self.grant, self.dataset, store.SCHEMA)
        self._subjects |= {i.subject for i in incoming if i.subject != store.NO_SUBJECT}
        self._unmatched.difference_update(w for i in incoming for w in i.words)
        envelopes = [i.digest for i in incoming if i.type == "Bundle"]
        stored = store.current_digests(db, self.grant, self.dataset, envelopes) if envelopes else {}
        new = store.write_documents(db, self.grant, self.dataset, incoming)
        bundles = sum(digest not in stored for digest in envelopes)
        result.without_patient += sum(i.subject == store.NO_SUBJECT and i.type != "Bundle" for i in incoming)
        self._written += new
        result.new += new - bundles
        result.already_stored += len(incoming) - len(envelopes) - (new - bundles)

    def _assign_by_reference(self, parts: list["PreparedResource"]) -> None:
        """Assigns parts without a patient to the patient of a referenced resource, in this unit or in the record store. A
        deletion is assigned to the patient of the previous version."""
        unassigned = [p for p in parts if not p.person and p.through]
        if not unassigned:
            return
        owners = {f"{p.kind}/{p.id}": p.person for p in parts if p.person}
        elsewhere = {t for p in unassigned for t in p.through if (p.deleted or t not in owners) and "?" not in t}
        stored = store.document_subjects(self.installation.db, self.grant, self.dataset, sorted(elsewhere)) if elsewhere else {}
        in_custody = {t: f"#{s}" for t, s in stored.items() if s != store.NO_SUBJECT}
        before: dict[str, str] = {}  # patient of the latest version so far of each name
        for part in parts:
            name = f"{part.kind}/{part.id}"
            if part.deleted:
                part.person = before.get(name, self._left_out.get(name, in_custody.get(name, "")))
            elif not part.person:
                people = [owners[t] for t in part.through if t in owners]
                people += [in_custody[t] for t in part.through if t in in_custody]
                if people:
                    part.person = owners[name] = people[0]
            before[name] = part.person

    def _refuse_unknown_patient(self, part: "PreparedResource") -> None:
        self.result.refused += 1
        text = "refers to its patient by a search that matches no patient in the record store. Import the patients first."
        self._add_issue("error", "patient-unknown", {"where": "", "expression": part.kind, "text": text})

    def _add_issue(self, level: str, rule: str, issue: dict[str, str]) -> None:
        """Counts an issue; the first few of each rule are stored. issue: where, expression, text."""
        self.result.issues[level, rule] += 1
        if self.result.issues[level, rule] <= EXAMPLES:
            self.result.examples.append({"level": level, "rule": rule, **issue})

    def _identifier(self, reference: str) -> str:
        patient = reference.removeprefix("Patient/")
        return f"{self.namespace}|{patient}" if self.namespace else patient

    def _incoming(
        self, part: "PreparedResource", identifiers: dict[str, str], subjects: dict[str, int]
    ) -> store.IncomingDocument:
        subject = subjects[identifiers[part.person]] if part.person in identifiers else store.NO_SUBJECT
        if part.person.startswith("#"):  # assigned by reference, so the subject number is known
            subject = int(part.person[1:])
        mentions = tuple(subjects[identifiers[r]] for r in part.patients if identifiers[r] in subjects)
        return store.IncomingDocument(
            subject,
            part.kind,
            part.id,
            part.digest,
            part.about,
            part.raw.decode(),
            part.words,
            mentions,
            part.deleted,
            part.variant,
        )


def _may_wait(part: "PreparedResource") -> bool:
    """True if the patient of a resource depends on another resource, by a search or a reference."""
    by_reference = not part.person and not part.patients and bool(part.through) and part.kind in DEFERRED_TYPES
    return "?" in part.person or by_reference
