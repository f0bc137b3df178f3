"""Create, update, patch, delete and validate: checked first, then written under a decision about whose it is."""

import uuid
from collections.abc import Iterable
from dataclasses import dataclass
from itertools import pairwise
from typing import Any
from urllib.parse import parse_qsl

import orjson

from galenic import store
from galenic.custody.fhir.group_commit import PendingWrite
from galenic.custody.fhir.messages import (
    FhirResponse,
    RequestContext,
    Resource,
    now_micros,
    operation_outcome,
    outcome_issue,
    with_server_meta,
)
from galenic.custody.fhir.reading import NOT_FOUND
from galenic.custody.fhir.repository import FhirRepository, ResourceOwner
from galenic.errors import AccessDeniedError, ConflictError, GoneError, InvalidResourceError, NotFoundError, RecordError
from galenic.security import Grant


@dataclass(slots=True)
class StagedChange:
    """One change that is to be made. exact: the resource, None to delete it; expected: as store.Change; fresh: its id is new."""

    kind: str
    id: str
    exact: Resource | None
    expected: int | None = None
    fresh: bool = False

    @property
    def name(self) -> str:
        """Type/id."""
        return f"{self.kind}/{self.id}"


MOST_CHANGES, LARGEST_PATCHED = 1_000, 2**22


def parse_resource(raw: bytes, kind: str | None = None, base: str = "") -> Resource:
    """A checked resource from its bytes, every number as it was written. NotValid with each issue; RecordError for no JSON.

    base: the server's address; what is referred to by it is here, and named without it.
    """
    from galenic.records.fhir import parse, references, rename_references  # noqa: PLC0415

    document = parse(raw)
    require_valid(document.resource, kind)
    exact = document.exact
    if base and f"{base}/".encode() in raw:
        rename_references(
            exact, {t: t.removeprefix(f"{base}/") for t in references(document.resource) if t.startswith(f"{base}/")}
        )
    return exact


def require_valid(resource: Resource, kind: str | None = None, where: str = "") -> list[tuple[str, str, str, str]]:
    """Warnings about a resource. NotValid where it is no R4, or of another type than was said."""
    from galenic.records.fhir import validate_resource  # noqa: PLC0415

    said = resource.get("resourceType")
    if kind is not None and said != kind:
        raise InvalidResourceError(
            f"the resource is not a {kind}, as the address says.", (("error", "invalid", "resourceType", "another type"),)
        )
    issues = tuple((i.level, _code(i.rule), where + i.expression, i.text) for i in validate_resource(resource))
    if any(i[0] == "error" for i in issues):
        raise InvalidResourceError("the resource is not valid R4.", issues)
    return list(issues)


def _code(rule: str) -> str:
    """The issue type (R4 value set issue-type) of a rule."""
    if rule in ("structure", "json", "resource-type", "choice"):
        return "structure"
    if "-" in rule and rule.rpartition("-")[2].isdecimal():
        return "invariant"
    return {"required": "required", "code": "code-invalid", "reference-unresolved": "not-found"}.get(rule, "invalid")


def validate(kind: str | None, raw: bytes) -> FhirResponse:
    """What a check finds in a resource ($validate): an OperationOutcome, which is an answer and no error."""
    from galenic.records.fhir import parse  # noqa: PLC0415

    try:
        resource = parse(raw).resource
        if resource.get("resourceType") == "Parameters":
            inner = [
                p.get("resource") for p in resource.get("parameter", ()) if isinstance(p, dict) and p.get("name") == "resource"
            ]
            resource = inner[0] if inner and isinstance(inner[0], dict) else resource
        found = require_valid(resource, kind)
    except InvalidResourceError as error:
        return FhirResponse(200, operation_outcome(*(outcome_issue(*_named(i)) for i in error.issues)))
    issues = [outcome_issue(*_named(i)) for i in found] or [
        outcome_issue("information", "informational", "no issue was found.")
    ]
    return FhirResponse(200, operation_outcome(*issues))


def _named(found: tuple[str, str, str, str]) -> tuple[str, str, str, str]:
    level, code, expression, text = found
    return level, code, text, expression


def create(
    repository: FhirRepository, context: RequestContext, kind: str, raw: bytes, *, if_none_exist: str = ""
) -> FhirResponse:
    """A new resource under an id of ours; with a condition only where nothing meets it."""
    exact = parse_resource(raw, kind, context.base)
    fresh = StagedChange(kind, str(uuid.uuid4()), exact, fresh=True)
    if not if_none_exist:
        return _one(repository, context, fresh)
    with repository.writing:  # nobody else makes it between the look and the write
        there = match_condition(repository, context, kind, if_none_exist)
        return _one(repository, context, fresh) if there is None else FhirResponse(200, location=f"{context.base}/{there.name}")


