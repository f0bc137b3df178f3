"""Measurement of the quality of files: a table, or FHIR, OMOP CDM or MEDS as timelines."""

from dataclasses import dataclass
from importlib import resources
from pathlib import Path

from galenic.errors import MissingExtraError, OptionError
from galenic.records.column_inference import describe
from galenic.records.formats import FORMATS, kind_of
from galenic.records.quality.duplicates import find_duplicates
from galenic.records.quality.events import measure_events
from galenic.records.quality.population import drift, read_reference, representativeness
from galenic.records.quality.repair import repair_units
from galenic.records.quality.result import TableQuality
from galenic.records.quality.tables import measure_table
from galenic.records.reader import read
from galenic.records.source import Source
from galenic.records.terminology import terminology
from galenic.schema import NotMeasured, Progress, no_progress
from galenic.store import file_aside


@dataclass(frozen=True)
class QualityRequest:
    """Options for the quality measurement of a table.

    patient: the column that identifies the patient; reference: a reference population (TOML); before: an earlier import of the
    same table; repair: path for the table with all values of a column in one unit.
    """

    patient: str = ""
    reference: Path | None = None
    before: Path | None = None
    repair: Path | None = None


TABLE_ALONE = QualityRequest()


def measure_files(paths: list[Path], request: QualityRequest = TABLE_ALONE, progress: Progress = no_progress) -> TableQuality:
    """Findings about files. Raise OptionError if the request does not fit their format, and RecordError if they cannot be read."""
    kind = kind_of(paths)
    one = FORMATS[kind]
    progress("measuring", 0.2)
    if not one.has_events:
        return _measure_table(one.read(paths), request, progress)
    if request.reference or request.before or request.repair:
        raise OptionError(
            "a reference population, an earlier import and a repair can be used only with a table. Leave these options out."
        )
    return measure_events(lambda: one.to_events(paths), terminology())


def _measure_table(source: object, request: QualityRequest, progress: Progress) -> TableQuality:
    if not isinstance(source, Source):
        raise OptionError("the quality of this format cannot be measured. Expected a table, FHIR, OMOP CDM or MEDS.")
    columns = tuple(describe(source))
    result = measure_table(source, columns, patient=request.patient)
    progress("looking for duplicates", 0.6)
    try:
        result.findings.append(find_duplicates(source))
    except MissingExtraError as error:
        result.findings.append(NotMeasured("quality.duplicates", str(error)))
    result.findings.append(representativeness(source, read_reference(request.reference) if request.reference else {}))
    if request.before:
        result.findings.append(drift(source, read(request.before), columns))
    if request.repair is not None:
        with file_aside(request.repair) as aside:
            result.repaired = repair_units(source, result.mixes, aside)
    return result


def shipped_floor() -> str:
    """The quality floor that is shipped (TOML)."""
    return (resources.files("galenic.records.quality") / "floor.toml").read_text(encoding="utf-8")
