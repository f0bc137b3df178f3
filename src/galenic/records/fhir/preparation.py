"""Preparation of documents for storage, independent of stored data: parsing, validation, splitting."""

import re
import uuid
from collections import Counter
from dataclasses import dataclass, field
from hashlib import sha256
from typing import Any

import orjson

from galenic.errors import RecordError
from galenic.records.fhir.bundle import BundleEntry, open_bundle
from galenic.records.fhir.bundle_bytes import SplitBundle, resource_bytes, split_bundle
from galenic.records.fhir.compartment import compartment_of, identifier_searches, references
from galenic.records.fhir.links import links_to
from galenic.records.fhir.parsing import BOM, LARGEST, parse
from galenic.records.fhir.source_server import (
    ABSOLUTE_REFERENCE,
    SourceServer,
    absolute_references,
    has_long_id,
    shorten_ids,
)
from galenic.records.fhir.validation import validate_resource

IDS = uuid.UUID("2c1f4d0e-8a7b-5d6c-9e3f-0a1b2c3d4e5f")  # namespace of ids for resources without one
URN, REFERENCE_URN = b"urn:uuid:", re.compile(rb'"reference"\s*:\s*"urn:uuid:')
TYPE = re.compile(r"[A-Za-z]+")
DEEPEST = 7  # Bundles around a Bundle
HERE = SourceServer()


@dataclass(slots=True)
class PreparedResource:
    """One resource with its original bytes. about: details of its Bundle; person, patients, through: its compartment ("" for no
    person); words: identifier searches that match it; searches: conditional references; condition: of a conditional create,
    which prevents storage if a stored resource matches; deleted: True if it marks a deletion; variant: changes by options,
    in addition to the bytes; absolute: (base, Type/id) of references to resources of another server."""

    kind: str
    id: str
    raw: bytes
    about: dict[str, Any]
    person: str = ""
    patients: tuple[str, ...] = ()
    through: tuple[str, ...] = ()
    words: tuple[str, ...] = ()
    searches: tuple[str, ...] = ()
    condition: str = ""
    digest: str = ""
    deleted: bool = False
    variant: str = ""
    absolute: tuple[tuple[str, str], ...] = ()


@dataclass(slots=True)
class PreparedDocument:
    """One document: its resources, or the issues for which it is refused (level, rule, expression, text)."""

    number: int
    digest: str
    size: int
    seen: Counter[str] = field(default_factory=Counter)
    parts: list[PreparedResource] = field(default_factory=list)
    issues: list[tuple[str, str, str, str]] = field(default_factory=list)
    refused: bool = False

    @property
    def refused_resources(self) -> int:
        """Number of resources that are refused with it, at least one for a refused document."""
        return max(self.seen.total(), 1) if self.refused else 0


def prepare_document(lines: list[tuple[int, bytes]], server: SourceServer = HERE) -> list[PreparedDocument]:
    """Prepares each document (line number or 0, bytes) independently; may run in a separate process. server: server that it
    comes from."""
    return [_prepare(number, raw, server) for number, raw in lines]


def count_types(raw: bytes) -> Counter[str]:
    """Counts the types of the resources in a valid document; a Bundle itself is not counted."""
    return _types(orjson.loads(raw.removeprefix(BOM)))


def _types(resource: Any) -> Counter[str]:
    kind = resource.get("resourceType")
    if kind != "Bundle":
        return Counter([kind if isinstance(kind, str) and TYPE.fullmatch(kind) else "(none)"])
    entries = resource.get("entry")
    held = [e.get("resource") for e in entries if isinstance(e, dict)] if isinstance(entries, list) else []
    found: Counter[str] = Counter()
    for one in held:
        if isinstance(one, dict):
            found += _types(one)
    return found


def names_in_bundle(raw: bytes) -> list[str]:
    """Names (Type/id) under which the entries of a valid Bundle are stored, and finally that of its envelope; none for another
    resource."""
    whole = raw.removeprefix(BOM)
    resource = orjson.loads(whole)
    if resource.get("resourceType") != "Bundle":
        return []
    names: list[str] = []
    entries = resource.get("entry", ())
    opened = open_bundle(resource, whole, refers=[[]] * len(entries))
    inside = resource_bytes(whole, resource) if any(e.kind == "Bundle" for e in opened.entries) else []
    for entry in opened.entries:
        mine = inside[entry.number] if inside else None
        names += names_in_bundle(mine) if entry.kind == "Bundle" and mine is not None else [f"{entry.kind}/{entry.id}"]
    return [*names, f"Bundle/{sha256(raw).hexdigest()}"]


