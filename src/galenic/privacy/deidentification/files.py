"""Input files, the names of their outputs, and the de-identification of one file."""

import re
import shutil
import unicodedata
from collections import Counter
from pathlib import Path

from galenic.errors import RecordError
from galenic.privacy.deidentification.registry import DEIDENTIFIERS, deidentifier_for
from galenic.privacy.deidentification.rules.coded_words import unknown_words
from galenic.privacy.deidentification.run import DeidentificationRun
from galenic.privacy.text import holds_names, time_limit
from galenic.records import refuse_links

FILE_WORDS = frozenset(
    re.findall(
        r"\w+",
        """admissions admission bundle bundles ccda cda clinic cohort csv data dataset demo demographics dicom discharges document en
        encounter encounters es events export fhir hl hospital image index json lab labs meds ndjson observations omop part patients
        registry results scan series slice synthea table tables timeline timelines train xml""",
    )
)  # of file names, which say nothing about a person
_READ_SUFFIXES = "json|ndjson|xml|txt|text|md|csv|tsv|parquet|dcm|hl7|gz|zip"
_REFUSED_SUFFIXES = "png|jpg|jpeg|gif|bmp|tif|tiff|pdf|doc|docx|xls|xlsx|ods|odt|rtf|htm|html"  # a refusal names the file
_SUFFIX = re.compile(rf"(\.({_READ_SUFFIXES}|{_REFUSED_SUFFIXES}))+\Z", re.I)
_CAMEL_CASE = re.compile(r"(?<=[a-z])(?=[A-Z])")


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
    """Output names: the file's own name, or a number if it contains a person's name or is already used."""
    used: set[str] = set()
    names = []
    for number, file in enumerate(files):
        name = _output_name(file, number, run)
        name = _numbered(file, number) if name in used else name
        used.add(name)
        names.append(name)
    return names


def deidentify_file(file: Path, name: str, out: Path, run: DeidentificationRun) -> None:
    """De-identify one file into the folder `out`, or count the reason why it was refused. Leftovers of an earlier attempt are
    replaced."""
    target = out / name
    _remove(target)
    unreadable = run.report.findings.unreadable.copy()
    try:
        deidentifier = deidentifier_for(file)
        if deidentifier is None:
            raise RecordError(f"has an unsupported format: {file.suffix or 'no file extension'}")
        with time_limit(run.minutes_per_file):
            deidentifier.deidentify(file, target, run)
    except (RecordError, RecursionError) as error:
        _remove(target)
        why = str(error) if isinstance(error, RecordError) else ("is nested too deep to be read. Export it with fewer levels.")
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
    """The file's own name if all its words are known to be clinical, common or about files, and its digits are few."""
    stem, suffix = _split_suffix(file.name)
    words = [w for w in re.split(r"[\W\d_]+", _CAMEL_CASE.sub(" ", unicodedata.normalize("NFC", stem))) if len(w) > 1]
    unknown = [w for w in words if w.casefold() not in FILE_WORDS and unknown_words(w, run.detector.common)]
    is_plain = (
        not unknown
        and not holds_names(" ".join(w for w in words if w.casefold() not in FILE_WORDS))
        and sum(c.isdigit() for c in stem) < 4
        and stem.isascii()
    )
    return file.name if is_plain else f"{number:06d}{suffix}"


def _numbered(file: Path, number: int) -> str:
    return f"{number:06d}{_split_suffix(file.name)[1]}"


def _split_suffix(name: str) -> tuple[str, str]:
    """(name, the suffixes at its end that are known)."""
    found = _SUFFIX.search(name)
    return (name[: found.start()], found[0]) if found else (name, "")
