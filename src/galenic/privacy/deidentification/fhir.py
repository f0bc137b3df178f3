"""FHIR R4, as resources, Bundles or NDJSON, plain or gzip."""

import gzip
import hmac
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from galenic.errors import RecordError
from galenic.privacy.deidentification.rules.fhir import FhirRules, deidentify_resource
from galenic.privacy.deidentification.run import DeidentificationRun


def is_fhir(file: Path) -> bool:
    """By its ending."""
    return file.name.removesuffix(".gz").endswith((".json", ".ndjson"))


def _resources(file: Path) -> Iterator[tuple[int, Any, str]]:
    """Line (0: the whole file), the document or None, and then why there is none."""
    from galenic.records import fhir  # noqa: PLC0415  # its definitions load when they are needed

    if fhir.is_ndjson(file):
        for line in fhir.read_ndjson(file):
            yield line.number, line.document, line.fault
    else:
        yield 0, fhir.parse(fhir.read_whole(file), "the file"), ""


def _inside(resource: dict[str, Any]) -> Iterator[dict[str, Any]]:
    yield resource
    for entry in resource.get("entry", ()) if resource.get("resourceType") == "Bundle" else ():
        if isinstance(entry.get("resource"), dict):
            yield entry["resource"]


def learn_fhir(file: Path, run: DeidentificationRun) -> None:
    """What patients' own records state of them."""
    try:
        for _, whole, _ in _resources(file):
            for resource in _inside(whole.exact) if whole else ():
                if resource.get("resourceType") == "Patient" and "id" in resource:
                    run.learn(str(resource["id"]), identifiers_of_patient(resource))
    except RecordError:
        return  # said when the file itself has its turn


def identifiers_of_patient(patient: dict[str, Any]) -> dict[str, tuple[str, ...]]:
    """What a Patient states of itself, by kind."""
    every = [*patient.get("name", ()), *(c.get("name", {}) for c in patient.get("contact", ()))]
    names = [t for n in every for t in (n.get("family"), n.get("text"), *n.get("given", ())) if t]
    names += [" ".join((*n["given"], n["family"])) for n in every if n.get("given") and n.get("family")]
    places = [t for a in patient.get("address", ()) for t in (*a.get("line", ()), a.get("city"), a.get("postalCode")) if t]
    return {
        "name": tuple(names),
        "place": tuple(places),
        "record": tuple(str(i["value"]) for i in patient.get("identifier", ()) if "value" in i),
        "phone": tuple(str(t["value"]) for t in patient.get("telecom", ()) if "value" in t),
    }


def write_fhir(file: Path, out: Path, run: DeidentificationRun) -> None:
    """One file's resources, each by itself: what is not valid is refused, the rest comes out."""
    from galenic.records import fhir  # noqa: PLC0415

    opened = gzip.GzipFile(out, "wb", mtime=0) if out.name.endswith(".gz") else out.open("wb")
    with opened as target:
        for number, document, fault in _resources(file):
            wrong = (
                [f"{i.expression} {i.rule}: {i.text}" for i in fhir.validate_resource(document.resource) if i.level == "error"]
                if document
                else [fault]
            )
            if wrong:
                run.done.refused.append((f"{out.name}, line {number}" if number else out.name, wrong[0]))
                continue
            clean = _resource(document.exact, run)
            target.write(fhir.write_json(clean) + b"\n")
            run.done.resources.update(r["resourceType"] for r in _inside(clean))


def _resource(resource: dict[str, Any], run: DeidentificationRun) -> dict[str, Any]:
    from galenic.records import fhir  # noqa: PLC0415

    if resource["resourceType"] == "Bundle":
        patients = [str(r["id"]) for r in _inside(resource) if r.get("resourceType") == "Patient" and "id" in r]
    else:
        patients = [(fhir.compartment_of({"id": "", **resource}).person or "").removeprefix("Patient/")]
    replacer = run.replacer(",".join(patients))
    rules = FhirRules(run.detector, replacer, hmac.digest(run.key, b"tokens", "sha256"), run.of(patients), run.done.taken)
    clean = deidentify_resource(resource, rules)
    run.done.treated.update(replacer.counted)
    run.done.dropped.update(rules.dropped)
    return clean
