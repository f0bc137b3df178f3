"""FHIR transaction: the interactions of a Bundle, executed completely or not at all (R4, HTTP, 3.1.0.11.2)."""

import uuid
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from urllib.parse import parse_qsl

import orjson

from galenic import store
from galenic.custody.fhir.batches import execute, execute_in_batch, refused_entry, response_entry
from galenic.custody.fhir.bundle_entries import READING, TransactionEntry, invalid, naming, parse_entries, require_scope
from galenic.custody.fhir.commit import Committed, StagedChange, commit
from galenic.custody.fhir.messages import FhirResponse, RequestContext, Resource
from galenic.custody.fhir.repository import FhirRepository
from galenic.custody.fhir.resource_checks import require_valid
from galenic.custody.fhir.staged_search import Pairs, StagedSearch
from galenic.custody.fhir.transaction_links import resolve_links
from galenic.custody.fhir.writing import is_deletable, stage_patch
from galenic.errors import TooCostlyError

BATCH_SECONDS = 120.0  # seconds after which a batch runs no more searches
ORDER = {"DELETE": 0, "POST": 1, "PUT": 2, "PATCH": 3}


def process_bundle(repository: FhirRepository, context: RequestContext, raw: bytes) -> FhirResponse:
    """Executes a batch or transaction Bundle."""
    from galenic.records.fhir import parse  # noqa: PLC0415

    document = parse(raw)
    bundle = document.exact
    if bundle.get("resourceType") != "Bundle" or bundle.get("type") not in ("batch", "transaction"):
        text = "has another value. Expected batch or transaction."
        raise invalid("the body is not a Bundle of type batch or transaction. Expected one.", "invalid", "Bundle.type", text)
    entries = parse_entries(bundle.get("entry", []), context.base)
    if bundle["type"] == "transaction":
        for entry in entries:
            require_scope(context, entry)
        require_valid(document.resource)
        responses = _execute_transaction(repository, context, entries)
    else:
        with repository.index.limited(store.QueryLimit(BATCH_SECONDS)):
            responses = [execute_in_batch(repository, context, e) for e in entries]
    body: Resource = {"resourceType": "Bundle", "type": f"{bundle['type']}-response"}
    return FhirResponse(200, orjson.dumps({**body, "entry": responses} if responses else body))


@dataclass(slots=True)
class _TransactionPlan:
    """Plan of a transaction, by number of the entry: changes, and responses of entries that change nothing. conditions: names
    of entries with the same condition."""

    search: StagedSearch
    changes: dict[int, StagedChange] = field(default_factory=dict)
    responses: dict[int, FhirResponse] = field(default_factory=dict)
    conditions: dict[tuple[str, Pairs], str] = field(default_factory=dict)

    def add(self, entry: TransactionEntry, change: StagedChange) -> None:
        """Adds the change of an entry."""
        self.changes[entry.number] = change
        self.search.add(change)
        self.name(entry, change.name)

    def name(self, entry: TransactionEntry, name: str) -> None:
        """Assigns a resource name (Type/id) to the fullUrl of an entry."""
        if entry.url:
            self.search.names[entry.url] = name


def _execute_transaction(
    repository: FhirRepository, context: RequestContext, entries: list[TransactionEntry]
) -> list[Resource]:
    with repository.write_lock:
        plan = _TransactionPlan(StagedSearch(repository, context))
        for entry in _in_order(entries):
            with naming(entry):
                STAGE[entry.method](entry, plan)
        _require_distinct(plan.changes)
        for entry in entries:
            change = plan.changes.get(entry.number)
            if change is not None and change.exact is not None:
                with naming(entry):
                    resolve_links(plan.search, context, entry, change.exact)
        changes = list(plan.changes.values())
        places = [f"Bundle.entry[{number}]" for number in plan.changes]
        committed = commit(repository, context, changes, places) if changes else Committed()
    responses = plan.responses | _responses(context, plan.changes, committed)
    answers = {number: response_entry(response) for number, response in responses.items()}
    for entry in entries:
        if entry.method in READING:
            answers[entry.number] = _answer_read(repository, context, entry, has_written=bool(changes))
    return [answers[e.number] for e in entries]


def _answer_read(
    repository: FhirRepository, context: RequestContext, entry: TransactionEntry, *, has_written: bool
) -> Resource:
    """The response entry of a read or search."""
    try:
        with naming(entry):
            return response_entry(execute(repository, context, entry))
    except TooCostlyError as error:
        if not has_written:
            raise
        return refused_entry(error)  # the transaction is already written, so it has not failed


def _in_order(entries: list[TransactionEntry]) -> list[TransactionEntry]:
    """Entries that write: deletions, then entries with a named resource, then conditional ones, each after the entries that its
    condition refers to."""
    writing = sorted((e for e in entries if e.method in ORDER), key=lambda e: ORDER[e.method])
    done = [e for e in writing if e.method == "DELETE" or not e.condition]
    waiting = [e for e in writing if e.method != "DELETE" and e.condition]
    named = {e.number: {v for _, value in parse_qsl(e.condition) for v in value.split(",")} - {e.url} for e in waiting}
    open_urls = {e.url for e in waiting if e.url}
    while waiting:
        ready = [e for e in waiting if named[e.number].isdisjoint(open_urls)]
        if not ready:
            text = "has a condition that depends on an entry which refers back to this one. Give one of the entries an id."
            raise waiting[0].invalid(
                "the conditions of some entries depend on one another. Send them in separate transactions.",
                "invalid",
                ".request",
                text,
            )
        done += ready
        left = {e.number for e in ready}
        waiting = [e for e in waiting if e.number not in left]
        open_urls -= {e.url for e in ready}
    return done


