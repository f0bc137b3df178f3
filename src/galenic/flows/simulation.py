"""Simulated patients as a data set in a standard's form: no real data goes in, and every resource says that it is synthetic."""

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import pyarrow as pa

from galenic import __version__, store
from galenic.custody import FhirWriter, people_in
from galenic.errors import DescriptionError
from galenic.generators import simulated
from galenic.records import OmopWriter, write_meds
from galenic.schema import Progress, no_progress

FORMS = ("meds", "fhir", "bundle", "omop")
EPOCH = date(1970, 1, 1)


@dataclass
class SimulationResult:
    """What was made: people, events; resources or rows by type or table; what had no place in the form, counted."""

    people: int = 0
    events: int = 0
    written: Counter[str] = field(default_factory=Counter)
    dropped: Counter[str] = field(default_factory=Counter)


def simulate(
    count: int,
    target: Path,
    *,
    form: str = "meds",
    seed: int = 0,
    years: int = 10,
    until: date | None = None,
    progress: Progress = no_progress,
) -> SimulationResult:
    """Writes `count` simulated patients, whole or not at all: `years` of their records up to `until` (default: this year's first day)."""
    if form not in FORMS:
        raise DescriptionError(f"{form!r} is no form of simulated patients. Expected one of {', '.join(FORMS)}.")
    if count < 1 or not 1 <= years <= 50:
        raise DescriptionError("simulated are at least 1 patient and 1 to 50 years.")
    given, done = simulated.load_rates(), SimulationResult()
    last = until or date(datetime.now(UTC).year, 1, 1)
    start, stop = (date(last.year - years, last.month, min(last.day, 28)) - EPOCH).days, (last - EPOCH).days

    def tables() -> Iterator[pa.Table]:
        for people, table in simulated.simulate_events(given, count, start=start, stop=stop, seed=seed):
            done.people += len(people)
            done.events += table.num_rows
            progress("simulating", done.people / count)
            yield table

    _write(tables(), target, form, done, seed, given)
    return done


def simulated_cohort(count: int, *, seed: int = 0, years: int = 10) -> pa.Table:
    """Simulated patients as a table of one row each, at this year's first day."""
    last = date(datetime.now(UTC).year, 1, 1)
    start, stop = (date(last.year - years, 1, 1) - EPOCH).days, (last - EPOCH).days
    given = simulated.load_rates()
    return simulated.cohort_table(
        (table for _people, table in simulated.simulate_events(given, count, start=start, stop=stop, seed=seed)), stop
    )


def rates() -> list[dict[str, Any]]:
    """The sources of the rates: rate, source, verified, assumed."""
    return simulated.load_rates().sources()


def _write(
    tables: Iterator[pa.Table], target: Path, form: str, done: SimulationResult, seed: int, given: simulated.Rates
) -> None:
    reads = {c.code: c.reads for c in given.conditions} | {c.drug: c.drug_reads for c in given.conditions} | READS
    reads |= {str(given.raw[n]["code"]): str(given.raw[n]["reads"]) for n in ("influenza", "vaccination")}
    if form == "meds":
        codes = pa.table(
            {
                "code": list(reads),
                "description": list(reads.values()),
                "parent_codes": pa.nulls(len(reads), pa.list_(pa.string())),
            }
        )
        done.written["events"] = write_meds(tables, target, name=f"simulated, seed {seed}", codes=codes)
        return
    with (store.file_aside if form == "bundle" else store.folder_aside)(target) as place:
        if form == "omop":
            with OmopWriter(place) as omop:
                for number, rows in people_in(tables):
                    omop.put(number, rows)
            done.written, done.dropped = omop.rows, omop.dropped
            return
        from galenic.records.fhir import SYNTHETIC, Origin, events_to_resources, write_json  # noqa: PLC0415  # definitions load when they are needed

        agent = f"Galenic {__version__}, {simulated.VERSION}, seed {seed}: no real patient's data went in"
        origin = Origin(agent, f"published rates, sha256 {given.digest}", SYNTHETIC, datetime.now(UTC), ucum=True)
        with FhirWriter(place, form, done.written) as out:
            for number, rows in people_in(tables):
                for resource in events_to_resources(str(number), rows, origin, reads, done.dropped):
                    out.put(resource["resourceType"], resource["id"], write_json(resource))


READS = {
    "ICD10CM//Z00.00": "Encounter for general adult medical examination without abnormal findings",
    "LOINC//8480-6": "Systolic blood pressure", "LOINC//8462-4": "Diastolic blood pressure", "LOINC//8302-2": "Body height",
    "LOINC//29463-7": "Body weight", "LOINC//39156-5": "Body mass index (BMI) [Ratio]",
    "LOINC//13457-7": "Cholesterol in LDL [Mass/volume] in Serum or Plasma by calculation", "LOINC//72166-2": "Tobacco smoking status",
    "LOINC//34117-2": "History and physical note", "LOINC//4548-4": "Hemoglobin A1c/Hemoglobin.total in Blood",
    "LOINC//2339-0": "Glucose [Mass/volume] in Blood", "LOINC//2160-0": "Creatinine [Mass/volume] in Serum or Plasma",
    "LOINC//82589-3": "Highest level of education", "LOINC//88124-3": "Food insecurity risk [HVS]",
    "LOINC//19926-5": "FEV1/FVC", "LOINC//8310-5": "Body temperature",
}  # fmt: skip
