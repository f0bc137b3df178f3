"""Description of a table's columns, recorded in the audit log."""

from galenic import records
from galenic.installation import Installation
from galenic.privacy import recognized_patient, without_observed
from galenic.records import Source
from galenic.schema import Column


def describe_source(
    installation: Installation, source: Source, *, patient: str | None = None, private: bool = False
) -> tuple[tuple[Column, ...], str]:
    """(columns, their TOML). private: leaves out what was observed in the data, so that a private fit buys it.

    DescriptionError where it is unclear which column tells patients apart, and `patient` does not name it.
    """
    if patient is None and records.patient_columns(source.names):
        recognized_patient(source)
    columns = records.describe(source, patient)
    if private:
        columns = without_observed(columns)
    installation.audit.append("described", source.name, columns=len(columns))
    return columns, records.to_toml(columns)
