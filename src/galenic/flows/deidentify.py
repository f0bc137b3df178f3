"""Files leave their identity behind: same format out, with a report of what was found, what was done, what was refused."""

import re
import secrets
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

from galenic.errors import DescriptionError, MissingExtra, RecordError
from galenic.flows.house import Progress, quiet
from galenic.flows.identity.ccda import write_ccda
from galenic.flows.identity.dicom import write_dicom
from galenic.flows.identity.fhir import is_fhir, learn_fhir, write_fhir
from galenic.flows.identity.meds import is_meds, write_meds_clean
from galenic.flows.identity.notes import is_note, write_note
from galenic.flows.identity.run import Deidentification, Run
from galenic.flows.identity.search import stated_left
from galenic.flows.identity.tables import is_table, write_table
from galenic.privacy import text
from galenic.records import calm
from galenic.records.ccda import is_ccda
from galenic.records.dicom import is_dicom
from galenic.store import folder_aside

# asked in this order; what none of them knows is refused
KINDS: tuple[tuple[Callable[[Path], bool], Callable[[Path, Path, Run], None]], ...] = (
    (is_meds, write_meds_clean), (is_fhir, write_fhir), (is_ccda, write_ccda), (is_note, write_note), (is_table, write_table),
    (is_dicom, write_dicom),
)  # fmt: skip


def deidentify(
    places: list[Path], out: Path, *, policy: str = "safe-harbor", language: str = "en", model: str = "", key: bytes | None = None,
    day_first: bool = False, table: dict[str, Any] | None = None, progress: Progress = quiet,
) -> Deidentification:  # fmt: skip
    """Writes each file again without what identifies, into a new folder. Notes (.txt, .md), FHIR R4 (JSON, NDJSON, plain or gzip), tables
    (CSV, Parquet, Arrow), C-CDA (XML), DICOM, MEDS data sets.

    table: of tables, over the policy's own: quasi, sensitive, k, l, t, method, fraction.
    key: 32 bytes that make surrogates and tokens; default: new ones that are forgotten at the end, so nothing leads back.
    What can not be read or scanned does not come out; the report says which and why.
    """
    files = [f for p in places for f in _files(p)]
    absent = next((p for p in places if not p.exists()), None)
    if absent is not None or not files:
        raise RecordError(
            f"{absent or places[0]} is not there, or holds no file. "
            "Name notes (.txt, .md), FHIR (.json, .ndjson, .gz), tables (.csv, .parquet), DICOM, MEDS."
        )
    if key is not None and len(key) < 32:
        raise DescriptionError(f"the key has {len(key)} bytes. Expected at least 32 bytes of random data.")
    finder = text.finder_for(language, model)
    plan = text.read_policy(policy)
    plan = replace(plan, table={**plan.table, **(table or {})})
    if plan.lists:
        finder = replace(finder, lists=text.read_lists(plan.lists, text.kinds(), finder.common), _seen={})
    run = Run(Deidentification(plan), finder, key or secrets.token_bytes(32), day_first)
    run.done.measured = text.measured(language) if not model else {}
    for file in files:
        if is_fhir(file):
            learn_fhir(file, run)
    sizes = [sum(q.stat().st_size for q in f.rglob("*")) if f.is_dir() else f.stat().st_size for f in files]
    total = sum(sizes) or 1
    at = 0
    with folder_aside(out) as aside, calm.calm():
        for number, file in enumerate(files):
            progress("de-identifying", at / total)
            _one(file, number, aside, run)
            at += sizes[number]
        run.done.stated = stated_left(aside, run)
    return run.done


def _files(place: Path) -> list[Path]:
    """Files of a folder; a MEDS data set counts as one."""
    if not place.is_dir():
        return [place]
    if is_meds(place):
        return [place]
    return [f for inner in sorted(place.iterdir()) for f in _files(inner)]


def _one(file: Path, number: int, out: Path, run: Run) -> None:
    name = _named(file, number, run)
    if (out / name).exists():  # two files of one name, from two folders
        name = _numbered(file, number)
    try:
        write = next((write for known, write in KINDS if known(file)), None)
        if write is None:
            raise RecordError(f"is of a kind that is not read: {file.suffix or 'no ending'}")
        write(file, out / name, run)
    except RecordError as error:
        shutil.rmtree(out / name, ignore_errors=True)
        (out / name).unlink(missing_ok=True)
        run.done.refused.append((name, str(error)))
        return
    if (out / name).is_dir() or (out / name).stat().st_size:
        run.done.files.append((file.name, name))
    else:
        (out / name).unlink()


def _named(file: Path, number: int, run: Run) -> str:
    """The file's own name, unless that says who somebody is."""
    stem = file.name.split(".")[0]
    words = [w for w in re.split(r"[\W\d_]+", stem) if len(w) > 1]
    try:
        named = any(text.is_name(w) and w.casefold() not in run.finder.common for w in words)
    except MissingExtra:  # without lists of names every word may be one
        named = any(w.casefold() not in run.finder.common for w in words)
    return _numbered(file, number) if named or sum(c.isdigit() for c in stem) >= 4 else file.name


def _numbered(file: Path, number: int) -> str:
    return f"{number:06d}{file.name[len(file.name.split('.')[0]) :]}"
