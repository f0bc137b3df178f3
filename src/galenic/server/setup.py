"""Preparation of an installation for the server: access tokens, served data set, simulated content."""

from pathlib import Path

from galenic import store
from galenic.custody import ImportRequest, ImportResult, import_fhir, import_table, record_consent, server_session
from galenic.custody.fhir import FhirRepository, open_repository
from galenic.generators.simulated import SimulationRequest, simulate, simulate_cohort
from galenic.installation import Installation
from galenic.records import in_memory
from galenic.schema import Progress, no_progress
from galenic.security import Session

DATASET = "records"
COHORT = "simulated-cohort"


def open_served(installation: Installation, name: str = DATASET, progress: Progress = no_progress) -> FhirRepository:
    """FHIR repository of a data set, opened in the server's own session."""
    return open_repository(installation, server_session(installation), name, progress)


def import_simulated_records(
    installation: Installation, session: Session, folder: Path, name: str = DATASET, *, count: int = 200, seed: int = 7
) -> ImportResult:
    """Imports simulated patients as FHIR records, to try the server."""
    place = folder / "simulated"
    simulate(SimulationRequest(count, seed=seed), place, form="fhir")
    return import_fhir(installation, session, sorted(place.glob("*.ndjson")), ImportRequest(name))


def import_simulated_cohort(installation: Installation, session: Session, *, count: int = 10_000, seed: int = 7) -> None:
    """Imports a table of simulated patients who have consented to synthetic data, for a first release."""
    table = simulate_cohort(count, seed=seed)
    import_table(installation, session, in_memory(table), ImportRequest(COHORT, patient="patient_id"))
    record_consent(installation, session, COHORT, table["patient_id"].to_pylist(), "synthetic-data")


def has_records(installation: Installation, name: str = DATASET) -> bool:
    """True if the data set contains records."""
    return any(d["name"] == name and int(str(d["next_row"])) > 0 for d in store.list_datasets(installation.db, "home"))
