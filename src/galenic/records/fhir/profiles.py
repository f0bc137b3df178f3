"""Profiles that resources claim or that a client asks for: which of them validation covers, and a warning for those it does not."""

import re
from collections.abc import Iterator
from typing import Any

from galenic.records.fhir.definitions import r4
from galenic.records.fhir.issue import ValidationIssue

BASE = "http://hl7.org/fhir/StructureDefinition/"
SHOWN = re.compile(r"[a-z][a-z0-9+.\-]*:[\x21-\x7e]{1,200}", re.IGNORECASE)  # profiles that a message may name
VERSIONS = ("", "4.0", "4.0.1")


def claimed_profiles(resource: Any, where: str = "") -> Iterator[tuple[str, str]]:
    """(FHIRPath, canonical URL) of every profile in meta.profile of a resource and of those that it holds."""
    if not isinstance(resource, dict) or not isinstance(resource.get("resourceType"), str):
        return
    where = where or resource["resourceType"]
    meta = resource.get("meta")
    given = meta.get("profile") if isinstance(meta, dict) else None
    if isinstance(given, list):
        yield from ((f"{where}.meta.profile[{i}]", url) for i, url in enumerate(given) if isinstance(url, str))
    for name, inner in (("contained", ""), ("entry", "resource"), ("parameter", "resource")):
        held = resource.get(name)
        for i, one in enumerate(held if isinstance(held, list) else ()):
            place, of = f"{where}.{name}[{i}]", one
            if inner:
                place, of = f"{place}.{inner}", one.get(inner) if isinstance(one, dict) else None
            yield from claimed_profiles(of, place)


def is_checked(url: str) -> bool:
    """Whether validation covers a profile: R4's own definition of a resource type."""
    name, _, version = url.partition("|")
    return (
        version in VERSIONS
        and name.startswith(BASE)
        and name.removeprefix(BASE) in {*r4().resources, "Resource", "DomainResource"}
    )


def name_of(url: str) -> str:
    """The profile as a message may name it."""
    return url if SHOWN.fullmatch(url) else "(whose name is no URL)"


def check_profile(resource: Any, url: str, where: str) -> list[ValidationIssue]:
    """The issues of a resource with a profile: another type than the profile's, or that the profile is not checked."""
    kind = resource.get("resourceType") if isinstance(resource, dict) else None
    if not is_checked(url):
        what = f"the profile {name_of(url)} is not loaded here, so it was not checked. Only R4 itself was."
        return [ValidationIssue("warning", where, "profile-not-checked", what)]
    wanted = url.partition("|")[0].removeprefix(BASE)
    if wanted in (kind, "Resource", "DomainResource"):
        return []
    return [ValidationIssue("error", where, "profile-type", f"is no {wanted}, which the profile is for.")]


def check_claimed_profiles(resource: Any) -> list[ValidationIssue]:
    """The issues of the profiles that a resource claims."""
    claimed = list(claimed_profiles(resource))
    if all(is_checked(url) for _, url in claimed):
        return []
    return [issue for where, url in claimed if not is_checked(url) for issue in check_profile(resource, url, where)]
