"""De-identification of FHIR R4 files: resources, Bundles or NDJSON, plain or compressed with gzip."""

import gzip
from collections.abc import Iterator
from functools import lru_cache
from pathlib import Path
from typing import Any

from galenic.errors import RecordError
from galenic.privacy.deidentification.bundle_patients import BundlePatients, entry_resources, patients_of
from galenic.privacy.deidentification.rules.fhir import deidentify_resource
from galenic.privacy.deidentification.rules.fhir_rules import FhirRules
from galenic.privacy.deidentification.run import DeidentificationRun
from galenic.privacy.text import Replacer, StatedIdentifiers

_PERSONS = ("Patient", "RelatedPerson", "Practitioner", "Person")
FEW_PATIENTS = 50  # up to so many, a resource without a patient is searched for the identifiers of all of them


class FhirDeidentifier:
    """De-identifies one resource at a time. An invalid resource is refused; the others are written."""

    def recognizes(self, path: Path) -> bool:
        """By the file name."""
        return path.name.removesuffix(".gz").endswith((".json", ".ndjson"))

    def learn(self, file: Path, run: DeidentificationRun) -> None:
        """Add the identifiers that Patient resources state."""
        try:
            for _, document, _ in _documents(file):
                for resource in _with_entries(document.exact) if document else ():
                    if resource.get("resourceType") == "Patient" and "id" in resource:
                        run.learn(str(resource["id"]), identifiers_of_patient(resource))
        except RecordError:
            return  # reported when the file itself is de-identified

    def deidentify(self, file: Path, out: Path, run: DeidentificationRun) -> None:
        """Write the valid resources of a file without identifiers."""
        from galenic.records import fhir  # noqa: PLC0415  # its definitions are loaded on first use

        stream = gzip.GzipFile(out, "wb", mtime=0) if out.name.endswith(".gz") else out.open("wb")
        with stream as target:
            for number, document, fault in _documents(file):
                faults = _errors(document) if document else [fault]
                if faults:
                    run.report.refusals.append((f"{out.name}, line {number}" if number else out.name, faults[0]))
                    continue
                clean = _deidentified(document.exact, run)
                target.write(fhir.write_json(clean) + b"\n")
                run.report.resources.update(r["resourceType"] for r in _with_entries(clean))


def identifiers_of_patient(patient: dict[str, Any]) -> dict[str, tuple[str, ...]]:
    """Identifiers, by kind, that a Patient resource or that of another person states."""
    names_given = patient.get("name", ())
    every = [*(names_given if isinstance(names_given, list) else ()), *(c.get("name", {}) for c in patient.get("contact", ()))]
    names = [t for n in every for t in (n.get("family"), n.get("text"), *n.get("given", ())) if t]
    names += [" ".join((*n["given"], n["family"])) for n in every if n.get("given") and n.get("family")]
    addresses = patient.get("address", ())
    places = [
        t
        for a in (addresses if isinstance(addresses, list) else ())
        for t in (*a.get("line", ()), a.get("city"), a.get("postalCode"), a.get("text"))
        if t
    ]
    phones = [t for one in (patient, *patient.get("contact", ())) for t in one.get("telecom", ())]
    return {
        "name": tuple(names),
        "place": tuple(places),
        "record": tuple(str(i["value"]) for i in patient.get("identifier", ()) if "value" in i),
        "phone": tuple(str(t["value"]) for t in phones if "value" in t),
        "date": (str(patient["birthDate"]),) if len(str(patient.get("birthDate", ""))) == len("2000-01-01") else (),
    }


def _documents(file: Path) -> Iterator[tuple[int, Any, str]]:
    """(line number, or 0 for a whole file; parsed document or None; fault if there is no document)."""
    from galenic.records import fhir  # noqa: PLC0415  # its definitions are loaded on first use

    if fhir.is_ndjson(file):
        for line in fhir.read_ndjson(file):
            yield line.number, line.document, line.fault
    else:
        yield 0, fhir.parse(fhir.read_whole(file), "the file"), ""


def _with_entries(resource: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """The resource, and the resources of a Bundle."""
    yield resource
    yield from (one for _, one in entry_resources(resource))


def _errors(document: Any) -> list[str]:
    from galenic.records import fhir  # noqa: PLC0415

    issues = fhir.validate_resource(document.resource)
    return [f"{i.expression} {i.rule}: {i.text}" for i in issues if i.level == "error"]


def _deidentified(resource: dict[str, Any], run: DeidentificationRun) -> dict[str, Any]:
    persons = [r for r in _with_entries(resource) if r.get("resourceType") in _PERSONS]
    of_entries = BundlePatients(resource) if resource["resourceType"] == "Bundle" else None
    patients = patients_of(resource) if of_entries is None else _patients_of_bundle(of_entries, persons, run)
    replacer = run.replacer(",".join(patients))
    replacers = {"": replacer}

    def replacer_for(entry: dict[str, Any]) -> Replacer:
        """Replacer of the patient that a resource of a Bundle belongs to, or of the Bundle if this is unclear."""
        own = of_entries.owner(entry) if of_entries else None
        return replacers.setdefault(own, run.replacer(own)) if own in patients else replacer

    rules = FhirRules(run.detector, replacer, run.token_key, _stated(patients, persons, run), run.report.findings)
    if len(patients) > 1:
        rules.replacer_for = replacer_for
    clean = deidentify_resource(resource, rules)
    for one in replacers.values():
        run.report.count(one)
    run.report.omissions.update(rules.omissions)
    return clean


def _patients_of_bundle(bundle: BundlePatients, persons: list[dict[str, Any]], run: DeidentificationRun) -> list[str]:
    """Patients of the entries; where one is a Patient, others only if their records are known."""
    own = list(dict.fromkeys(owner for p in persons if p["resourceType"] == "Patient" and (owner := bundle.owner(p))))
    return own + [p for p in bundle.patients if p not in own and (len(own) != 1 or p in run.stated_identifiers)]


def _stated(patients: list[str], persons: list[dict[str, Any]], run: DeidentificationRun) -> StatedIdentifiers | None:
    """Identifiers of the patients whom a document is about, of the people in it, and of all patients where it names none of few."""
    known = [p for p in patients if p in run.stated_identifiers]
    if not known and len(run.stated_identifiers) <= FEW_PATIENTS:
        known = list(run.stated_identifiers)
    by_kind: dict[str, list[str]] = {}
    for one in (*(run.stated_identifiers[p] for p in known), *map(identifiers_of_patient, persons)):
        for kind, found in one.items():
            by_kind.setdefault(kind, []).extend(found)
    if not by_kind:
        return None
    return _combined(tuple((kind, tuple(dict.fromkeys(found))) for kind, found in by_kind.items()), run.detector.common)


@lru_cache(500)
def _combined(by_kind: tuple[tuple[str, tuple[str, ...]], ...], common: frozenset[str]) -> StatedIdentifiers:
    return StatedIdentifiers(dict(by_kind), common)
