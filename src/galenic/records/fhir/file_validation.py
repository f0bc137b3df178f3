"""Validation of FHIR R4 files: every resource is checked, every issue counted, and up to a limit kept."""

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from galenic.errors import RecordError
from galenic.records.fhir.definitions import r4
from galenic.records.fhir.parsing import NdjsonLine, is_ndjson, parse, read_ndjson, read_whole
from galenic.records.fhir.profiles import check_profiles, claimed_profiles, is_checked, name_of
from galenic.records.fhir.validation import validate_resource
from galenic.schema import Progress, no_progress

if TYPE_CHECKING:
    from galenic.records.fhir.parsing import Document, NdjsonLine

SHOWN = 1_000  # issues kept per level and rule
MOST_PROFILES = 50  # profiles named per file
NOT_CHECKED = "profile-not-checked"


@dataclass
class ValidationResult:
    """Result of validating a file. resources: count by type; counted: issues by (level, rule); shown: those of each rule up to a limit, and
    every profile that was not checked, up to a limit."""

    source: str
    resources: Counter[str] = field(default_factory=Counter)
    counted: Counter[tuple[str, str]] = field(default_factory=Counter)
    shown: list[dict[str, Any]] = field(default_factory=list)
    refused: int = 0

    @property
    def valid(self) -> bool:
        """True if no resource was refused."""
        return self.refused == 0


def validate_files(path: Path, progress: Progress = no_progress, *, name: str = "") -> ValidationResult:
    """Validates FHIR JSON (one resource, a Bundle) or NDJSON, plain or gzip; memory is bounded by the longest line.

    name: of the file in the result (default: its name without the folder). A file that cannot be read to its end is refused.
    """

    done = ValidationResult(name or path.name)
    size = max(path.stat().st_size, 1) if path.exists() else 1
    read = 0
    profiles: Counter[str] = Counter()
    for line in _lines(path):
        where = f"line {line.number}" if line.number else ""
        read += len(line.raw)
        if line.document is None:
            done.refused += 1
            _note(done, "error", "json", "", "", line.fault)  # the fault names its line
            continue
        resource = line.document.resource
        found = validate_resource(resource)
        is_valid = not any(i.level == "error" for i in found)
        found += tuple(i for i in check_profiles(resource, is_valid=is_valid) if i.rule != NOT_CHECKED)
        done.refused += any(i.level == "error" for i in found)
        done.resources.update(_type(r) for r in (_held(resource) or [resource]))
        for issue in found:
            _note(done, issue.level, issue.rule, where, issue.expression, issue.text)
        profiles.update({url for _, _, url in claimed_profiles(resource) if not is_checked(url)})
        progress("checking", min(read / size, 1.0))
    _note_profiles(done, profiles)
    return done


def _note_profiles(done: ValidationResult, profiles: Counter[str]) -> None:
    """Adds a warning for each profile that documents declare and that was not checked."""
    done.counted.update({("warning", NOT_CHECKED): profiles.total()} if profiles else {})
    for url, n in profiles.most_common(MOST_PROFILES):
        text = f"the profile {name_of(url)}, which {n:,} documents declare, is not loaded here, so it was not checked."
        done.shown.append({"level": "warning", "rule": NOT_CHECKED, "where": "", "expression": "", "text": text})


def _held(resource: dict[str, Any]) -> list[dict[str, Any]]:
    """Resources in a Bundle, and in nested Bundles."""
    entries = resource.get("entry") if resource.get("resourceType") == "Bundle" else None
    held = [e["resource"] for e in entries if isinstance(e, dict) and "resource" in e] if isinstance(entries, list) else []
    return [r for one in held if isinstance(one, dict) for r in (_held(one) or [one])]


def _type(resource: dict[str, Any]) -> str:
    kind = resource.get("resourceType")
    return kind if isinstance(kind, str) and kind in r4().resources else "(not an R4 type)"


def _note(done: ValidationResult, level: str, rule: str, where: str, expression: str, text: str) -> None:
    done.counted[level, rule] += 1
    if done.counted[level, rule] <= SHOWN:
        done.shown.append({"level": level, "rule": rule, "where": where, "expression": expression, "text": text})


def _lines(path: Path) -> Iterator["NdjsonLine"]:
    """Documents of a file: NDJSON according to its name, otherwise one; plain or gzip. An invalid document, or one that is
    truncated, is an NdjsonLine with its fault."""
    raw = b""
    try:
        if is_ndjson(path):
            yield from read_ndjson(path)
        else:
            raw = read_whole(path)
            yield NdjsonLine(0, raw, parse(raw, path.name))
    except RecordError as error:
        yield NdjsonLine(0, raw, None, str(error))


def documents_of(path: Path) -> Iterator["Document"]:
    """The documents of a file that are valid R4."""

    for line in _lines(path):
        if line.document is not None and not any(i.level == "error" for i in validate_resource(line.document.resource)):
            yield line.document
