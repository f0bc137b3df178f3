"""Course of simulated patients: visits, measurements, drugs and notes, as events (MEDS)."""

from collections.abc import Iterator
from dataclasses import dataclass, field

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from galenic.generators.simulated.people import YEAR, Bools, SimulatedPatients, draw_people
from galenic.generators.simulated.rates import Floats, Rates
from galenic.schema import BIRTH, DEATH, TIMELINE

VERSION = "simulated 1"
CHUNK = 5_000  # people simulated at once; each chunk has its own seed
DAY = 86_400_000_000  # microseconds
ORDER = [("subject_id", "ascending", "at_start"), ("time", "ascending", "at_start")]
Ints = NDArray[np.int64]
EDUCATION = ("less than high school", "high school", "some college", "a college degree")
FOOD = ("no risk", "at risk")
SMOKES = ("never smoked", "former smoker", "current smoker")


@dataclass(frozen=True)
class Occasions:
    """Patients and times of events, shape (events,). day, end: days since 1970, None if the event has no time or no end;
    visit: numbers of the encounters."""

    who: Ints
    day: Floats | None
    visit: Ints | None = None
    end: Floats | None = None


@dataclass(frozen=True)
class Quantity:
    """Values of events in a unit (UCUM), rounded to a number of decimals."""

    values: Floats
    unit: str
    digits: int = 1


@dataclass
class _Events:
    """Events in columns, part by part. visits: number of the next encounter."""

    people: SimulatedPatients
    rng: np.random.Generator
    parts: list[dict[str, pa.Array]] = field(default_factory=list)
    visits: int = 0

    def put(self, at: Occasions, code: str, kind: str, *, quantity: Quantity | None = None, text: pa.Array | str = "") -> None:
        """Adds events of one code. kind: FHIR resource type of the source."""
        count = len(at.who)
        part: dict[str, pa.Array] = {
            "subject_id": pa.array(at.who + 1, pa.int64()),
            "code": pa.repeat(code, count),
            "code_system": pa.nulls(count, pa.string()),
            "source_ref": pa.repeat(kind, count),
        }
        if at.day is not None:
            part |= {"time": _times(at.day), "utc_offset": pa.repeat(pa.scalar(0, pa.int16()), count)}
        if at.end is not None:
            part["end_time"] = _times(at.end)
        if quantity is not None:
            exact = pa.array(np.round(quantity.values, quantity.digits))
            exact = exact.cast(pa.decimal128(18, quantity.digits), safe=False)
            part |= {"value_text": exact.cast(pa.string()), "numeric_value": exact.cast(pa.float32())}
            part["unit"] = pa.repeat(quantity.unit, count)
        if not isinstance(text, str) or text:
            part["text_value"] = (pa.repeat(text, count) if isinstance(text, str) else text).cast(pa.large_string())
        if at.visit is not None:
            part["encounter_id"] = pa.array(at.visit).cast(pa.string())
        self.parts.append(part)

    def visit(self, who: Ints, day: Floats, code: str, hours: float = 0.5, kind: str = "AMB") -> Ints:
        """Encounters; returns their numbers, shape (events,)."""
        numbers = np.arange(len(who), dtype=np.int64) + self.visits
        self.visits += len(who)
        self.put(Occasions(who, day, visit=numbers, end=day + hours / 24), code, "Encounter", text=kind)
        return numbers

    def table(self) -> pa.Table:
        """All events, sorted by subject and time."""
        columns = []
        for f in TIMELINE:
            chunks = [p.get(f.name, None) for p in self.parts]
            sizes = [len(p["code"]) for p in self.parts]
            whole = [pa.nulls(n, f.type) if c is None else c.cast(f.type) for c, n in zip(chunks, sizes, strict=True)]
            columns.append(pa.chunked_array(whole, f.type))
        table = pa.table(columns, schema=TIMELINE)
        return table.take(pc.sort_indices(table, sort_keys=ORDER))


def _times(day: Floats) -> pa.Array:
    seconds = np.floor(day * 86_400).astype(np.int64)
    return pa.array(seconds * 1_000_000).cast(pa.timestamp("us"))


