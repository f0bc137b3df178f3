"""Unit of privacy: the protected unit, the column that identifies it, and refusal if that is unclear."""

from dataclasses import dataclass

from galenic import records
from galenic.errors import DescriptionError, RecordError
from galenic.records import Source


@dataclass(frozen=True)
class PrivacyUnit:
    """Protected unit of a guarantee. column: identifies patients, None if each row is a separate unit. rows: maximum rows of
    one patient."""

    column: str | None
    rows: int = 1

    def __str__(self) -> str:
        if self.column is None:
            return "row: no column identifies patients, so a person with several rows is not protected as a whole"
        return f"patient: column {self.column}, at most {rows_in_words(self.rows)} each"


def rows_in_words(rows: int) -> str:
    """A number of rows with its noun."""
    return f"{rows} row" if rows == 1 else f"{rows} rows"


def recognized_patient(source: Source, observed: str | None = None) -> str:
    """The only column whose name is that of a patient identifier. observed: a column that was recognized earlier, in a
    description without a declaration; it counts among them. Raise DescriptionError if there is none or several, and
    RecordError if its values do not repeat while another identifier's do, because it may then number visits."""
    named = records.patient_columns(source.names)
    candidates = (*named, *(n for n in source.names if n == observed and n not in named))
    if not candidates:
        raise DescriptionError(
            "no column is known to identify patients. Name it (--patient COLUMN), or state that each row is one patient "
            "(--unit row). If patients have several rows, the latter would protect visits, not people."
        )
    if len(candidates) > 1:
        raise DescriptionError(f"columns {list(candidates)} could each identify patients. {_DECLARE}")
    repeated = records.repeated_instead(source, candidates[0])
    if repeated is not None:
        raise RecordError(
            f"column {candidates[0]!r} has a different value in every row, while values of {repeated!r} repeat, as they "
            f"do for patients with several rows. {_DECLARE}"
        )
    return candidates[0]


_DECLARE = (
    'State which one does, because it decides who is protected: --patient COLUMN (or, in a description, role = "patient" '
    'with kind_origin = "declared"). If the wrong one is used, a patient with several rows is not protected as a whole.'
)
