"""Documents as formats of patient data: C-CDA, DICOM and notes. They are read and de-identified, but have no events here."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any
from xml.etree.ElementTree import Element  # only a type: parsing is done by defusedxml

import pyarrow as pa

from galenic.errors import RecordError
from galenic.records import ccda
from galenic.records.format import EventSource, WriteResult, no_events, not_written

NOTE_SUFFIXES = (".txt", ".text", ".md", ".note")


class CcdaFormat:
    """One C-CDA document."""

    has_events = False

    def recognize(self, path: Path) -> bool:
        """An XML file, by its suffix."""
        return path.is_file() and ccda.is_ccda(path)

    def read(self, paths: list[Path]) -> Element:
        """The root element."""
        return ccda.read_ccda(paths[0])

    def to_events(self, _paths: list[Path]) -> Iterator[pa.Table]:
        """Raise OptionError: the format has no events."""
        raise no_events("a C-CDA document")

    def write(self, _events: Iterator[pa.Table], _target: Path, _source: EventSource) -> WriteResult:
        """Raise OptionError: the format cannot be written from events."""
        raise not_written("C-CDA")


class DicomFormat:
    """One DICOM file."""

    has_events = False

    def recognize(self, path: Path) -> bool:
        """A DICOM file, by its suffix or its preamble."""
        from galenic.records.dicom import is_dicom  # noqa: PLC0415  # pydicom loads when it is needed

        return path.is_file() and is_dicom(path)

    def read(self, paths: list[Path]) -> Any:
        """The data set (pydicom)."""
        from galenic.records.dicom import read  # noqa: PLC0415

        return read(paths[0])

    def to_events(self, _paths: list[Path]) -> Iterator[pa.Table]:
        """Raise OptionError: the format has no events."""
        raise no_events("a DICOM file")

    def write(self, _events: Iterator[pa.Table], _target: Path, _source: EventSource) -> WriteResult:
        """Raise OptionError: the format cannot be written from events."""
        raise not_written("DICOM")


class NoteFormat:
    """One note as a text file."""

    has_events = False

    def recognize(self, path: Path) -> bool:
        """A text file, by its suffix."""
        return path.is_file() and path.suffix.lower() in NOTE_SUFFIXES

    def read(self, paths: list[Path]) -> str:
        """The text. RecordError if it is not UTF-8."""
        try:
            return paths[0].read_text(encoding="utf-8")
        except (OSError, UnicodeDecodeError) as error:
            raise RecordError(f"{paths[0]} cannot be read ({type(error).__name__}). Expected UTF-8 text.") from None

    def to_events(self, _paths: list[Path]) -> Iterator[pa.Table]:
        """Raise OptionError: the format has no events."""
        raise no_events("a note")

    def write(self, _events: Iterator[pa.Table], _target: Path, _source: EventSource) -> WriteResult:
        """Raise OptionError: the format cannot be written from events."""
        raise not_written("notes")
