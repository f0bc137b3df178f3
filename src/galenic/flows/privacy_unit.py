"""Unit of privacy of a run: the patient column, determined before the run starts."""

from collections.abc import Iterator
from dataclasses import replace

import pyarrow as pa

from galenic import store
from galenic.generators import SynthesisRequest
from galenic.installation import Installation
from galenic.privacy import PrivacyUnit, privacy_unit
from galenic.records import Source
from galenic.security import Session


def unit_of(source: Source, request: SynthesisRequest) -> PrivacyUnit:
    """Unit of privacy of a run on a table, from its header and the request. Raise DescriptionError if several columns could
    identify patients.

    Values are compared inside the run, which counts as refused if they contradict the header.
    """
    return privacy_unit(_header(source.name, source.names), request.column_options, request.cap)


def stored_unit(installation: Installation, session: Session, name: str, request: SynthesisRequest) -> PrivacyUnit:
    """Unit of privacy of a run on a stored data set. No row is read."""
    columns = tuple(store.schema_of(store.dataset(installation.db, name, session.tenant)).names)
    return unit_of(_header(name, columns), with_stored_patient(installation, session, name, request))


def _header(name: str, columns: tuple[str, ...]) -> Source:
    def no_rows(_names: list[str] | None) -> Iterator[pa.Table]:
        yield from ()

    return Source(name, columns, no_rows)


def with_stored_patient(installation: Installation, session: Session, name: str, request: SynthesisRequest) -> SynthesisRequest:
    """Request with the patient column that the import declared, unless the request names one."""
    options = request.column_options
    if options.patient is not None or options.description is not None or options.unit != "patient":
        return request
    patient = str(store.dataset(installation.db, name, session.tenant)["patient"])
    return replace(request, column_options=replace(options, patient=patient))
