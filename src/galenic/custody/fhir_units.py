"""Input of a FHIR import: files as units of documents that are stored together, parsed and validated in several processes."""

import re
import sys
from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING

from galenic.errors import RecordError
from galenic.records import file_names

if TYPE_CHECKING:
    from galenic.records.fhir import PreparedDocument

UNIT_LINES, UNIT_BYTES = 500, 2 * 2**20  # most NDJSON lines and bytes of a unit
UNITS_AHEAD = 6  # units that wait for each worker process
FIRST_TYPES = frozenset(("patient", "practitioner", "practitionerrole"))
LAST_TYPES = frozenset(("provenance", "auditevent", "group", "list", "media", "binary"))
FILE_TYPE = re.compile(r"[a-z]+(?=[^a-z])")  # in the name of a file of one type: Patient.ndjson, Observation.002.ndjson

Lines = list[tuple[int, bytes]]
"""(line number, 0 for a file that is one document; bytes) of each document."""
Prepare = Callable[[Lines], list["PreparedDocument"]]


@dataclass(frozen=True, slots=True)
class SplitUnit:
    """Documents of a unit. fresh: to be prepared; stored: documents that equalled the current version byte for byte; names:
    tokens of their names; at: number of documents that the import had stored by then."""

    fresh: Lines
    stored: Lines
    names: frozenset[bytes]
    at: int


@dataclass(frozen=True, slots=True)
class PreparedUnit:
    """Unit whose fresh documents are parsed and validated. where: name of its file; fault: reason why the file could not be
    read further."""

    where: str
    documents: list["PreparedDocument"]
    split: SplitUnit
    fault: str = ""

    @property
    def is_empty(self) -> bool:
        """True if it represents a file without documents."""
        return not (self.fault or self.split.fresh or self.split.stored)


def in_import_order(places: list[Path]) -> list[Path]:
    """Files in the given order, in which the last version of a resource counts. Exception: files of one type (NDJSON, named by
    the type) with patients and practitioners come first, and types that belong to a patient only by a reference come last."""
    from galenic.records.fhir import is_ndjson  # noqa: PLC0415

    def rank(place: Path) -> int:
        match = FILE_TYPE.match(place.name.lower()) if is_ndjson(place) else None
        of_type = match[0] if match else ""
        return 0 if of_type in FIRST_TYPES else 2 if of_type in LAST_TYPES else 1

    return sorted(places, key=rank)


def prepared_documents(
    places: list[Path],
    split_unit: Callable[[Lines], SplitUnit],
    prepare: Prepare,
    pool: ProcessPoolExecutor | None,
    workers: int,
) -> Iterator[PreparedUnit]:
    """Units in order; with worker processes a few units are prepared ahead. split_unit: separates the documents to be prepared."""
    ahead: deque[_Unit] = deque()
    units = _units_of_all(places)
    more = True
    while more or ahead:
        while more and len(ahead) <= UNITS_AHEAD * workers:
            where, unit, fault = next(units, ("", None, ""))
            if unit is None:
                more = False
                break
            split = split_unit(unit)
            ahead.append(_Unit(where, split, _submit(pool, prepare, split.fresh), fault=fault))
        while ahead and (ahead[0].ready or not _prepare_one(ahead, prepare)):
            yield PreparedUnit(ahead[0].where, ahead[0].result(prepare), ahead[0].split, ahead[0].fault)
            ahead.popleft()
            if len(ahead) < UNITS_AHEAD:
                break


@dataclass(slots=True)
class _Unit:
    """Documents in preparation, by a worker process or by this process."""

    where: str
    split: SplitUnit
    future: "Future[list[PreparedDocument]] | None"
    documents: "list[PreparedDocument] | None" = None
    fault: str = ""

    @property
    def ready(self) -> bool:
        return self.documents is not None or self.future is None or self.future.done()

    def result(self, prepare: Prepare) -> list["PreparedDocument"]:
        if self.documents is None and self.future is not None:
            try:
                self.documents = self.future.result()
            except BrokenProcessPool:  # a worker was killed, or could not start: this process does its work
                self.future = None
        return prepare(self.split.fresh) if self.documents is None else self.documents


def _prepare_one(ahead: deque[_Unit], prepare: Prepare) -> bool:
    """Prepares one unit here that no worker has begun, instead of waiting; False if there is none."""
    for unit in ahead:
        if unit.documents is None and unit.future is not None and unit.future.cancel():
            unit.documents = prepare(unit.split.fresh)
            return True
    return False


def _submit(pool: ProcessPoolExecutor | None, prepare: Prepare, lines: Lines) -> "Future[list[PreparedDocument]] | None":
    if pool is None or not lines:
        return None
    main = sys.modules["__main__"]
    # A spawned worker would import the main module of this process, which takes a second and runs unguarded scripts again. It
    # needs only `prepare`.
    sys.modules["__main__"] = ModuleType("__main__")
    try:
        return pool.submit(prepare, lines)
    except BrokenProcessPool:
        return None
    finally:
        sys.modules["__main__"] = main


def _units_of_all(places: list[Path]) -> Iterator[tuple[str, Lines, str]]:
    """(name of the file, unit, fault) of every unit. A damaged file gives the units before the damage and an empty one with the
    fault, and a file without documents gives an empty one. Other files are still read."""
    for place, name in zip(places, file_names(places, []), strict=True):
        is_empty = True
        try:
            for unit in _units(place):
                is_empty = False
                yield name, unit, ""
            if is_empty:
                yield name, [], ""
        except RecordError as error:
            yield name, [], str(error)


def _units(place: Path) -> Iterator[Lines]:
    """Units of one file: each Bundle separately, other lines by the hundred. Raise RecordError after the complete lines of a
    damaged file."""
    from galenic.records.fhir import is_ndjson, lines, read_whole  # noqa: PLC0415

    if not is_ndjson(place):
        yield [(0, read_whole(place))]
        return
    waiting: Lines = []
    size = 0
    damage: RecordError | None = None
    try:
        for number, raw in lines(place):
            bundle = b'"Bundle"' in raw[:2_000]
            if waiting and (bundle or len(waiting) >= UNIT_LINES or size > UNIT_BYTES):
                yield waiting
                waiting, size = [], 0
            waiting.append((number, raw))
            size += len(raw)
            if bundle:
                yield waiting
                waiting, size = [], 0
    except RecordError as error:
        damage = error
    if waiting:
        yield waiting
    if damage is not None:
        raise RecordError(f"{damage} Complete lines before the damage were imported.")
