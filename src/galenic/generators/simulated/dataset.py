"""Data sets of simulated patients in a standard format; no patient's data goes in, and every resource says that it is synthetic."""

import csv
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, date, datetime
from importlib.resources import files
from pathlib import Path
from typing import Any

import pyarrow as pa

from galenic.errors import OptionError
from galenic.generators.simulated.cohort import cohort_table
from galenic.generators.simulated.course import VERSION, simulate_events
from galenic.generators.simulated.rates import Rates, load_rates
from galenic.records import FORMATS, EventSource
from galenic.schema import Progress, no_progress
from galenic.version import __version__

FORMS = ("meds", "fhir", "bundle", "omop")
EPOCH = date(1970, 1, 1)
EARLIEST_END = date(1900, 1, 1)


@dataclass(frozen=True)
class SimulationRequest:
    """Patients to simulate: their number, the seed, and years of records up to `until` (default: this year's first day)."""

    count: int
    seed: int = 0
    years: int = 10
    until: date | None = None

    def days(self) -> tuple[int, int]:
        """First and last day, since 1970."""
        last = self.until or date(datetime.now(UTC).year, 1, 1)
        first = date(last.year - self.years, last.month, min(last.day, 28))
        return (first - EPOCH).days, (last - EPOCH).days


@dataclass
class SimulationResult:
    """Counts: people, events; written: resources or rows by type or table; dropped: events without a place in the form."""

    people: int = 0
    events: int = 0
    written: Counter[str] = field(default_factory=Counter)
    dropped: Counter[str] = field(default_factory=Counter)


def simulate(
    request: SimulationRequest, target: Path, *, form: str = "meds", progress: Progress = no_progress
) -> SimulationResult:
    """Writes simulated patients, whole or not at all."""
    if form not in FORMS:
        raise OptionError(f"{form!r} is no form of simulated patients. Expected one of {', '.join(FORMS)}.")
    if request.count < 1 or not 1 <= request.years <= 50:
        raise OptionError("simulated patients are at least 1, with 1 to 50 years of records.")
    if request.until is not None and request.until < EARLIEST_END:
        raise OptionError(f"records of simulated patients end on {EARLIEST_END} or later. Give a later date.")
    rates, result = load_rates(), SimulationResult()
    start, stop = request.days()

    def tables() -> Iterator[pa.Table]:
        for people, table in simulate_events(rates, request.count, start=start, stop=stop, seed=request.seed):
            result.people += len(people)
            result.events += table.num_rows
            progress("simulating", result.people / request.count)
            yield table

    written = FORMATS[form].write(tables(), target, _source(request.seed, rates))
    result.written, result.dropped = written.written, written.dropped
    return result


def simulate_cohort(count: int, *, seed: int = 0, years: int = 10) -> pa.Table:
    """Simulated patients as a table with one row each, as of this year's first day."""
    start, stop = SimulationRequest(count, years=years).days()
    tables = simulate_events(load_rates(), count, start=start, stop=stop, seed=seed)
    return cohort_table((table for _people, table in tables), stop)


def rate_sources() -> list[dict[str, Any]]:
    """Sources of the rates: rate, source, verified, assumed."""
    return load_rates().sources()


def _source(seed: int, rates: Rates) -> EventSource:
    descriptions = _descriptions(rates)

    def codes() -> pa.Table:
        parents = pa.nulls(len(descriptions), pa.list_(pa.string()))
        return pa.table({"code": list(descriptions), "description": list(descriptions.values()), "parent_codes": parents})

    return EventSource(
        f"simulated, seed {seed}",
        f"Galenic {__version__}, {VERSION}, seed {seed}: no real patient's data went in",
        f"published rates, sha256 {rates.digest}",
        synthetic=True,
        ucum=True,
        descriptions=descriptions,
        codes=codes,
    )


def _descriptions(rates: Rates) -> dict[str, str]:
    """Text of each code: of conditions and their drugs from the rates, of others from codes.csv."""
    described = {c.code: c.reads for c in rates.conditions} | {c.drug: c.drug_reads for c in rates.conditions}
    table = files("galenic.generators.simulated").joinpath("codes.csv").read_text(encoding="utf-8")
    described |= {row["code"]: row["description"] for row in csv.DictReader(table.splitlines())}
    return described | {str(rates.raw[n]["code"]): str(rates.raw[n]["reads"]) for n in ("influenza", "vaccination")}
