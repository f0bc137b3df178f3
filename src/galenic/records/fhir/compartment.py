"""Compartments: the person that a resource belongs to, whose key encrypts it."""

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import lru_cache
from types import MappingProxyType
from typing import Any

import orjson

Resource = dict[str, Any]
PERSONS = ("Patient", "Practitioner", "Person")  # types that are a person's own record
DIRECT = ("patient", "subject", "beneficiary", "individual", "for", "practitioner", "link")
OF_PATIENTS = ("patient", "subject", "beneficiary")
TYPED = re.compile(r"(?:^|/)([A-Z][A-Za-z]+)[/?]")
PATIENT = re.compile(r"(?:^|/)Patient[/?]")
PERSON = re.compile(r"(?:^|/)(?:Patient|Practitioner|Person)[/?]")
STRING = re.compile(rb'(?:[^"\\]|\\.)*')
HISTORY = re.compile(r"/_history/[A-Za-z0-9\-.]{1,64}\Z|#.*\Z")


@dataclass(frozen=True, slots=True)
class Compartment:
    """Person that a resource belongs to. person: reference to the person, None if the resource names none; patients: all
    patients that it names, if it names several and belongs to none; through: other references, whose targets may belong to a
    person."""

    person: str | None
    patients: tuple[str, ...] = ()
    through: tuple[str, ...] = ()


def compartment_of(resource: Resource, renamed: Mapping[str, str] = MappingProxyType({})) -> Compartment:
    """Compartment of a valid resource with an id; a patient's takes precedence over a practitioner's. A resource that names
    several patients and belongs to none of them (a Group) has no person. renamed: targets of references."""
    kind = resource["resourceType"]
    if kind in PERSONS:
        return Compartment(f"{kind}/{resource['id']}")
    for name in DIRECT:
        named = resource.get(name)
        person = _person(resource, name, named, renamed) if isinstance(named, dict) else None
        if person is not None:
            return Compartment(person)
    all_named = list(dict.fromkeys(normalize_reference(renamed.get(t, t)) for t in references(resource)))
    patients = [t for t in all_named if PATIENT.search(t)]
    if len(patients) == 1:
        return Compartment(patients[0])
    if not patients and any(c.get("resourceType") == "Patient" for c in resource.get("contained", ())):
        return Compartment(f"{kind}/{resource['id']}#contained")
    through = tuple(t for t in all_named if not PERSON.search(t))
    return Compartment(None, tuple(patients), () if patients else through)


def _person(resource: Resource, name: str, named: Resource, renamed: Mapping[str, str]) -> str | None:
    """The person that an element names, possibly one that only this resource knows; None if it names none.

    An unknown patient is a person of their own: their record must never be stored as nobody's, which no consent protects.
    """
    text, own = named.get("reference"), f"{resource['resourceType']}/{resource['id']}"
    if isinstance(text, str):
        text = renamed.get(text, text)
        if text.startswith("#"):
            inside = [c for c in resource.get("contained", ()) if c.get("id") == text[1:]]
            return own + text if inside and inside[0].get("resourceType") == "Patient" else None
        typed = TYPED.search(text)
        kind = typed[1] if typed else named.get("type", "Patient" if name in OF_PATIENTS else "")
        return (
            normalize_reference(text) if kind == "Patient" or (name in ("practitioner", "link") and kind in PERSONS) else None
        )
    if name not in OF_PATIENTS or named.get("type", "Patient") != "Patient":
        return None
    value = named.get("identifier", {}).get("value")
    return f"Patient?identifier={named['identifier'].get('system', '')}|{value}" if value else f"{own}#{name}"


@lru_cache(20_000)
def normalize_reference(reference: str) -> str:
    """A reference without its version and without the id of a contained resource."""
    return HISTORY.sub("", reference)


def _compact(resource: Resource) -> bytes:
    try:
        return orjson.dumps(resource)
    except TypeError:  # an integer of more than 64 bits, which JSON allows
        return json.dumps(resource, separators=(",", ":"), ensure_ascii=False).encode("utf-8", "surrogatepass")


def references(resource: Resource, compact: bytes | None = None) -> list[str]:
    """The distinct references in a resource, except to contained resources. compact: the resource as orjson writes it."""
    found: dict[str, None] = {}
    pieces = (_compact(resource) if compact is None else compact).split(b'"reference":"')
    for piece in pieces[1:]:  # twice as fast as a walk, and as a regular expression
        text = piece[: piece.index(b'"')]
        if b"\\" in text:
            text = STRING.match(piece)[0]  # type: ignore[index]  # JSON's own: it ends
        if text[:1] != b"#":
            found[text.decode() if b"\\" not in text else str(orjson.loads(b'"' + text + b'"'))] = None
    return list(found)


def identifier_searches(resource: Resource) -> Iterator[str]:
    """Identifier searches that match this resource: Type?identifier=system|value, and without the system."""
    given = resource.get("identifier", ())
    for one in given if isinstance(given, list) else (given,):
        value = one.get("value") if isinstance(one, dict) else None
        if isinstance(value, str):
            yield f"{resource['resourceType']}?identifier={one.get('system', '')}|{value}"
            yield f"{resource['resourceType']}?identifier={value}"