def update(
    repository: FhirRepository, context: RequestContext, kind: str, own: str, raw: bytes, *, if_match: int | None = None
) -> FhirResponse:
    """A new version under an id; where nothing stands there, its first, if the asker may name ids."""
    exact = parse_resource(raw, kind, context.base)
    if exact.get("id") != own:
        raise RecordError(f"the {kind} has no id, or another one than the address. Give it the id that the address names.")
    return _one(repository, context, StagedChange(kind, own, exact, if_match))


def update_where(
    repository: FhirRepository, context: RequestContext, kind: str, query: str, raw: bytes, *, if_match: int | None = None
) -> FhirResponse:
    """Conditional update: what meets the condition, or a new resource where nothing does."""
    exact = parse_resource(raw, kind, context.base)
    with repository.writing:
        there = match_condition(repository, context, kind, query)
        given = exact.get("id")
        if there is None:
            own = str(given or uuid.uuid4())
            return _one(repository, context, StagedChange(kind, own, exact, if_match, fresh=given is None))
        own = there.name.partition("/")[2]
        if given is not None and given != own:
            raise RecordError(f"the {kind} has another id than the one that meets the condition. Leave its id out.")
        return _one(repository, context, StagedChange(kind, own, exact, if_match))


def patch(
    repository: FhirRepository, context: RequestContext, kind: str, own: str, raw: bytes, *, if_match: int | None = None
) -> FhirResponse:
    """JSON Patch (RFC 6902) on the newest version; what comes out is checked like any resource."""
    with repository.writing:
        return _one(repository, context, stage_patch(repository, context, kind, own, raw, if_match))


def stage_patch(
    repository: FhirRepository, context: RequestContext, kind: str, own: str, raw: bytes, if_match: int | None
) -> StagedChange:
    """What a JSON Patch makes of the newest version, which it expects to find."""
    found = repository.locate(f"{kind}/{own}")
    before = _standing(repository, context, found)
    exact = apply_json_patch(before, raw)
    if exact.get("id") != own or exact.get("resourceType") != kind:
        raise InvalidResourceError(
            "a patch changes neither type nor id.", (("error", "not-supported", f"{kind}.id", "may not be changed"),)
        )
    require_valid(orjson.loads(_plain(exact)), kind)
    return StagedChange(kind, own, exact, expected_version(before, if_match))


def _plain(exact: Resource) -> bytes:
    from galenic.records.fhir import write_json  # noqa: PLC0415

    return write_json(exact)


def expected_version(before: Resource, if_match: int | None) -> int:
    """The version that a change of what was read expects to find."""
    version = int(before["meta"]["versionId"])
    if if_match is not None and if_match != version:
        raise ConflictError("the version that was named is not the newest. Read it again, and decide again.")
    return version


def apply_json_patch(before: Resource, raw: bytes) -> Resource:
    """A resource with a JSON Patch applied. RecordError where it is none, or does not fit."""
    import jsonpatch  # noqa: PLC0415

    from galenic.records.fhir import parse_exact, write_json  # noqa: PLC0415

    try:
        orjson.loads(raw)  # which refuses what is nested too deep
        operations: Any = parse_exact(raw)
        if (
            not isinstance(operations, list)
            or not all(isinstance(o, dict) for o in operations)
            or len(operations) > MOST_CHANGES
        ):
            raise RecordError(f"a JSON Patch is a list of at most {MOST_CHANGES:,} operations (RFC 6902).")
        result: Any = before
        copies = [i + 1 for i, operation in enumerate(operations) if operation.get("op") == "copy"]
        for first, last in pairwise(dict.fromkeys([0, *copies, len(operations)])):
            result = jsonpatch.JsonPatch(operations[first:last]).apply(result)
            if len(write_json(result)) > LARGEST_PATCHED:  # each copy may double it
                raise RecordError(f"the patch makes more than {LARGEST_PATCHED:,} bytes of the resource.")
    except (
        jsonpatch.JsonPatchException, jsonpatch.JsonPointerException, ValueError, TypeError, KeyError, RecursionError
    ) as error:  # fmt: skip
        raise RecordError(
            f"the patch does not fit the resource ({type(error).__name__}). Read it again; see RFC 6902."
        ) from None
    if not isinstance(result, dict):
        raise RecordError("the patch leaves no resource.")
    return result


