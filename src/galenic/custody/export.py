"""Records leave custody to an entitled person, in a standard's form: FHIR R4, OMOP CDM 5.4, MEDS, events as CSV or Parquet."""

import json
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass, field
from datetime import UTC, datetime
from itertools import pairwise
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv as pacsv
import pyarrow.parquet as pq

from galenic import __version__, records, store
from galenic.custody.timelines import Timelines, read_timelines
from galenic.errors import OptionError
from galenic.installation import Installation
from galenic.records import OmopWriter, unpack_all, write_meds
from galenic.schema import TIMELINE
from galenic.security import Grant, Session

if TYPE_CHECKING:
    pass

FORMS = ("fhir", "bundle", "omop", "meds", "csv", "parquet")
BASE = "https://galenic.invalid/fhir"  # where nothing can be fetched: a Bundle's entries need absolute names


@dataclass
class ExportResult:
    """What left: resources, rows or events by type or table; what had no place in the form, counted."""

    dataset: str
    form: str
    written: Counter[str] = field(default_factory=Counter)
    dropped: Counter[str] = field(default_factory=Counter)


def export_records(
    installation: Installation, session: Session, name: str, purpose: str, target: Path, form: str
) -> ExportResult:
    """Writes what a decision lets out, whole or not at all; the copy is listed as outside from then on.

    A data set goes back into its own form as it came (FHIR with references that name what they mean). In another form patients
    get new numbers and ids of the source stay behind: who may know them asks for the data set's own form.
    """
    if form not in FORMS:
        raise OptionError(f"{form!r} is no form of export. Expected one of {', '.join(FORMS)}.")
    known = store.dataset(installation.db, name, session.tenant)
    done = ExportResult(name, form)
    own = {"fhir": "fhir", "bundle": "fhir"}.get(form, form) == known["kind"] and form != "meds"
    with installation.gate.open(session, "export", store.resource(name), purpose) as handle:
        handle.to = str(target)
        aside = store.file_aside if form in ("bundle", "csv", "parquet") else store.folder_aside
        if form == "meds":
            with read_timelines(installation, handle, known) as lines:
                done.written["events"] = write_meds(_renumbered(lines), target, name=name, codes=lines.codes)
                done.dropped.update(lines.dropped)
        else:
            with aside(target) as place:
                if own:
                    _own(installation, handle, known, place, done)
                else:
                    with read_timelines(installation, handle, known) as lines:
                        _converted(lines, place, done)
                handle.beat()
        _list_as_outside(installation, handle, known, purpose, target, done)
    return done


def _list_as_outside(
    installation: Installation, handle: Grant, known: store.Dataset, purpose: str, target: Path, done: ExportResult
) -> None:
    name = str(known["name"])
    who = [s for s in store.subjects_of(installation.db, handle, name) if s != store.NO_SUBJECT]
    row = {"id": f"export/{handle.decision}", "kind": "export", "made_from": f"table/{name}", "place": "outside"}
    store.add_artefact(installation.db, row, who)
    mark = {"decision": handle.decision, "watermark": handle.watermark, "dataset": name, "purpose": purpose}
    with store.file_aside(target.with_name(target.name + ".decision.json")) as aside:
        aside.write_text(json.dumps({**mark, "form": done.form, "written": done.written, "dropped": done.dropped}, indent=1))


def _own(installation: Installation, handle: Grant, known: store.Dataset, place: Path, done: ExportResult) -> None:
    if known["kind"] == "omop":
        _omop_tables(installation, handle, known, place, done)
        return
    from galenic.records.fhir import write_json  # noqa: PLC0415  # its definitions load when they are needed

    with FhirWriter(place, done.form, done.written) as out:
        for resource in _resources(installation, handle, known):
            out.put(resource["resourceType"], resource["id"], write_json(resource))


def _resources(installation: Installation, handle: Grant, known: store.Dataset) -> Iterator[dict[str, Any]]:
    from galenic.records.fhir import references, rename_references, restore_resource  # noqa: PLC0415

    meant: dict[str, str] = {}
    for batch in store.read_documents(installation.db, handle, known):
        found = [restore_resource(k.document, k.about) for k in batch if k.type != "Bundle"]
        searches = {t for r in found for t in references(r) if "?" in t and t not in meant}
        if searches:
            names = store.documents_by_identifier(installation.db, handle, known, sorted(searches))
            meant |= {s: names[s][0] for s in searches if len(set(names.get(s, ()))) == 1}
        for resource in found:
            rename_references(resource, meant)
            yield resource