def _prepare(number: int, raw: bytes, server: SourceServer) -> PreparedDocument:
    given, raw = raw, shorten_ids(raw) if server.hash_long_ids else raw
    done = PreparedDocument(number, sha256(raw).hexdigest(), len(raw))
    whole = raw.removeprefix(BOM)
    apart = split_bundle(whole) if len(raw) <= LARGEST else None
    try:
        resource = apart.bundle if apart else parse(raw, f"line {number}" if number else "the document").resource
    except RecordError as error:
        done.refused = True
        done.issues.append(("error", "json", "", str(error)))
        return done
    done.seen = _types(resource)
    for issue in validate_resource(resource):
        done.refused |= issue.level == "error"
        done.issues.append((issue.level, issue.rule, issue.expression, issue.text))
    if done.refused:
        if not server.hash_long_ids and has_long_id(given):
            what = "has an id of more than 64 characters, which R4 does not allow. Import it with --hash-long-ids."
            done.issues.append(("error", "long-id", resource["resourceType"], what))
        return done
    if resource["resourceType"] != "Bundle":
        about = {} if "id" in resource else {"id": str(uuid.uuid5(IDS, done.digest))}
        named = {**resource, **about}
        part = _part(named, whole, about, {}, server)
        part.digest = done.digest
        part.searches = tuple(t for t in references(named) if "?" in t) if b"?" in raw else ()
        done.parts = [part]
        return done
    try:
        apart = apart or SplitBundle(resource, resource_bytes(whole, resource))
        done.parts = _bundle(whole, apart, done, server)
    except RecordError as error:
        done.refused = True
        whole_refused = f"{error} The whole Bundle was refused, with all its {done.seen.total():,} resources."
        done.issues.append(("error", "bundle-type", "Bundle", whole_refused))
    return done


def _part(
    resource: dict[str, Any], raw: bytes, about: dict[str, Any], renamed: dict[str, str], server: SourceServer
) -> PreparedResource:
    """One resource. renamed: targets of the references in its Bundle."""
    variant = ""
    absolute: tuple[tuple[str, str], ...] = ()
    if ABSOLUTE_REFERENCE.search(raw) is not None:
        named = references(resource)
        relative = server.relative(t for t in named if t not in renamed)
        renamed = {**renamed, **relative}
        variant = orjson.dumps(relative, option=orjson.OPT_SORT_KEYS).decode() if relative else ""
        absolute = absolute_references(named, renamed)
    if renamed:
        about["references"] = renamed
    found = compartment_of(resource, renamed)
    words = tuple(identifier_searches(resource))
    part = PreparedResource(
        resource["resourceType"], resource["id"], raw, about, found.person or "", found.patients, found.through, words
    )
    part.variant, part.absolute = variant, absolute
    return part


def _bundle(
    raw: bytes, apart: SplitBundle, done: PreparedDocument, server: SourceServer, depth: int = 0
) -> list[PreparedResource]:
    """The resources of a Bundle and of Bundles in it, each Bundle followed by its envelope."""
    bundle, digest = apart.bundle, sha256(raw).hexdigest() if depth else done.digest
    entries = bundle.get("entry", ())
    had_id = ["id" in e.get("resource", ()) for e in entries]
    opened = open_bundle(bundle, raw, refers=apart.refers)
    done.issues += [(i.level, i.rule, i.expression, i.text) for i in opened.issues]
    names = {e.url: f"{e.kind}/{e.id}" for e in opened.entries if e.url}
    parts: list[PreparedResource] = []
    lost: dict[int, list[str]] = {}
    for entry, text in opened.lost:
        if "?" in text:
            lost.setdefault(entry.number, []).append(text)
    for entry in opened.entries:
        number = entry.number
        mine = apart.bytes_of[number] or b""
        if entry.kind == "Bundle" and not entry.deleted:
            parts += _nested(mine, entry, done, server, depth + 1)
            continue
        about: dict[str, Any] = {"bundle": digest, "entry": {k: v for k, v in entries[number].items() if k != "resource"}}
        if entry.deleted:
            parts.append(_deletion(entry, about))
            continue
        if not had_id[number]:
            about["id"] = entry.id
        if mine.count(URN) > len(REFERENCE_URN.findall(mine)):  # links other than references, as in Attachment.url
            entry.renamed |= links_to(entry.resource, names)
        part = _part(entry.resource, mine, about, entry.renamed, server)
        part.digest = sha256(mine).hexdigest()
        part.searches = tuple(lost.get(number, ()))
        part.condition = _condition(entries[number], entry)
        parts.append(part)
    people = tuple(dict.fromkeys(p.person for p in parts if p.person.startswith("Patient")))
    person = people[0] if len(people) == 1 else ""
    head = orjson.dumps({k: v for k, v in bundle.items() if k != "entry"})
    top = PreparedResource("Bundle", digest, head, {}, person, () if person else people, digest=digest)
    return [*parts, top]


def _nested(raw: bytes, entry: BundleEntry, done: PreparedDocument, server: SourceServer, depth: int) -> list[PreparedResource]:
    """The resources of a Bundle in a Bundle."""
    if depth > DEEPEST:
        raise RecordError(
            f"{entry.place} contains Bundles nested {depth + 1} deep. At most {DEEPEST + 1} levels are imported: send "
            "the inner Bundles separately."
        )
    try:
        return _bundle(raw, SplitBundle(entry.resource, resource_bytes(raw, entry.resource)), done, server, depth)
    except RecordError as error:
        raise RecordError(f"in {entry.place}: {error}") from None


def _deletion(entry: BundleEntry, about: dict[str, Any]) -> PreparedResource:
    """Mark of a deletion, which belongs to the person of the deleted resource."""
    raw, name = orjson.dumps(entry.resource), f"{entry.kind}/{entry.id}"
    return PreparedResource(entry.kind, entry.id, raw, about, through=(name,), digest=sha256(raw).hexdigest(), deleted=True)


def _condition(given: dict[str, Any], entry: BundleEntry) -> str:
    asked = given.get("request", {}).get("ifNoneExist")
    return f"{entry.kind}?{asked.partition('?')[2] or asked}" if asked else ""