def _standing(repository: FhirRepository, context: RequestContext, found: tuple[int, int, bool, bool] | None) -> Resource:
    """The newest version, read in order to change it."""
    row, subject, patient, live = found or (-1, -1, True, False)
    handle = _may(repository, context, subject if found else "unknown", patient)
    with handle:
        kept = (
            store.read_rows(repository.installation.db, repository.known, {subject: handle}, [row]).get(row) if found else None
        )
        if kept is None:
            raise NotFoundError(NOT_FOUND)
        if not live:
            raise GoneError("it was deleted; what is gone is not patched. Write it anew.")
        from galenic.custody.fhir.messages import serialize  # noqa: PLC0415
        from galenic.records.fhir import parse_exact  # noqa: PLC0415

        return parse_exact(serialize(kept, repository.imported_at))


def _may(repository: FhirRepository, context: RequestContext, subject: int | str, patient: bool) -> Grant:
    """A decision to write, where a refusal must look like absence."""
    try:
        return repository.installation.gate.open(context.session, "write", repository.place(subject, patient), context.purpose)
    except AccessDeniedError as refused:
        raise NotFoundError(NOT_FOUND) from refused


def delete(
    repository: FhirRepository, context: RequestContext, kind: str, own: str, *, if_match: int | None = None
) -> FhirResponse:
    """A version that says it is gone; those before it stay. Done again, it changes nothing."""
    with repository.writing:
        found = repository.locate(f"{kind}/{own}")
        if found is None or not found[3]:
            with _may(repository, context, found[1] if found else "unknown", found[2] if found else True) as handle:
                return FhirResponse(204, decision=handle.decision)
        return _one(repository, context, StagedChange(kind, own, None, if_match))


def delete_where(repository: FhirRepository, context: RequestContext, kind: str, query: str) -> FhirResponse:
    """Conditional delete: the one that meets the condition, if there is one."""
    with repository.writing:
        there = match_condition(repository, context, kind, query)
        return FhirResponse(204) if there is None else delete(repository, context, kind, there.name.partition("/")[2])


def match_condition(repository: FhirRepository, context: RequestContext, kind: str, query: str) -> store.Hit | None:
    """The one resource that meets a condition, of those that the asker may know of. Conflict where several do."""
    from galenic.records.fhir import conditions_of  # noqa: PLC0415

    conditions = conditions_of(kind, parse_qsl(query.partition("?")[2] or query, keep_blank_values=True))
    repository.look()
    seen = repository.installation.gate.visible_subjects(context.session, repository.name, context.purpose)
    called = f"{context.session.who}/{context.purpose}/{repository.installation.gate.versions.get()['facts']}"
    found = repository.index.search(store.ResourceQuery(kind, conditions, (), seen, called), limit=2)
    if len(found) > 1:
        raise ConflictError(f"more than one {kind} meets the condition. Narrow it, so that it means one.")
    return found[0] if found else None


# from what is staged to what is written


def _one(repository: FhirRepository, context: RequestContext, staged: StagedChange) -> FhirResponse:
    written, decisions, updated = commit(repository, context, [staged])
    one = written[0]
    if staged.exact is None:
        return FhirResponse(204, b"", one.version, updated, decision=decisions[0])
    place = f"{context.base}/{staged.name}/_history/{one.version}"
    return FhirResponse(201 if one.made else 200, one.document, one.version, updated, place, decisions[0])


def commit(
    repository: FhirRepository, context: RequestContext, staged: list[StagedChange]
) -> tuple[list[store.WrittenVersion], list[int], int]:
    """(what was written, the decision of each, when): all of it durably, or none. AccessDenied where one decision is a refusal."""
    from galenic.records.fhir import identifier_searches, write_json  # noqa: PLC0415

    if any(s.kind == "AuditEvent" for s in staged):
        raise AccessDeniedError("AuditEvents are written by the audit chain alone.")
    updated = now_micros()
    repository.look()
    standing = {s.name: repository.index.find(s.name) for s in staged if not s.fresh}
    _may_name(repository, context, staged, standing)
    owners = _owners(repository, staged, standing)
    moved = {(f[1], f[2]) for s, o in zip(staged, owners, strict=True) if (f := standing.get(s.name)) and f[1] != o.subject}
    passes = _decisions(repository, context, owners, moved)
    handles = [passes[o.identifier if o.subject is None else o.subject] for o in owners]
    try:
        changes = [
            store.ResourceChange(
                handle, int(handle.resource.rpartition("/")[2]), s.kind, s.id, _render(s, updated, write_json), updated, s.exact is None,
                s.expected, tuple(identifier_searches({**s.exact, "id": s.id})) if s.exact else (), o.mentions, s.fresh,
            )
            for s, o, handle in zip(staged, owners, handles, strict=True)
        ]  # fmt: skip
        rows = _indexed(repository, staged, changes, updated)
        whose = {name: found[1] if found else None for name, found in standing.items()}
        written = repository.together.write(repository, PendingWrite(changes, rows, whose))
    finally:
        for handle in passes.values():
            handle.__exit__(None, None, None)
    return written, [h.decision for h in handles], updated