class FhirWriter:
    """FHIR as a folder of NDJSON, a file per type, or as one Bundle (form "bundle"); `written` counts by type."""

    def __init__(self, place: Path, form: str, written: Counter[str]) -> None:
        self.place, self.form, self.written = place, form, written
        self._files: dict[str, IO[bytes]] = {}
        self._stack = ExitStack()

    def __enter__(self) -> "FhirWriter":
        if self.form == "bundle":
            self._files[""] = self._stack.enter_context(self.place.open("wb"))
            self._files[""].write(b'{"resourceType":"Bundle","type":"collection","entry":[')
        return self

    def put(self, kind: str, own: str, raw: bytes) -> None:
        """One resource, by its type and id."""
        if self.form == "bundle":
            comma = b",\n" if self.written else b"\n"
            self._files[""].write(comma + b'{"fullUrl":"' + f"{BASE}/{kind}/{own}".encode() + b'","resource":' + raw + b"}")
        else:
            if kind not in self._files:
                self._files[kind] = self._stack.enter_context((self.place / f"{kind}.ndjson").open("wb"))
            self._files[kind].write(raw + b"\n")
        self.written[kind] += 1

    def __exit__(self, *_error: object) -> None:
        if self.form == "bundle":
            self._files[""].write(b"\n]}\n")
        self._stack.close()


def _omop_tables(installation: Installation, handle: Grant, known: store.Dataset, place: Path, done: ExportResult) -> None:
    """OMOP's rows as they came, table by table."""
    writers: dict[str, tuple[pacsv.CSVWriter, pa.Schema]] = {}
    with ExitStack() as stack:
        for batch in store.read_documents(installation.db, handle, known):
            tables: dict[str, list[str]] = {}
            for kept in batch:
                tables.setdefault(kept.type, []).append(kept.document)
            for name, parts in tables.items():
                table = records.escape_formulas(unpack_all(parts))
                if name not in writers:
                    options = pacsv.WriteOptions(quoting_style="needed")
                    writer = stack.enter_context(pacsv.CSVWriter(place / f"{name}.csv", table.schema, write_options=options))
                    writers[name] = (writer, table.schema)
                writer, schema = writers[name]
                writer.write_table(table.select(schema.names).cast(schema))
                done.written[name] += table.num_rows


def _converted(lines: Timelines, place: Path, done: ExportResult) -> None:
    done.dropped.update(lines.dropped)
    batches = _renumbered(lines)
    if done.form == "csv":
        done.written["events"] = records.write_stream((_readable(b) for b in batches), place)
    elif done.form == "parquet":
        with pq.ParquetWriter(place, TIMELINE, compression="zstd") as out:
            for batch in batches:
                out.write_table(batch)
                done.written["events"] += batch.num_rows
    elif done.form == "omop":
        with OmopWriter(place) as omop:
            for number, rows in people_in(batches):
                omop.put(number, rows)
        done.written, done.dropped = omop.rows, done.dropped + omop.dropped
    else:
        _lifted(lines, batches, place, done)


def _lifted(lines: Timelines, batches: Iterator[pa.Table], place: Path, done: ExportResult) -> None:
    from galenic.records.fhir import MAPPED, Origin, events_to_resources, write_json  # noqa: PLC0415

    at = datetime.now(UTC)
    origin: Origin = Origin(f"Galenic {__version__}, events to FHIR R4", f"data set {lines.name}, {lines.version}", MAPPED, at)
    with FhirWriter(place, done.form, done.written) as out:
        for number, rows in people_in(batches):
            for resource in events_to_resources(str(number), rows, origin, lines.described, done.dropped):
                out.put(resource["resourceType"], resource["id"], write_json(resource))


def _readable(table: pa.Table) -> pa.Table:
    """Times as ISO 8601, large text as text: what a CSV file holds."""
    return table.set_column(4, "text_value", table["text_value"].cast(pa.string()))


def people_in(batches: Iterator[pa.Table]) -> Iterator[tuple[int, list[dict[str, Any]]]]:
    """(number, events) of each patient."""
    for batch in batches:
        plain = batch.set_column(1, "time", batch["time"].cast(pa.int64()))
        plain = plain.set_column(5, "end_time", plain["end_time"].cast(pa.int64()))
        subjects = plain["subject_id"].to_numpy()
        edges = [0, *(np.flatnonzero(np.diff(subjects)) + 1).tolist(), len(subjects)]
        for start, end in pairwise(edges):
            yield int(subjects[start]), plain.slice(start, end - start).to_pylist()


def _renumbered(lines: Timelines) -> Iterator[pa.Table]:
    """Events under new numbers of patients and encounters; of where an event came from only the kind stays."""
    people = encounters = 0
    for batch in lines.batches():
        subjects = batch["subject_id"].to_numpy()
        fresh = np.cumsum(np.concatenate([[1], (np.diff(subjects) != 0).astype(np.int64)])) + people
        people = int(fresh[-1]) if len(fresh) else people
        codes = batch["encounter_id"].combine_chunks().dictionary_encode()
        numbers = pc.add(codes.indices, pa.scalar(encounters + 1, pa.int32())).cast(pa.string())
        encounters += len(codes.dictionary)
        kinds = pc.replace_substring_regex(batch["source_ref"], "/.*$", "")
        new = {"subject_id": pa.array(fresh, pa.int64()), "encounter_id": numbers, "source_ref": kinds}
        new["ingest_id"] = pa.nulls(batch.num_rows, pa.int64())
        yield pa.table([new.get(f.name, batch[f.name]) for f in TIMELINE], schema=TIMELINE)
