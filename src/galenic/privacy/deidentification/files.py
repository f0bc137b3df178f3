"""Input files, the names of their outputs, and the de-identification of one file."""

import re
import shutil
from collections import Counter
from pathlib import Path

from galenic.errors import MissingExtraError, RecordError
from galenic.privacy import text
from galenic.privacy.deidentification.registry import DEIDENTIFIERS, deidentifier_for
from galenic.privacy.deidentification.run import DeidentificationRun
from galenic.records import refuse_links


def files_of(path: Path) -> list[Path]:
    """The files of a folder, recursively; a MEDS data set counts as one file."""
    if path.is_dir():
        refuse_links(path)
    if not path.is_dir() or DEIDENTIFIERS["meds"].recognizes(path):
        return [path]
    return [f for inner in sorted(path.iterdir()) for f in _files_within(inner)]


def _files_within(path: Path) -> list[Path]:
    if not path.is_dir() or DEIDENTIFIERS["meds"].recognizes(path):
        return [path]
    return [f for inner in sorted(path.iterdir()) for f in _files_within(inner)]


def output_names(files: list[Path], run: DeidentificationRun) -> list[str]:
    """Output names: the file's own name, or a number where that contains a person's name or is taken by another file."""
    used: set[str] = set()
    names = []
    for number, file in enumerate(files):
        name = _output_name(file, number, run)
        name = _numbered(file, number) if name in used else name
        used.add(name)
        names.append(name)
    return names


def deidentify_file(file: Path, name: str, out: Path, run: DeidentificationRun) -> None:
    """De-identify one file into the folder `out`, or count why it was refused. Leftovers of an earlier attempt are replaced."""
    target = out / name
    _remove(target)
    unreadable = run.report.findings.unreadable.copy()
    try:
        deidentifier = deidentifier_for(file)
        if deidentifier is None:
            raise RecordError(f"has a format that is not supported: {file.suffix or 'no file extension'}")
        deidentifier.deidentify(file, target, run)
    except (RecordError, RecursionError) as error:
        _remove(target)
        why = str(error) if isinstance(error, RecordError) else "is nested too deeply to be read. Send it flatter."
        run.report.refusals.append((name, why))
        return
    run.report.remarks += [(name, what) for what in _reduced(run.report.findings.unreadable - unreadable)]
    if target.is_dir() or (target.exists() and target.stat().st_size):
        run.report.files.append((file.name, name))
    else:
        _remove(target)
        if all(where.split(", line ")[0] != name for where, _ in run.report.refusals):
            run.report.remarks.append((name, "contains nothing that can be written"))


def _reduced(unreadable: Counter[str]) -> list[str]:
    return [f"{n:,} {'part' if n == 1 else 'parts'} reduced to [TEXT]: {why}" for why, n in unreadable.most_common()]


def _remove(path: Path) -> None:
    if path.is_dir():
        shutil.rmtree(path)
    path.unlink(missing_ok=True)


def _output_name(file: Path, number: int, run: DeidentificationRun) -> str:
    stem = file.name.split(".")[0]
    words = [w for w in re.split(r"[\W\d_]+", stem) if len(w) > 1]
    try:
        identifies = any(text.is_listed_name(w) and w.casefold() not in run.detector.common for w in words)
    except MissingExtraError:  # without lists of names every uncommon word may be a name
        identifies = any(w.casefold() not in run.detector.common for w in words)
    return _numbered(file, number) if identifies or sum(c.isdigit() for c in stem) >= 4 else file.name


def _numbered(file: Path, number: int) -> str:
    return f"{number:06d}{file.name[len(file.name.split('.')[0]) :]}"
