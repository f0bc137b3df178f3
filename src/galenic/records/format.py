"""Types of the registry of formats: the Protocol of a format, and the input and result of its writer."""

from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol, TypeVar

import pyarrow as pa

from galenic.errors import OptionError


@dataclass(frozen=True)
class EventSource:
    """Origin of events that are written in a format.

    name: of the data set; agent: the program that made the events or converts them; entity: its input and version; synthetic:
    True if no patient data was used (else they were converted); ucum: all units are in UCUM; descriptions: text of codes;
    codes: gives them with parent codes (columns of MEDS metadata/codes.parquet), where they are known.
    """

    name: str
    agent: str
    entity: str
    synthetic: bool = False
    ucum: bool = False
    descriptions: dict[str, str] = field(default_factory=dict)
    codes: Callable[[], pa.Table] | None = None


@dataclass
class WriteResult:
    """Counts of a write. written: resources, rows or events by type or table; dropped: events that the format cannot express."""

    written: Counter[str] = field(default_factory=Counter)
    dropped: Counter[str] = field(default_factory=Counter)


ContentT_co = TypeVar("ContentT_co", covariant=True)


class Format(Protocol[ContentT_co]):
    """One kind of patient data in files: how it is recognized, read, converted to events, and written from events.

    has_events: its files contain events by themselves; others have rows, pictures or text.
    """

    @property
    def has_events(self) -> bool:
        """True if `to_events` returns events."""
        ...

    def recognize(self, path: Path, /) -> bool:
        """True if a file or folder has this format, by its name and layout."""
        ...

    def read(self, paths: list[Path], /) -> ContentT_co:
        """Content of the files. Raise RecordError if they do not match the format."""
        ...

    def to_events(self, paths: list[Path], /) -> Iterator[pa.Table]:
        """Events as tables of TIMELINE's columns; patients are numbered from 1. Raise OptionError if the format has no events."""
        ...

    def write(self, events: Iterator[pa.Table], target: Path, source: EventSource, /) -> WriteResult:
        """Writes events, completely or not at all. Raise OptionError if the format cannot be written from events."""
        ...


def no_events(content: str) -> OptionError:
    """The error for files without events."""
    return OptionError(f"{content} has no events. Expected FHIR, OMOP CDM or MEDS.")


def not_written(content: str) -> OptionError:
    """The error for a format that is not written from events."""
    return OptionError(f"events cannot be written as {content}. Expected fhir, bundle, omop, meds or table.")