def simulate_events(
    rates: Rates, count: int, *, start: float, stop: float, seed: int
) -> Iterator[tuple[SimulatedPatients, pa.Table]]:
    """(people, their events within [start, stop), days since 1970) of each chunk; the same seed gives the same people."""
    first = 0
    for number in range(-(-count // CHUNK)):
        rng = np.random.default_rng([seed, number])
        size = min(CHUNK, count - first)
        people = draw_people(rates, size, start=start, stop=stop, rng=rng)
        table = _course(rates, _Events(people, rng, visits=number * 10_000_000), start, stop)
        shifted = pc.add(table["subject_id"], pa.scalar(first, pa.int64()))
        yield people, table.set_column(0, TIMELINE.field("subject_id"), shifted)
        first += size


def _course(rates: Rates, events: _Events, start: float, stop: float) -> pa.Table:
    people = events.people
    everyone = np.arange(len(people))
    events.put(Occasions(everyone, people.birth), BIRTH, "Patient")
    dead = np.flatnonzero(np.isfinite(people.death))
    events.put(Occasions(dead, people.death[dead] + 0.999), DEATH, "Patient")
    for code, mask in (("GENDER//female", people.female), ("GENDER//male", ~people.female)):
        events.put(Occasions(np.flatnonzero(mask), None), code, "Patient")
    begin = np.maximum(people.birth, start)
    last = np.minimum(people.death, stop)
    _wellness(rates, events, begin, last)
    for condition in rates.conditions:
        onset = people.birth + people.onset[condition.name] * YEAR
        has = np.flatnonzero(onset < last)
        events.put(Occasions(has, onset[has]), condition.code, "Condition")
        _followed(rates, events, condition.name, np.maximum(begin, onset), last)
    _influenza(rates, events, begin, last, (stop - start) / YEAR)
    return events.table()


def _spread(events: _Events, per_year: float, begin: Floats, last: Floats) -> tuple[Ints, Floats]:
    """(who, when) of visits at a yearly rate between two days of each person, at hours of the day."""
    years = np.maximum(last - begin, 0) / YEAR
    who = np.repeat(np.arange(len(begin)), events.rng.poisson(per_year * years))
    when = np.floor(begin[who] + events.rng.random(len(who)) * (last - begin)[who])
    hour = (8 + 9 * events.rng.random(len(who))) / 24
    return who, np.minimum(when + hour, last[who] - 0.01)


def _age(events: _Events, who: Ints, day: Floats) -> Floats:
    found: Floats = (day - events.people.birth[who]) / YEAR
    return found


def _with(events: _Events, condition: str, who: Ints, day: Floats) -> Bools:
    found: Bools = events.people.birth[who] + events.people.onset[condition][who] * YEAR <= day
    return found


def _level(rates: Rates, events: _Events, name: str, moved: Bools) -> Floats:
    """Values about the mean of those without or with what moves it."""
    without, with_it, *spread = rates.raw["levels"][name]
    sd = np.where(moved, spread[-1], spread[0])
    found: Floats = np.where(moved, with_it, without) + sd * events.rng.standard_normal(len(moved))
    return found


def _wellness(rates: Rates, events: _Events, begin: Floats, last: Floats) -> None:
    who, day = _spread(events, rates.raw["wellness"]["visits_per_year"], begin, last)
    visit = events.visit(who, day, "ICD10CM//Z00.00")
    people, adult = events.people, _age(events, who, day) >= 18
    _pressure(rates, events, who[adult], day[adult], visit[adult])
    who, day, visit = who[adult], day[adult], visit[adult]
    height = people.height[who]
    mass = people.mass[who] + 0.8 * events.rng.standard_normal(len(who))
    events.put(Occasions(who, day, visit=visit), "LOINC//8302-2", "Observation", quantity=Quantity(height, "cm"))
    weight = mass * (height / 100) ** 2
    events.put(Occasions(who, day, visit=visit), "LOINC//29463-7", "Observation", quantity=Quantity(weight, "kg"))
    events.put(Occasions(who, day, visit=visit), "LOINC//39156-5", "Observation", quantity=Quantity(mass, "kg/m2"))
    lipids = _age(events, who, day) >= 40
    moved = _with(events, "coronary", who, day)[lipids]
    events.put(
        Occasions(who[lipids], day[lipids], visit=visit[lipids]),
        "LOINC//13457-7",
        "Observation",
        quantity=Quantity(np.maximum(_level(rates, events, "ldl", moved), 20), "mg/dL", 0),
    )
    smoking = pa.array(SMOKES).take(pa.array(people.smoking[who]))
    events.put(Occasions(who, day, visit=visit), "LOINC//72166-2", "Observation", text=smoking)
    _notes(events, who, day, visit, mass)
    grown = np.flatnonzero(_age(events, who, day) >= 25)[::4]  # asked at one visit in four
    said = pa.array(EDUCATION).take(pa.array(people.education[who[grown]]))
    events.put(Occasions(who[grown], day[grown], visit=visit[grown]), "LOINC//82589-3", "Observation", text=said)
    said = pa.array(FOOD).take(pa.array(people.hungry[who[grown]].astype(np.int64)))
    events.put(Occasions(who[grown], day[grown], visit=visit[grown]), "LOINC//88124-3", "Observation", text=said)


def _notes(events: _Events, who: Ints, day: Floats, visit: Ints, mass: Floats) -> None:
    """A short note of each wellness visit, in words that its figures give."""
    years = pc.binary_join_element_wise(
        pa.array(np.floor(_age(events, who, day)).astype(np.int64)).cast(pa.string()), "year-old", "-"
    )
    sex = pa.array(["man", "woman"]).take(pa.array(events.people.female[who].astype(np.int64)))
    smoking = pa.array(SMOKES).take(pa.array(events.people.smoking[who]))
    index = pa.array(np.round(mass, 1)).cast(pa.decimal128(18, 1), safe=False).cast(pa.string())
    text = pc.binary_join_element_wise(
        years, sex, pa.repeat("seen for a general examination, body mass index", len(who)), index,
        pa.repeat("kg/m2,", len(who)), smoking, " ",
    )  # fmt: skip
    events.put(Occasions(who, day, visit=visit), "LOINC//34117-2", "DocumentReference", text=text)


def _pressure(rates: Rates, events: _Events, who: Ints, day: Floats, visit: Ints) -> None:
    moved = _with(events, "hypertension", who, day)
    for name, code in (("systolic", "LOINC//8480-6"), ("diastolic", "LOINC//8462-4")):
        value = np.clip(_level(rates, events, name, moved), 40, 240)
        events.put(Occasions(who, day, visit=visit), code, "Observation", quantity=Quantity(value, "mm[Hg]", 0))


def _followed(rates: Rates, events: _Events, name: str, begin: Floats, last: Floats) -> None:
    """Visits for one condition with what is measured and ordered there."""
    condition = next(c for c in rates.conditions if c.name == name)
    begin = np.where(np.isfinite(begin), begin, last)
    who, day = _spread(events, condition.visits_per_year, np.minimum(begin, last), last)
    visit = events.visit(who, day, condition.code)
    events.put(Occasions(who, day, visit=visit), condition.drug, "MedicationRequest", text="active")
    everyone = np.ones(len(who), dtype=np.bool_)
    measured = {
        "diabetes": (("hba1c", "LOINC//4548-4", "%", 1), ("glucose", "LOINC//2339-0", "mg/dL", 0)),
        "coronary": (("ldl", "LOINC//13457-7", "mg/dL", 0),),
        "copd": (("fev1_fvc", "LOINC//19926-5", "%", 0),),
    }.get(name, ())
    for what, code, unit, digits in measured:
        value = np.maximum(_level(rates, events, what, everyone), 4 if what == "hba1c" else 15)
        events.put(Occasions(who, day, visit=visit), code, "Observation", quantity=Quantity(value, unit, digits))
    if name == "hypertension":
        _pressure(rates, events, who, day, visit)
    if name == "diabetes":
        value = np.maximum(_level(rates, events, "creatinine", everyone), 0.4)
        events.put(Occasions(who, day, visit=visit), "LOINC//2160-0", "Observation", quantity=Quantity(value, "mg/dL", 2))


def _influenza(rates: Rates, events: _Events, begin: Floats, last: Floats, years: float) -> None:
    """Each winter some are vaccinated in autumn and some fall ill between December and March."""
    for season in range(-1, round(years)):  # the winter that the window begins in, too
        for what, offset, width in (("vaccination", 270.0, 45.0), ("influenza", 335.0, 100.0)):
            given = rates.raw[what]
            who = np.flatnonzero(events.rng.random(len(begin)) < given["per_season"])
            first = np.floor(np.max(last)) - (years - season) * YEAR  # the window's own years, whole
            day = np.floor(first - first % YEAR + offset + width * events.rng.random(len(who))) + 0.4
            inside = (day >= begin[who]) & (day < last[who] - 1)
            who, day = who[inside], day[inside]
            if what == "vaccination":
                events.put(Occasions(who, day), given["code"], "Immunization", text="completed")
                continue
            visit = events.visit(who, day, given["code"], hours=1)
            ends = np.minimum(day + 7, last[who])
            events.put(Occasions(who, day, visit=visit, end=ends), given["code"], "Condition")
            fever = 38.6 + 0.5 * events.rng.standard_normal(len(who))
            events.put(Occasions(who, day, visit=visit), "LOINC//8310-5", "Observation", quantity=Quantity(fever, "Cel"))
