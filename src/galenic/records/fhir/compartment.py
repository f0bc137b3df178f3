"""Whose a resource is: the person under whose key it belongs, by what R4 has it say."""

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import lru_cache
from types import MappingProxyType
from typing import Any

import orjson

Resource = dict[str, Any]
PERSONS = ("Patient", "Practitioner", "Person")  # whose own record a resource can be
DIRECT = ("patient", "subject", "beneficiary", "individual", "for", "practitioner", "link")
OF_PATIENTS = ("patient", "subject", "beneficiary")
TYPED = re.compile(r"(?:^|/)([A-Z][A-Za-z]+)[/?]")
PATIENT = re.compile(r"(?:^|/)Patient[/?]")
PERSON = re.compile(r"(?:^|/)(?:Patient|Practitioner|Person)[/?]")
STRING = re.compile(rb'(?:[^"\\]|\\.)*')
HISTORY = re.compile(r"/_history/[A-Za-z0-9\-.]{1,64}$|#.*$")


@dataclass(frozen=True, slots=True)
class Compartment:
    """person: reference to whose it is; None where that is said nowhere. patients: all whom it names, where it names several
    and is none's. through: what else it refers to, which may be somebody's."""

    person: str | None
    patients: tuple[str, ...] = ()
    through: tuple[str, ...] = ()


def compartment_of(resource: Resource, renamed: Mapping[str, str] = MappingProxyType({})) -> Compartment:
    """Whose a valid resource with an id is. A patient's before a practitioner's; what names several patients at once and belongs
    to none of them (a Group) is nobody's. renamed: what references mean that do not say it themselves."""
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
    """The person that an element names, one that only this resource knows among them; None where it names none.

    What can not be told is somebody's of their own: a record of an unknown patient is never nobody's, whom no consent protects.
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
    """A reference without the version or the contained resource that it may name."""
    return HISTORY.sub("", reference)


def _compact(resource: Resource) -> bytes:
    try:
        return orjson.dumps(resource)
    except TypeError:  # an integer of more than 64 bits, which JSON allows
        return json.dumps(resource, separators=(",", ":"), ensure_ascii=False).encode("utf-8", "surrogatepass")


def references(resource: Resource, compact: bytes | None = None) -> list[str]:
    """Every reference in a resource but those to contained resources, each once. compact: the resource as orjson writes it."""
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
    """Searches that mean this resource: Type?identifier=system|value, and without the system."""
    given = resource.get("identifier", ())
    for one in given if isinstance(given, list) else (given,):
        value = one.get("value") if isinstance(one, dict) else None
        if isinstance(value, str):
            yield f"{resource['resourceType']}?identifier={one.get('system', '')}|{value}"
            yield f"{resource['resourceType']}?identifier={value}"
