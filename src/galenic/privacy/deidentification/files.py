"""Which kind a file is of, what it is called as it comes out, and one file after the other, here or in many processes."""

import json
import re
import shutil
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

from galenic.errors import MissingExtraError, RecordError
from galenic.privacy import text
from galenic.privacy.deidentification.ccda import write_ccda
from galenic.privacy.deidentification.dicom import write_dicom
from galenic.privacy.deidentification.fhir import is_fhir, write_fhir
from galenic.privacy.deidentification.meds import is_meds, write_meds_clean
from galenic.privacy.deidentification.note import is_note, write_note
from galenic.privacy.deidentification.residual_search import search_residuals
from galenic.privacy.deidentification.run import DeidentificationReport, DeidentificationRun
from galenic.privacy.deidentification.table import is_table, write_table
from galenic.records import gc, is_ccda
from galenic.records.dicom import is_dicom
from galenic.store import run_partitions

# asked in this order; what none of them knows is refused
KINDS: tuple[tuple[Callable[[Path], bool], Callable[[Path, Path, DeidentificationRun], None]], ...] = (
    (is_meds, write_meds_clean), (is_fhir, write_fhir), (is_ccda, write_ccda), (is_note, write_note), (is_table, write_table),
    (is_dicom, write_dicom),
)  # fmt: skip


def files_of(place: Path) -> list[Path]:
    """Files of a folder; a MEDS data set counts as one."""
    if not place.is_dir() or is_meds(place):
        return [place]
    return [f for inner in sorted(place.iterdir()) for f in files_of(inner)]


def names_for(files: list[Path], run: DeidentificationRun) -> list[str]:
    """What each is called as it comes out: its own name, unless that says who somebody is or another has it."""
    taken: set[str] = set()
    names = []
    for number, file in enumerate(files):
        name = _named(file, number, run)
        name = _numbered(file, number) if name in taken else name
        taken.add(name)
        names.append(name)
    return names


def write_one(file: Path, name: str, out: Path, run: DeidentificationRun) -> None:
    """One file, or why it did not come out. What an earlier try left is written anew."""
    place = out / name
    _gone(place)
    try:
        write = next((write for known, write in KINDS if known(file)), None)
        if write is None:
            raise RecordError(f"is of a kind that is not read: {file.suffix or 'no ending'}")
        write(file, place, run)
    except RecordError as error:
        _gone(place)
        run.done.refused.append((name, str(error)))
        return
    if place.is_dir() or (place.exists() and place.stat().st_size):
        run.done.files.append((file.name, name))
    else:
        _gone(place)
        if all(where.split(", line ")[0] != name for where, _ in run.done.refused):
            run.done.remarks.append((name, "holds nothing that could come out"))


def _gone(place: Path) -> None:
    if place.is_dir():
        shutil.rmtree(place)
    place.unlink(missing_ok=True)


def _named(file: Path, number: int, run: DeidentificationRun) -> str:
    """The file's own name, unless that says who somebody is."""
    stem = file.name.split(".")[0]
    words = [w for w in re.split(r"[\W\d_]+", stem) if len(w) > 1]
    try:
        named = any(text.is_listed_name(w) and w.casefold() not in run.detector.common for w in words)
    except MissingExtraError:  # without lists of names every word may be one
        named = any(w.casefold() not in run.detector.common for w in words)
    return _numbered(file, number) if named or sum(c.isdigit() for c in stem) >= 4 else file.name


def _numbered(file: Path, number: int) -> str:
    return f"{number:06d}{file.name[len(file.name.split('.')[0]) :]}"


# many processes


def in_partitions(files: list[Path], names: list[str], out: Path, run: DeidentificationRun, how: dict[str, Any]) -> None:
    """The same in parts of files. how: engine, workers, and what a worker needs to find what this process would."""
    folder = out / ".parts"
    sizes = [sum(q.stat().st_size for q in f.rglob("*")) if f.is_dir() else f.stat().st_size for f in files]
    parts: list[list[list[str]]] = [[] for _ in range(min(len(files), 4 * how["workers"]))]
    loads = [0] * len(parts)
    for size, file, name in sorted(zip(sizes, files, names, strict=True), key=lambda x: -x[0]):
        least = loads.index(min(loads))
        parts[least].append([str(file.absolute()), name])
        loads[least] += size + 4_096
    said = [json.dumps({**how["run"], "files": part, "out": str(out), "known": run.known}) for part in parts if part]
    places = run_partitions(part_of, said, folder, engine=how["engine"], workers=how["workers"])
    for place in places:
        _add(run.done, json.loads(place.read_bytes()))
    shutil.rmtree(folder)
    order = {name: i for i, name in enumerate(names)}
    run.done.files.sort(key=lambda f: order[f[1]])


def part_of(said: str) -> bytes:
    """One part, in a process of its own: writes its files and gives counts back, never what was found."""
    part = json.loads(said)
    run = run_for(part)
    run.known = {p: {k: tuple(v) for k, v in s.items()} for p, s in part["known"].items()}
    run.learned()
    out = Path(part["out"])
    with gc.paused_gc():
        for file, name in part["files"]:
            write_one(Path(file), name, out, run)
    run.done.stated = search_residuals([out / name for _, name in run.done.files], run)
    return json.dumps(_counts(run.done)).encode()


def run_for(said: dict[str, Any]) -> DeidentificationRun:
    """A run as it was asked for: policy, language, model, key, day_first."""
    plan = text.DeidentificationPolicy(**said["policy"])
    detector = text.load_detector(said["language"], said["model"])
    if plan.lists:
        detector = detector.but(text.read_gazetteer(plan.lists, text.identifier_kinds(), detector.common))
    run = DeidentificationRun(DeidentificationReport(plan), detector, bytes.fromhex(said["key"]), bool(said["day_first"]))
    run.done.measured = text.detector_accuracy(said["language"]) if not said["model"] else {}
    return run


def _counts(done: DeidentificationReport) -> dict[str, Any]:
    return {
        "files": done.files, "refused": done.refused, "remarks": done.remarks, "stated": done.stated, "risks": done.risks,
        "treated": [[*k, n] for k, n in done.treated.items()], "found": [[*k, n] for k, n in done.taken.found.items()],
        "dropped": done.dropped, "resources": done.resources, "encoded": done.taken.dropped,
        "texts": [done.taken.texts, done.taken.touched, done.taken.signs],
    }  # fmt: skip


def _add(done: DeidentificationReport, counts: dict[str, Any]) -> None:
    done.files += [(a, b) for a, b in counts["files"]]
    done.refused += [(a, b) for a, b in counts["refused"]]
    done.remarks += [(a, b) for a, b in counts["remarks"]]
    done.risks += counts["risks"]
    done.stated = (max(done.stated[0], counts["stated"][0]), done.stated[1] + counts["stated"][1])
    done.treated.update(Counter({(k, how): n for k, how, n in counts["treated"]}))
    done.taken.found.update(Counter({(k, layer): n for k, layer, n in counts["found"]}))
    done.dropped.update(counts["dropped"])
    done.resources.update(counts["resources"])
    done.taken.dropped.update(counts["encoded"])
    done.taken.texts += counts["texts"][0]
    done.taken.touched += counts["texts"][1]
    done.taken.signs += counts["texts"][2]
