"""Description of a table's columns, recorded in the audit log."""

from dataclasses import dataclass

from galenic import records
from galenic.installation import Installation
from galenic.privacy import recognized_patient, without_observed
from galenic.privacy.deidentification import without_identifying
from galenic.records import Source
from galenic.schema import Column


@dataclass(frozen=True)
class SourceDescription:
    """Description of a table. text: as TOML. notices: what is read in a way that the user should know of. guessed: column that was
    recognized as the patient's by its name, "" where the user named it or there is none."""

    columns: tuple[Column, ...]
    text: str
    notices: tuple[str, ...]
    guessed: str

    @property
    def left_out(self) -> tuple[str, ...]:
        """Columns that are proposed to be left out."""
        return tuple(c.name for c in self.columns if c.role == "drop")


def describe_source(
    installation: Installation, source: Source, *, patient: str | None = None, private: bool = False
) -> SourceDescription:
    """A description of the columns of a table, with identifiers as columns to be left out.

    private: leaves out what was observed in the data, so that a private fit buys it. DescriptionError where it is unclear which column
    tells patients apart, and `patient` does not name it.
    """
    if patient is None and records.patient_columns(source.names):
        recognized_patient(source)
    found = records.inspect_table(source, patient)
    columns = without_identifying(found.columns)
    if private:
        columns = without_observed(columns)
    installation.audit.append("described", source.name, columns=len(columns))
    guessed = next((c.name for c in columns if c.role == "patient"), "") if patient is None else ""
    return SourceDescription(columns, records.to_toml(columns), found.notices, guessed)
