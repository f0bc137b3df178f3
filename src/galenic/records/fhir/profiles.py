"""Profiles that resources declare or that a client requests: their validation, and a warning for unsupported ones."""

import re
from collections.abc import Iterator, Sequence
from typing import Any

from galenic.records.fhir.definitions import r4
from galenic.records.fhir.issue import ValidationIssue
from galenic.records.fhir.vital_signs import check_vital_sign, vital_signs

Resource = dict[str, Any]
BASE = "http://hl7.org/fhir/StructureDefinition/"
SHOWN = re.compile(r"[a-z][a-z0-9+.\-]*:[\x21-\x7e]{1,200}", re.IGNORECASE)  # profiles that a message may name
EVERY = ("Resource", "DomainResource")
VERSIONS = ("", "4.0", "4.0.1")


def claimed_profiles(resource: Any, where: str = "") -> Iterator[tuple[str, Resource, str]]:
    """(FHIRPath, resource, canonical URL) of every profile in meta.profile of a resource and of those that it contains."""
    if not isinstance(resource, dict) or not isinstance(resource.get("resourceType"), str):
        return
    where = where or resource["resourceType"]
    meta = resource.get("meta")
    given = meta.get("profile") if isinstance(meta, dict) else None
    if isinstance(given, list):
        yield from ((where, resource, url) for url in given if isinstance(url, str))
    for name, inner in (("contained", ""), ("entry", "resource"), ("parameter", "resource")):
        held = resource.get(name)
        for i, one in enumerate(held if isinstance(held, list) else ()):
            place, of = f"{where}.{name}[{i}]", one
            if inner:
                place, of = f"{place}.{inner}", one.get(inner) if isinstance(one, dict) else None
            yield from claimed_profiles(of, place)


def is_checked(url: str) -> bool:
    """True if validation covers a profile: R4's own definition of a resource type, or one of R4's profiles of vital signs."""
    name, _, version = url.partition("|")
    own = name.removeprefix(BASE)
    return version in VERSIONS and name.startswith(BASE) and (own in {*r4().resources, *EVERY} or own in vital_signs())


def name_of(url: str) -> str:
    """Name of the profile for messages."""
    return url if SHOWN.fullmatch(url) else "(with an invalid URL)"


def check_profile(resource: Any, url: str, where: str) -> list[ValidationIssue]:
    """Issues of a resource under a profile, or one that states that the profile is not checked."""
    kind = resource.get("resourceType") if isinstance(resource, dict) else None
    if not is_checked(url):
        what = f"the profile {name_of(url)} is not loaded here, so it was not checked. Only base R4 was checked."
        return [ValidationIssue("warning", where, "profile-not-checked", what)]
    own = url.partition("|")[0].removeprefix(BASE)
    wanted = "Observation" if own in vital_signs() else own
    if wanted not in (kind, *EVERY):
        return [ValidationIssue("error", where, "profile-type", f"is not a {wanted}, which the profile requires.")]
    return list(check_vital_sign(resource, own, where)) if own in vital_signs() else []


def check_profiles(resource: Any, asked: Sequence[str] = (), *, is_valid: bool) -> list[ValidationIssue]:
    """Issues of the profiles that a client requests, and of those that a resource and its parts declare. An invalid resource is
    not checked against profiles, but unsupported ones are still reported."""
    where = str(resource.get("resourceType")) if isinstance(resource, dict) else ""
    wanted = [(where, resource, url) for url in asked] + list(claimed_profiles(resource))
    return [i for place, holder, url in wanted if is_valid or not is_checked(url) for i in check_profile(holder, url, place)]
