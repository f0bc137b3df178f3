"""Preparation of documents for storage, independent of what is stored: parsing, validation, splitting."""

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
from galenic.records.fhir.parsing import BOM, LARGEST, parse
from galenic.records.fhir.validation import validate_resource

IDS = uuid.UUID("2c1f4d0e-8a7b-5d6c-9e3f-0a1b2c3d4e5f")  # namespace of ids for resources without one
TYPE = re.compile(r"[A-Za-z]+")


@dataclass(slots=True)
class PreparedResource:
    """One resource with its original bytes. about: details of its Bundle; person, patients, through: its compartment ("" for no
    person); words: identifier searches that match it; searches: conditional references; condition: of a conditional create, which
    keeps the resource from being stored if something stored matches."""

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


def prepare_document(lines: list[tuple[int, bytes]]) -> list[PreparedDocument]:
    """Each document (line number or 0, bytes) on its own; may run in a process of its own."""
    return [_prepare(number, raw) for number, raw in lines]


def count_types(raw: bytes) -> Counter[str]:
    """Counts the types of the resources in a valid document; a Bundle itself is not counted."""
    return _types(orjson.loads(raw.removeprefix(BOM)))


def _types(resource: Any) -> Counter[str]:
    kind = resource.get("resourceType")
    if kind != "Bundle":
        return Counter([kind if isinstance(kind, str) and TYPE.fullmatch(kind) else "(none)"])
    entries = resource.get("entry")
    held = [e.get("resource") for e in entries if isinstance(e, dict)] if isinstance(entries, list) else []
    kinds = [r.get("resourceType") for r in held if isinstance(r, dict)]
    return Counter(k if isinstance(k, str) and TYPE.fullmatch(k) else "(none)" for k in kinds)


def names_in_bundle(raw: bytes) -> list[str]:
    """The names (Type/id) under which the entries of a valid Bundle are stored, and last that of its envelope; none for another
    resource."""
    whole = raw.removeprefix(BOM)
    resource = orjson.loads(whole)
    if resource.get("resourceType") != "Bundle":
        return []
    opened = open_bundle(resource, whole, refers=[[]] * len(resource.get("entry", ())))
    return [*(f"{e.kind}/{e.id}" for e in opened.entries), f"Bundle/{sha256(raw).hexdigest()}"]


def _prepare(number: int, raw: bytes) -> PreparedDocument:
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
        return done
    if resource["resourceType"] != "Bundle":
        about = {} if "id" in resource else {"id": str(uuid.uuid5(IDS, done.digest))}
        named = {**resource, **about}
        part = _part(named, whole, about, {}, done.digest)
        part.searches = tuple(t for t in references(named) if "?" in t) if b"?" in raw else ()
        done.parts = [part]
        return done
    try:
        done.parts = _bundle(whole, apart or SplitBundle(resource, resource_bytes(whole, resource)), done)
    except RecordError as error:
        done.refused = True
        done.issues.append(("error", "bundle-type", "Bundle", str(error)))
    return done


def _part(
    resource: dict[str, Any], raw: bytes, about: dict[str, Any], renamed: dict[str, str], digest: str
) -> PreparedResource:
    found = compartment_of(resource, renamed)
    words = tuple(identifier_searches(resource))
    kind, own = resource["resourceType"], resource["id"]
    return PreparedResource(kind, own, raw, about, found.person or "", found.patients, found.through, words, digest=digest)


def _bundle(raw: bytes, apart: SplitBundle, done: PreparedDocument) -> list[PreparedResource]:
    bundle = apart.bundle
    entries = bundle.get("entry", ())
    had_id = ["id" in e.get("resource", ()) for e in entries]
    opened = open_bundle(bundle, raw, refers=apart.refers)
    done.issues += [(i.level, i.rule, i.expression, i.text) for i in opened.issues]
    parts: list[PreparedResource] = []
    lost: dict[int, list[str]] = {}
    for entry, text in opened.lost:
        if "?" in text:
            lost.setdefault(entry.number, []).append(text)
    for entry in opened.entries:
        number = entry.number
        about: dict[str, Any] = {"bundle": done.digest, "entry": {k: v for k, v in entries[number].items() if k != "resource"}}
        if entry.renamed:
            about["references"] = entry.renamed
        if not had_id[number]:
            about["id"] = entry.id
        mine = apart.bytes_of[number] or b""
        part = _part(entry.resource, mine, about, entry.renamed, sha256(mine).hexdigest())
        part.searches = tuple(lost.get(number, ()))
        part.condition = _condition(entries[number], entry)
        parts.append(part)
    people = tuple(dict.fromkeys(p.person for p in parts if p.person.startswith("Patient")))
    person = people[0] if len(people) == 1 else ""
    head = orjson.dumps({k: v for k, v in bundle.items() if k != "entry"})
    top = PreparedResource("Bundle", done.digest, head, {}, person, () if person else people, digest=done.digest)
    return [*parts, top]


def _condition(given: dict[str, Any], entry: BundleEntry) -> str:
    asked = given.get("request", {}).get("ifNoneExist")
    return f"{entry.kind}?{asked.partition('?')[2] or asked}" if asked else ""
