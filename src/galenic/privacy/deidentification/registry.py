"""Registry of de-identifiers: one per format, chosen by the first that recognizes a file."""

from pathlib import Path
from typing import Protocol

from galenic.privacy.deidentification.ccda import CcdaDeidentifier
from galenic.privacy.deidentification.dicom import DicomDeidentifier
from galenic.privacy.deidentification.fhir import FhirDeidentifier
from galenic.privacy.deidentification.meds import MedsDeidentifier
from galenic.privacy.deidentification.note import NoteDeidentifier
from galenic.privacy.deidentification.run import DeidentificationRun
from galenic.privacy.deidentification.table import TableDeidentifier


class Deidentifier(Protocol):
    """De-identifies files of one format."""

    def recognizes(self, path: Path) -> bool:
        """True if the file, or the folder that holds one data set, has this format."""

    def learn(self, file: Path, run: DeidentificationRun) -> None:
        """Add the patient identifiers that the file states to the run, before any file is de-identified."""

    def deidentify(self, file: Path, out: Path, run: DeidentificationRun) -> None:
        """Write the file to `out` without identifiers and count them in the run. Raise RecordError if it cannot be read or
        searched."""


# In order of recognition: a MEDS data set is a folder; DICOM looks into the file, so it comes last.
DEIDENTIFIERS: dict[str, Deidentifier] = {
    "meds": MedsDeidentifier(),
    "fhir": FhirDeidentifier(),
    "ccda": CcdaDeidentifier(),
    "note": NoteDeidentifier(),
    "table": TableDeidentifier(),
    "dicom": DicomDeidentifier(),
}


def deidentifier_for(file: Path) -> Deidentifier | None:
    """The de-identifier of the file's format; None if the format is unknown."""
    return next((one for one in DEIDENTIFIERS.values() if one.recognizes(file)), None)
