"""De-identification of FHIR R4 files: resources, Bundles or NDJSON, plain or compressed with gzip."""

import gzip
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from galenic.errors import RecordError
from galenic.privacy.deidentification.rules.fhir import FhirRules, deidentify_resource
from galenic.privacy.deidentification.run import DeidentificationRun


class FhirDeidentifier:
    """Resource by resource: an invalid resource is refused, the others are written."""

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
    """Identifiers that a Patient resource states, by kind."""
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
    for entry in resource.get("entry", ()) if resource.get("resourceType") == "Bundle" else ():
        if isinstance(entry.get("resource"), dict):
            yield entry["resource"]


def _errors(document: Any) -> list[str]:
    from galenic.records import fhir  # noqa: PLC0415

    issues = fhir.validate_resource(document.resource)
    return [f"{i.expression} {i.rule}: {i.text}" for i in issues if i.level == "error"]


def _deidentified(resource: dict[str, Any], run: DeidentificationRun) -> dict[str, Any]:
    from galenic.records import fhir  # noqa: PLC0415

    if resource["resourceType"] == "Bundle":
        patients = [str(r["id"]) for r in _with_entries(resource) if r.get("resourceType") == "Patient" and "id" in r]
    else:
        patients = [(fhir.compartment_of({"id": "", **resource}).person or "").removeprefix("Patient/")]
    replacer = run.replacer(",".join(patients))
    rules = FhirRules(run.detector, replacer, run.token_key, run.stated_by(patients), run.report.findings)
    clean = deidentify_resource(resource, rules)
    run.report.count(replacer, rules.omissions)
    return clean
