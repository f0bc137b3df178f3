"""Input of a FHIR import: files as units of documents that become durable together, parsed and validated in several processes."""

import sys
from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from galenic.records.fhir import PreparedDocument

UNIT_LINES, UNIT_BYTES = 500, 2 * 2**20  # most NDJSON lines and bytes of a unit
UNITS_AHEAD = 6  # units that wait for each worker process
LATE_FILES = ("provenance", "auditevent", "group", "list", "media", "binary")

Lines = list[tuple[int, bytes]]
"""(line number, 0 for a file that is one document; bytes) of each document."""
Prepare = Callable[[Lines], list["PreparedDocument"]]


def in_import_order(places: list[Path]) -> list[Path]:
    """Files of patients and practitioners first, resources that belong to a patient only by reference last."""

    def rank(place: Path) -> int:
        name = place.name.lower()
        return 0 if name.startswith(("patient", "practitioner")) else 2 if name.startswith(LATE_FILES) else 1

    return sorted(places, key=rank)


def prepared_documents(
    places: list[Path], filter_unit: Callable[[Lines], Lines], pool: ProcessPoolExecutor | None, workers: int
) -> Iterator[tuple[str, list["PreparedDocument"]]]:
    """(file name, parsed and validated documents) of each unit, in order; with worker processes a few units ahead.

    filter_unit: returns the documents of a unit that have to be prepared.
    """
    from galenic.records.fhir import prepare_document  # noqa: PLC0415  # its definitions load when they are needed

    ahead: deque[_Unit] = deque()
    units = ((p.name, u) for p in places for u in _units(p))
    more = True
    while more or ahead:
        while more and len(ahead) <= UNITS_AHEAD * workers:
            where, unit = next(units, ("", None))
            if unit is None:
                more = False
                break
            fresh = filter_unit(unit)
            ahead.append(_Unit(where, fresh, _submit(pool, prepare_document, fresh)))
        while ahead and (ahead[0].ready or not _prepare_one(ahead, prepare_document)):
            yield ahead[0].where, ahead[0].result(prepare_document)
            ahead.popleft()
            if len(ahead) < UNITS_AHEAD:
                break


@dataclass(slots=True)
class _Unit:
    """Documents in preparation, by a worker process or by this process."""

    where: str
    lines: Lines
    future: "Future[list[PreparedDocument]] | None"
    documents: "list[PreparedDocument] | None" = None

    @property
    def ready(self) -> bool:
        return self.documents is not None or self.future is None or self.future.done()

    def result(self, prepare: Prepare) -> list["PreparedDocument"]:
        if self.documents is None and self.future is not None:
            try:
                self.documents = self.future.result()
            except BrokenProcessPool:  # a worker was killed, or could not start: this process does its work
                self.future = None
        return prepare(self.lines) if self.documents is None else self.documents


def _prepare_one(ahead: deque[_Unit], prepare: Prepare) -> bool:
    """Prepares here one unit that no worker has begun, instead of waiting; False if there is none."""
    for unit in ahead:
        if unit.documents is None and unit.future is not None and unit.future.cancel():
            unit.documents = prepare(unit.lines)
            return True
    return False


def _submit(pool: ProcessPoolExecutor | None, prepare: Prepare, lines: Lines) -> "Future[list[PreparedDocument]] | None":
    if pool is None or not lines:
        return None
    main = sys.modules["__main__"]
    # A spawned worker imports the main module of this process: a second that it does not need, and a second run of a script
    # without a guard. It needs `prepare` alone.
    sys.modules["__main__"] = ModuleType("__main__")
    try:
        return pool.submit(prepare, lines)
    except BrokenProcessPool:
        return None
    finally:
        sys.modules["__main__"] = main


def _units(place: Path) -> Iterator[Lines]:
    """Units of one file: each Bundle alone, other lines by the hundred."""
    from galenic.records.fhir import is_ndjson, lines, read_whole  # noqa: PLC0415

    if not is_ndjson(place):
        yield [(0, read_whole(place))]
        return
    waiting: Lines = []
    size = 0
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
    if waiting:
        yield waiting
