"""Types of an import: request, plan, result and the Protocol of all importers."""

from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

from galenic.errors import OptionError
from galenic.installation import Installation
from galenic.schema import Progress, no_progress
from galenic.security import LABELS, NAME, Session


@dataclass(frozen=True)
class ImportRequest:
    """Description of the data set that records are imported into.

    patient: of a table, the column with the patient identifier; mapping: of a table, a file that describes its columns as
    events (TOML); ids: namespace of the patient ids (default: the data set's name), so that Patient/1 of two servers are two
    patients; label: data class; region: region that the records must not leave. For FHIR: bases, URLs of the server that
    exported the records; absolute references under them refer to resources of the import; hash_long_ids: ids of more than 64
    characters, which R4 does not allow, are replaced by their hash.
    """

    dataset: str
    patient: str = ""
    mapping: Path | None = None
    ids: str | None = None
    label: str = "clinical"
    region: str = ""
    bases: tuple[str, ...] = ()
    hash_long_ids: bool = False

    def __post_init__(self) -> None:
        """Raise OptionError for an invalid name or data class."""
        if not NAME.match(self.dataset):
            raise OptionError(
                f"{self.dataset!r} is not a valid data set name. Use up to 64 letters, digits, '.', '_' or '-', "
                "beginning with a letter or digit."
            )
        if self.label not in LABELS:
            raise OptionError(f"the data class {self.label!r} is unknown. Expected one of {', '.join(LABELS)}.")

    @property
    def namespace(self) -> str:
        """Namespace of the patient ids."""
        return self.dataset if self.ids is None else self.ids


@dataclass(frozen=True)
class RowRange:
    """Part of a table: rows from `start` to before `stop` (None: to the end). skip: number of its rows that are already stored."""

    start: int = 0
    stop: int | None = None
    skip: int = 0


ALL_ROWS = RowRange()


@dataclass(frozen=True)
class ColumnDifferences:
    """Columns of one table compared with its standard. absent: columns of the standard that the table lacks; unknown: the
    reverse."""

    absent: list[str]
    unknown: list[str]


@dataclass
class ImportResult:
    """Counts of one import.

    seen: records in the input by type (resources by type, rows by table); new: records (documents) that were stored;
    already_stored: those that were already stored with the same bytes; patients: number of patients with records in this
    import. erased: records left out because their patient was erased; erased_patients: those patients, where they are counted;
    refused: invalid documents; without_patient: resources about no patient; unresolved: references by a search without a match;
    left_out: other records left out, by table and reason; issues: by level and rule; examples: a few issues of each rule.
    """

    dataset: str
    seen: Counter[str] = field(default_factory=Counter)
    new: int = 0
    already_stored: int = 0
    patients: int = 0
    erased: int = 0
    erased_patients: int = 0
    refused: int = 0
    without_patient: int = 0
    unresolved: int = 0
    left_out: dict[str, dict[str, int]] = field(default_factory=dict)
    columns: dict[str, ColumnDifferences] = field(default_factory=dict)
    issues: Counter[tuple[str, str]] = field(default_factory=Counter)
    examples: list[dict[str, str]] = field(default_factory=list)


@dataclass(frozen=True)
class ImportPlan:
    """Files to import and the target data set. in_steps: True if a durable job imports ranges of rows; other imports are
    repeated; others: files of the folders that are not imported."""

    request: ImportRequest
    files: tuple[Path, ...]
    in_steps: bool = False
    others: tuple[Path, ...] = ()


class Importer(Protocol):
    """Import of one kind of data into the record store."""

    def plan(self, paths: list[Path], request: ImportRequest) -> ImportPlan:
        """Files to import. Raise OptionError if the request lacks information that this kind of data needs."""
        ...

    def run(
        self, installation: Installation, session: Session, plan: ImportPlan, progress: Progress = no_progress
    ) -> ImportResult:
        """Imports the files. An import that stops early keeps the records that it has written."""
        ...

    def resume(self, installation: Installation, session: Session, plan: ImportPlan, rows: RowRange, /) -> ImportResult:
        """Continues an interrupted import: with a range of rows if the plan is in steps, otherwise by repeating it."""
        ...
