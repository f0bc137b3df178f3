"""Registry of formats of patient data, and recognition of files."""

from pathlib import Path
from typing import Any

from galenic.errors import OptionError, UnknownNameError
from galenic.records.document_formats import CcdaFormat, DicomFormat, NoteFormat
from galenic.records.fhir_format import FhirFormat
from galenic.records.format import Format
from galenic.records.meds_format import MedsFormat
from galenic.records.omop_format import OmopFormat
from galenic.records.table_format import TableFormat

FORMATS: dict[str, Format[Any]] = {
    "fhir": FhirFormat(),
    "bundle": FhirFormat(bundle=True),
    "meds": MedsFormat(),
    "omop": OmopFormat(),
    "ccda": CcdaFormat(),
    "dicom": DicomFormat(),
    "table": TableFormat(),
    "note": NoteFormat(),
}
"""Formats by kind. The first that recognizes a file is its format: a .txt file is a table before it is a note."""


def kind_of(paths: list[Path]) -> str:
    """Kind of files, a key of FORMATS. Raise OptionError if none recognizes them, or if they do not belong together."""
    absent = [p for p in paths if not p.exists()]
    if absent:
        raise UnknownNameError(f"{absent[0]} does not exist. Give the path of a file or folder.")
    if len(paths) > 1 and not all(FORMATS["fhir"].recognize(p) for p in paths):
        raise OptionError("several files were given that are not all FHIR. Import tables, OMOP and MEDS one at a time.")
    kind = next((kind for kind, one in FORMATS.items() if one.recognize(paths[0])), None)
    if kind is None:
        raise OptionError(
            f"{paths[0]} is not a supported folder. Expected FHIR (*.ndjson, *.json), OMOP CDM (person.csv or "
            ".parquet) or MEDS (data/*.parquet)."
        )
    return kind