def _render(staged: StagedChange, updated: int, write: Any) -> Any:
    exact = staged.exact or {"resourceType": staged.kind}
    return lambda version: write(with_server_meta(exact, staged.id, version, updated))


def _may_name(
    repository: FhirRepository, context: RequestContext, staged: list[StagedChange], standing: dict[str, Any]
) -> None:
    """An id of one's own choice would tell whether somebody else's resource has it: only who may see all of them names one."""
    seen = repository.installation.gate.visible_subjects(context.session, repository.name, context.purpose)
    if seen is None:
        return
    found = [standing.get(s.name) for s in staged if not s.fresh]
    if any(f is None or (f[2] and f[1] not in seen) for f in found):
        repository.refused(context.session, "write", context.purpose)
        raise NotFoundError(NOT_FOUND)


def _owners(repository: FhirRepository, staged: list[StagedChange], standing: dict[str, Any]) -> list[ResourceOwner]:
    found: dict[str, ResourceOwner] = {}
    late: list[StagedChange] = []
    people: dict[str, int | None] = {}
    for one in staged:
        there = standing.get(one.name)
        if one.exact is None:
            assert there is not None
            found[one.name] = ResourceOwner(there[1], "", there[2])
            continue
        owner = repository.owner({**one.exact, "id": one.id}, people)
        found[one.name] = owner
        if owner.subject == store.NO_SUBJECT and owner.patient:
            late.append(one)
    for one in late:  # what is somebody's only by what it refers to, in this very Bundle
        from galenic.records.fhir import compartment_of  # noqa: PLC0415

        assert one.exact is not None
        through = [found[n] for n in compartment_of({**one.exact, "id": one.id}).through if n in found and n != one.name]
        whose_too = [o for o in through if o.subject != store.NO_SUBJECT]
        if whose_too:
            found[one.name] = whose_too[0]
    return [found[s.name] for s in staged]


def _decisions(
    repository: FhirRepository, context: RequestContext, owners: list[ResourceOwner], moved: Iterable[tuple[int, bool]]
) -> dict[int | str, Grant]:
    """A decision to write for each whose something is, and was."""
    gate = repository.installation.gate
    known = {o.subject: o.patient for o in owners if o.subject is not None} | dict(moved)
    passes: dict[int | str, Grant] = {}
    opened = gate.open_many(context.session, "write", [repository.place(s, p) for s, p in known.items()], context.purpose)
    denied = [s for s, handle in zip(known, opened, strict=True) if handle is None]
    passes |= {s: h for s, h in zip(known, opened, strict=True) if h is not None}
    try:
        if denied:
            raise AccessDeniedError(
                f"{context.session.who} may not write this for {context.purpose}: no rule allows it for all it is about."
            )
        for owner in owners:
            if owner.subject is None and owner.identifier not in passes:
                handle = gate.open(context.session, "write", repository.place("new", owner.patient), context.purpose)
                passes[owner.identifier] = handle
                handle.settle(
                    store.admit_subject(
                        repository.installation.db, handle, repository.known, owner.identifier, patient=owner.patient
                    )
                )
    except BaseException:
        for handle in passes.values():
            handle.__exit__(None, None, None)
        raise
    return passes


def _indexed(
    repository: FhirRepository, staged: list[StagedChange], changes: list[store.ResourceChange], updated: int
) -> list[store.IndexEntry]:
    """What goes into the index; rows are known once they are written."""
    last: dict[str, int] = {c.name: i for i, c in enumerate(changes)}
    rows = []
    for i, (one, change) in enumerate(zip(staged, changes, strict=True)):
        if one.exact is None or last[change.name] != i:
            patient = change.handle.resource.startswith("record/")
            rows.append(store.IndexEntry(-1, one.kind, one.id, change.subject, patient, updated, False))
        else:
            rows.append(repository.to_index(-1, one.exact, one.id, change.subject, updated))
    return rows
