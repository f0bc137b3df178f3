"""FHIR R4 files (JSON and NDJSON, plain or gzip) as a format of patient data."""

import os
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import orjson
import pyarrow as pa

from galenic.records.format import EventSource, WriteResult
from galenic.records.links import refuse_links
from galenic.schema import events_by_subject, timeline_table
from galenic.store import file_aside, folder_aside

if TYPE_CHECKING:
    from galenic.records.fhir import Document

SUFFIXES = (".json", ".ndjson", ".jsonl", ".json.gz", ".ndjson.gz", ".jsonl.gz")
EXPORT_LOG = "log.ndjson"  # of a bulk export: no resources
TABLE_EVENTS = 100_000
Rows = list[tuple[object, ...]]


def fhir_files(paths: list[Path]) -> list[Path]:
    """FHIR files among paths and in folders among them, at any depth, without the log of a bulk export."""
    files = []
    for path in paths:
        if path.is_dir():
            refuse_links(path)
        files += [p for p in sorted(path.rglob("*")) if _is_fhir(p) and p.name != EXPORT_LOG] if path.is_dir() else [path]
    return files


def file_names(files: list[Path], given: list[Path]) -> list[str]:
    """Names that distinguish files: relative to the given folder, otherwise to their common folder."""
    if len(given) == 1 and given[0].is_dir():
        return [str(f.relative_to(given[0])) for f in files]
    parents = {f.absolute().parent for f in files}
    root = Path(os.path.commonpath(parents)) if parents else Path()
    return [str(f.absolute().relative_to(root)) for f in files]


def other_files(paths: list[Path]) -> list[Path]:
    """Files in folders among paths that do not have the name of a FHIR file. Hidden files and the log of a bulk export are left
    out."""
    found = [p for path in paths if path.is_dir() for p in sorted(path.rglob("*")) if p.is_file() and not _is_fhir(p)]
    return [p for p in found if p.name != EXPORT_LOG and not p.name.startswith(".")]


def _is_fhir(path: Path) -> bool:
    return path.is_file() and path.name.lower().endswith(SUFFIXES)


class FhirFormat:
    """FHIR R4, written as a folder of NDJSON files by type, or as one Bundle (which is recognized and read as any FHIR file)."""

    has_events = True

    def __init__(self, *, bundle: bool = False) -> None:
        self._bundle = bundle

    def recognize(self, path: Path) -> bool:
        """A JSON or NDJSON file, or a folder with some. The variant that writes a Bundle recognizes nothing."""
        return not self._bundle and (_is_fhir(path) or (path.is_dir() and any(_is_fhir(p) for p in path.iterdir())))

    def read(self, paths: list[Path]) -> Iterator["Document"]:
        """Documents (resources and Bundles) of the files; files that are not JSON are left out."""
        from galenic.records.fhir import documents_of  # noqa: PLC0415  # its definitions load when they are needed

        return (document for path in fhir_files(paths) for document in documents_of(path))

    def to_events(self, paths: list[Path]) -> Iterator[pa.Table]:
        """Events of every resource with a matching event. Validation is left to `galenic fhir validate`."""
        rows: Rows = []
        numbers: dict[str, int] = {}
        for document in self.read(paths):
            for resource, renamed in _resources(document):
                rows += _events(resource, renamed, numbers)
            if len(rows) > TABLE_EVENTS:
                yield timeline_table(rows)
                rows = []
        if rows:
            yield timeline_table(rows)

    def write(self, events: Iterator[pa.Table], target: Path, source: EventSource) -> WriteResult:
        """Writes the resources of each patient, with a Provenance that states that they were made or converted."""
        from galenic.records.fhir import (  # noqa: PLC0415
            MAPPED,
            SYNTHETIC,
            FhirWriter,
            Origin,
            events_to_resources,
            write_json,
        )

        label = SYNTHETIC if source.synthetic else MAPPED
        origin = Origin(source.agent, source.entity, label, datetime.now(UTC), ucum=source.ucum)
        result = WriteResult()
        aside = file_aside if self._bundle else folder_aside
        with aside(target) as place, FhirWriter(place, result.written, bundle=self._bundle) as writer:
            for subject, rows in events_by_subject(events):
                for resource in events_to_resources(str(subject), rows, origin, source.descriptions, result.dropped):
                    writer.put(resource["resourceType"], resource["id"], write_json(resource))
        return result


def _resources(document: "Document") -> list[tuple[dict[str, Any], dict[str, str]]]:
    """(resource, replacements of references) of a document; for a Bundle, of each entry."""
    from galenic.records.fhir import open_bundle  # noqa: PLC0415

    found: list[tuple[dict[str, Any], dict[str, str]]] = []
    waiting: list[tuple[dict[str, Any], bytes, dict[str, str]]] = [(document.resource, document.raw, {})]
    while waiting:
        resource, raw, renamed = waiting.pop(0)
        if resource.get("resourceType") == "Bundle":
            inside = [e for e in open_bundle(resource, raw).entries if not e.deleted]
            waiting = [(e.resource, orjson.dumps(e.resource), e.renamed) for e in inside] + waiting
        else:
            found.append((resource, renamed))
    return found


def _events(resource: dict[str, Any], renamed: dict[str, str], numbers: dict[str, int]) -> Rows:
    """Events of one resource under its patient's number; `numbers` grows."""
    from galenic.records.fhir import resource_to_events  # noqa: PLC0415

    converted = resource_to_events(resource, renamed=renamed)
    patient = renamed.get(str(converted.patient), converted.patient)
    if patient is None:
        return []
    number = numbers.setdefault(str(patient), len(numbers) + 1)
    return [(number, *event, None) for event in converted.events]
