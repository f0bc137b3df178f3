"""The patient of each resource in a Bundle, by any form of reference."""

import hashlib
import re
from collections.abc import Iterator
from functools import cached_property
from typing import Any

_PATIENT = re.compile(r"(?:^|/)Patient/([A-Za-z0-9\-.]{1,64})")
_END = re.compile(r"(?:/_history/[A-Za-z0-9\-.]{1,64})?(?:#.*)?\Z", re.S)
MOST_STEPS = 10  # from a resource to its patient, through others

Resource = dict[str, Any]


def patients_of(resource: Resource, renamed: dict[str, str] | None = None) -> list[str]:
    """Id of the patient that a resource belongs to, from a relative or absolute reference; otherwise the ids of all patients
    that it names.

    renamed: targets of references.
    """
    from galenic.records import fhir  # noqa: PLC0415  # its definitions are loaded on first use

    compartment = fhir.compartment_of({"id": "", **resource}, renamed or {})
    named = [compartment.person] if compartment.person else [*compartment.patients]
    return [m[1] if (m := _PATIENT.search(one)) else one for one in named] or [""]


def entry_resources(resource: Resource) -> Iterator[tuple[Resource, Resource]]:
    """(entry, its resource) of a Bundle and of the Bundles in it."""
    for entry in resource.get("entry", ()) if resource.get("resourceType") == "Bundle" else ():
        if isinstance(entry.get("resource"), dict):
            yield entry, entry["resource"]
            yield from entry_resources(entry["resource"])


class BundlePatients:
    """Patient of each resource in a Bundle.

    A reference names the Patient of an entry by the entry's full URL, by its type and id, with or without a version, or by an
    identifier.
    """

    def __init__(self, bundle: Resource) -> None:
        self.entries = [*entry_resources(bundle)]
        self.owners: dict[int, str] = {}  # by the id() of a resource, the id of its patient
        self._places = {name: at for at, one in enumerate(self.entries) for name in _names(*one)}
        self._names: dict[str, str] = {}  # by what may refer to it, the Patient of an entry
        for entry, resource in self.entries:
            if resource.get("resourceType") == "Patient" and (ident := _patient_id(entry, resource)):
                self.owners[id(resource)] = ident
                self._names.update(dict.fromkeys(_names(entry, resource), f"Patient/{ident}"))
        unknown = [r for _, r in self.entries if r.get("resourceType") not in ("Patient", "Practitioner", "Bundle")]
        through = {id(r): inner for r in unknown if (inner := self._direct(r))}
        for _ in range(MOST_STEPS):
            found = {one: owner for one, inner in through.items() if (owner := self._only_owner(inner))}
            if not found:
                break
            self.owners.update(found)
            through = {one: inner for one, inner in through.items() if one not in found}

    @cached_property
    def patients(self) -> list[str]:
        """Ids of the patients of the entries, those of Patient resources first."""
        return list(dict.fromkeys(self.owners.values()))

    def owner(self, resource: Resource) -> str | None:
        """Id of the patient that a resource of the Bundle belongs to; None if it belongs to nobody or possibly several
        patients."""
        return self.owners.get(id(resource))

    def _direct(self, resource: Resource) -> list[Resource]:
        """Enter the patient whom a resource names; or else the resources of the Bundle to which it refers."""
        from galenic.records import fhir  # noqa: PLC0415

        targets = [*map(_without_version, fhir.references(resource))]
        renamed = {t: self._names[name] for t in fhir.references(resource) if (name := _without_version(t)) in self._names}
        kind = "Basic" if resource["resourceType"] == "Person" else resource["resourceType"]  # a Person links to a Patient
        compartment = fhir.compartment_of({"id": "", **resource, "resourceType": kind}, renamed)
        named = [compartment.person] if compartment.person else [*compartment.patients]
        patients = {m[1] if (m := _PATIENT.search(self._names.get(one, one))) else "" for one in named}
        if len(patients) == 1 and "" not in patients:
            self.owners[id(resource)] = patients.pop()
        return [] if named else [self.entries[self._places[t]][1] for t in targets if t in self._places]

    def _only_owner(self, resources: list[Resource]) -> str | None:
        owners = {self.owners[id(r)] for r in resources if id(r) in self.owners}
        return owners.pop() if len(owners) == 1 else None


def _without_version(reference: str) -> str:
    return _END.sub("", reference, count=1)


def _patient_id(entry: Resource, patient: Resource) -> str:
    """The id of an entry's Patient: its own, one in a URL of the entry, or one made of the entry's full URL; "" without any."""
    if "id" in patient:
        return str(patient["id"])
    url = str(entry.get("fullUrl", ""))
    request = entry.get("request", {})
    found = _PATIENT.search(url) or _PATIENT.search(str(request.get("url", "")))
    return found[1] if found else hashlib.sha256(url.encode("utf-8", "surrogatepass")).hexdigest() if url else ""


def _names(entry: Resource, resource: Resource) -> Iterator[str]:
    """References, without versions, that resolve to the resource of an entry."""
    from galenic.records import fhir  # noqa: PLC0415

    if isinstance(entry.get("fullUrl"), str):
        yield _without_version(entry["fullUrl"])
    if "id" in resource:
        yield f"{resource['resourceType']}/{resource['id']}"
    if resource.get("resourceType") == "Patient":
        yield from fhir.identifier_searches(resource)