def _responses(context: RequestContext, changes: dict[int, StagedChange], committed: Committed) -> dict[int, FhirResponse]:
    """The response of each change."""
    found: dict[int, FhirResponse] = {}
    for (number, change), version, decision in zip(changes.items(), committed.versions, committed.decisions, strict=True):
        status = 204 if change.exact is None else 201 if version.is_first else 200
        location = "" if change.exact is None else f"{context.base}/{change.name}/_history/{version.version}"
        found[number] = FhirResponse(status, b"", version.version, committed.updated, location, decision)
    return found


def _match(plan: _TransactionPlan, entry: TransactionEntry) -> tuple[str | None, tuple[str, Pairs]]:
    """(name of the matching resource or None, condition) of an entry. Entries with the same condition are about the same
    resource, even if nothing matches yet."""
    pairs = plan.search.resolve_pairs(entry.resource_type, entry.condition)
    key = (entry.resource_type, tuple(sorted(pairs)))
    return plan.conditions.get(key) or plan.search.find(entry.resource_type, pairs), key


def _stage_create(entry: TransactionEntry, plan: _TransactionPlan) -> None:
    _require_type(entry)
    _ = entry.if_match  # an invalid one is an error here, too
    match, key = _match(plan, entry) if entry.condition else (None, None)
    if match is not None:
        plan.responses[entry.number] = FhirResponse(200, location=f"{plan.search.context.base}/{match}")
        plan.name(entry, match)
        return
    change = StagedChange(entry.resource_type, str(uuid.uuid4()), entry.resource, is_new=True)
    if key is not None:
        plan.conditions[key] = change.name
    plan.add(entry, change)


def _stage_update(entry: TransactionEntry, plan: _TransactionPlan) -> None:
    _require_type(entry)
    assert entry.resource is not None
    if_match, resource_id, given = entry.if_match, entry.id, entry.resource.get("id")
    is_new = False
    if not resource_id:
        match, key = _match(plan, entry)
        is_new = match is None and given is None
        resource_id = match.partition("/")[2] if match else str(given or uuid.uuid4())
        plan.conditions[key] = f"{entry.resource_type}/{resource_id}"
    if given is not None and given != resource_id:
        text = "differs from the id in the url. Make them equal."
        raise entry.invalid(
            "the id of an entry's resource differs from the id in its url. Make them equal.", "invalid", ".resource.id", text
        )
    plan.add(entry, StagedChange(entry.resource_type, resource_id, entry.resource, if_match, is_new))


def _stage_patch(entry: TransactionEntry, plan: _TransactionPlan) -> None:
    if_match, name = entry.if_match, f"{entry.resource_type}/{entry.id}"
    if entry.condition:
        name = _match(plan, entry)[0] or name
    change, unchanged = stage_patch(plan.search.repository, plan.search.context, name, entry.patch, if_match)
    if change is not None:
        plan.add(entry, change)
    else:
        plan.responses[entry.number] = replace(unchanged, body=b"")
        plan.name(entry, name)


def _stage_delete(entry: TransactionEntry, plan: _TransactionPlan) -> None:
    if_match, resource_id = entry.if_match, entry.id
    if not resource_id:
        match, _key = _match(plan, entry)
        if match is None:
            plan.responses[entry.number] = FhirResponse(204)
            return
        resource_id = match.partition("/")[2]
    if not is_deletable(plan.search.repository, plan.search.context, f"{entry.resource_type}/{resource_id}"):
        plan.responses[entry.number] = FhirResponse(204)
    else:
        plan.add(entry, StagedChange(entry.resource_type, resource_id, None, if_match))


STAGE: dict[str, Callable[[TransactionEntry, _TransactionPlan], None]] = {
    "POST": _stage_create,
    "PUT": _stage_update,
    "PATCH": _stage_patch,
    "DELETE": _stage_delete,
}


def _require_type(entry: TransactionEntry) -> None:
    if entry.resource is not None and entry.resource.get("resourceType") != entry.resource_type:
        text = f"has another type. Expected {entry.resource_type}, as in the url."
        raise entry.invalid(
            "the type of an entry's resource differs from the type in its url. Make them equal.", "invalid", ".resource", text
        )


def _require_distinct(changes: dict[int, StagedChange]) -> None:
    seen: dict[str, int] = {}
    for number, change in changes.items():
        other = seen.setdefault(change.name, number)
        if other != number:
            message = "two entries of the transaction change the same resource. Combine them."
            text = f"changes the same resource as Bundle.entry[{other}]. A transaction may change a resource only once."
            raise invalid(message, "duplicate", f"Bundle.entry[{number}]", text)
