"""Quality of timelines: orders, units, ranges, completeness of events, invalid codes."""

from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from galenic.records.quality.analytes import Floats
from galenic.records.quality.numbers import (
    NumberFaults,
    analyte_of_values,
    find_outliers,
    histogram_of,
    impossible_places,
    mix_text,
    outlier_text,
    range_text,
)
from galenic.records.quality.result import SHOWN, SMALLEST_GROUP, Places, TableQuality
from galenic.records.quality.units import are_codes, find_mix
from galenic.records.terminology import LABELS, Terminology
from galenic.records.unit_conversion import is_unit
from galenic.schema import BIRTH, DEATH, Finding, NotMeasured

Open = Callable[[], Iterator[pa.Table]]
MAX_VALUES = 100_000  # of one code and unit that are measured; the first ones


@dataclass
class _Seen:
    """Counts of one pass over all events."""

    events: int = 0
    timed: int = 0
    codes: Counter[str] = field(default_factory=Counter)
    valueless: Counter[str] = field(default_factory=Counter)
    years: Counter[str] = field(default_factory=Counter)
    measured_years: dict[str, Counter[str]] = field(default_factory=dict)
    values: dict[tuple[str, str], list[np.ndarray]] = field(default_factory=dict)
    whose: dict[tuple[str, str], list[np.ndarray]] = field(default_factory=dict)
    birth: dict[int, int] = field(default_factory=dict)
    death: dict[int, int] = field(default_factory=dict)
    people: set[int] = field(default_factory=set)


def measure_events(open_: Open, terminology: Terminology) -> TableQuality:
    """Findings about timelines alone. open_: returns tables of TIMELINE's columns, anew at each call."""
    seen, done = _Seen(), TableQuality()
    for table in open_():
        _count(table, seen)
    done.rows = seen.events
    done.findings.append(_orders(open_, seen))
    done.findings += _measured(seen, done)
    done.findings += _complete(seen, done)
    done.findings.append(_known(seen, terminology))
    return done


def _count(table: pa.Table, seen: _Seen) -> None:
    seen.events += table.num_rows
    codes = table["code"].combine_chunks()
    for row in pc.value_counts(codes).to_pylist():
        seen.codes[row["values"]] += row["counts"]
    seen.people.update(pc.unique(table["subject_id"]).to_pylist())
    timed = table.filter(pc.is_valid(table["time"]))
    seen.timed += timed.num_rows
    for code, into, best in ((BIRTH, seen.birth, min), (DEATH, seen.death, min)):
        part = timed.filter(pc.equal(timed["code"], code))
        for who, at in zip(part["subject_id"].to_pylist(), part["time"].cast(pa.int64()).to_pylist(), strict=True):
            into[who] = best(into.get(who, at), at)
    for row in pc.value_counts(pc.year(timed["time"])).to_pylist():
        seen.years[str(row["values"])] += row["counts"]
    measured = table.filter(pc.is_valid(table["numeric_value"]))
    empty = table.filter(pc.and_(pc.is_null(table["numeric_value"]), pc.is_null(table["text_value"])))
    seen.valueless.update(empty["code"].to_pylist())
    keys = (
        pc.binary_join_element_wise(measured["code"], pc.fill_null(measured["unit"], ""), "\0")
        .combine_chunks()
        .dictionary_encode()
    )
    numbers, whose = measured["numeric_value"].to_numpy().astype(np.float64), measured["subject_id"].to_numpy()
    places = keys.indices.to_numpy()
    order = np.argsort(places, kind="stable")
    for part in np.split(order, np.flatnonzero(np.diff(places[order])) + 1) if len(order) else ():
        code, _, unit = str(keys.dictionary[int(places[part[0]])]).partition("\0")
        kept = seen.values.setdefault((code, unit), [])
        if sum(map(len, kept)) < MAX_VALUES:
            kept.append(numbers[part])
            seen.whose.setdefault((code, unit), []).append(whose[part])


def _orders(open_: Open, seen: _Seen) -> Finding:
    """Patients with an event before birth or after the day of death, in the future, or with an end before its start."""
    born, died = (pa.array(list(d), pa.int64()) for d in (seen.birth, seen.death))
    at_birth, at_death = (np.asarray(list(d.values()), dtype=np.int64) for d in (seen.birth, seen.death))
    now = np.datetime64("now", "us").astype(np.int64)
    counts: Counter[str] = Counter()
    people: set[int] = set()
    day = 86_400_000_000
    for table in open_():
        timed = table.filter(pc.is_valid(table["time"]))
        at, who = timed["time"].cast(pa.int64()).to_numpy(), timed["subject_id"]
        ends = pc.fill_null(timed["end_time"].cast(pa.int64()), np.iinfo(np.int64).max).to_numpy()
        checks = {"an end before its start": ends < at, "a time in the future": at > now}
        for name, known, times, sign in (
            ("an event before birth", born, at_birth, 1),
            ("an event after death", died, at_death, -1),
        ):
            place = pc.index_in(who, value_set=known)
            has = pc.is_valid(place).to_numpy()
            limit = np.zeros(len(at), dtype=np.int64)
            limit[has] = times[pc.drop_null(place).to_numpy()]
            # a birth or death known to the day covers that day
            late = at >= limit - limit % day + day if sign < 0 else at < limit - limit % day
            checks[name] = has & late
        for name, mask in checks.items():
            if mask.any():
                counts[name] += int(mask.sum())
                people.update(np.unique(who.to_numpy()[mask]).tolist())
    where = [{"where": n, "share": c / max(seen.events, 1), "what": f"{c:,} events"} for n, c in counts.most_common()]
    twice = len(seen.birth) and sum(seen.death.get(s, at) < at for s, at in seen.birth.items())
    if twice:
        where.append({"where": "death before birth", "share": twice / len(seen.birth), "what": f"{twice:,} people"})
    share = len(people) / max(len(seen.people), 1)
    return Finding("quality.orders", share, "share of people with an impossible order", detail={"columns": where})


def _measured(seen: _Seen, result: TableQuality) -> Iterator[Finding]:
    """Units, ranges and outliers of the values of each code."""
    faults, units = NumberFaults(), Places()
    by_code: dict[str, Counter[str]] = {}
    for (code, unit), parts in sorted(seen.values.items()):
        values, patients = np.concatenate(parts), np.concatenate(seen.whose[code, unit])
        by_code.setdefault(code, Counter())[unit] += len(values)
        if unit and not is_unit(unit):
            what = f"{len(values):,} values in {unit!r}, which is not a UCUM unit"
            units.add(code, 1.0, what, count=len(values), beside={"events": len(values)})
        _measure_code(_Values(code, unit, values, patients), faults, result)
    for code, stated in by_code.items():
        if len(stated) > 1:
            what = f"is stated in {', '.join(repr(k or '(none)') for k in stated)}"
            units.add(code, 1 - max(stated.values()) / stated.total(), what, beside={"events": stated.total()})
    total = max(faults.values, 1)
    yield faults.mixed.finding("quality.units.mixed", total, "share of values in another unit, by distribution")
    yield units.finding("quality.units", total, "share of values whose unit is not a UCUM unit", most=SHOWN)
    yield faults.impossible.finding("quality.range", total, "share of values outside the possible range")
    yield faults.outliers.finding("quality.outliers", total, "share of values that are outliers by median and MAD", most=SHOWN)


@dataclass(frozen=True)
class _Values:
    """Values of one code in one unit, and the patient of each."""

    code: str
    unit: str
    values: Floats
    patients: np.ndarray


def _measure_code(measured: _Values, faults: NumberFaults, result: TableQuality) -> None:
    code, unit, values = measured.code, measured.unit, measured.values
    faults.values += len(values)
    analyte, rest = analyte_of_values(code, values), values.copy()
    quantity = analyte is not None or not (unit or are_codes(values))
    mix = find_mix(values, analyte, unit, measured.patients) if quantity else None
    if mix is not None:
        result.mixes[code] = mix
        result.histograms[code] = histogram_of(values, mix)
        places = len(mix.places)
        faults.mixed.add(code, places / len(values), mix_text(mix, len(values)), count=places, beside={"events": len(values)})
        rest[mix.places] = np.nan
    beyond = impossible_places(rest, analyte, mix.unit if mix else unit)
    if analyte and len(beyond):
        faults.impossible.add(
            code, len(beyond) / len(values), range_text(analyte, len(beyond)), count=len(beyond), beside={"events": len(values)}
        )
        rest[beyond] = np.nan
    outliers = find_outliers(rest)
    if len(outliers):
        faults.outliers.add(
            code, len(outliers) / len(values), outlier_text(len(outliers)), count=len(outliers), beside={"events": len(values)}
        )


def _complete(seen: _Seen, done: TableQuality) -> Iterator[Finding | NotMeasured]:
    """Missing values of codes that mostly have one, and patients without birth or sex."""
    missing = []
    for code, count in seen.codes.items():
        empty = seen.valueless[code]
        if 0 < empty < count / 2 and count >= 20:
            missing.append({"where": code, "share": empty / count, "what": f"{empty:,} of {count:,} events have no value"})
    missing.sort(key=lambda d: -float(str(d["share"])))
    worst = float(str(missing[0]["share"])) if missing else 0.0
    yield Finding("quality.missing.worst", worst, "code with the most missing values", detail={"columns": missing[:SHOWN]})
    people = max(len(seen.people), 1)
    birthless = 1 - len(seen.birth) / people
    timeless = 1 - seen.timed / max(seen.events, 1)
    sexless = max(0.0, 1 - sum(n for c, n in seen.codes.items() if c.startswith(("GENDER//", "SEX//"))) / people)
    where = [
        {"where": "birth", "share": birthless, "what": f"{birthless:.1%} of people have no date of birth"},
        {"where": "sex", "share": sexless, "what": f"{sexless:.1%} of people have no sex"},
        {"where": "time", "share": timeless, "what": f"{timeless:.1%} of events have no time"},
    ]
    yield Finding("quality.missing", float(np.mean([birthless, sexless])), "birth and sex", detail={"columns": where})
    total = max(seen.years.total(), 1)
    done.missing_by_year["events"] = {y: n / total for y, n in sorted(seen.years.items()) if n >= SMALLEST_GROUP}


def _known(seen: _Seen, terminology: Terminology) -> Finding | NotMeasured:
    """Events with a code that does not exist in its system, for loaded systems."""
    asked = wrong = 0
    where: list[dict[str, Any]] = []
    absent: set[str] = set()
    for code, count in seen.codes.items():
        label, mark, value = code.partition("//")
        system = LABELS.get(label)
        if not mark or system is None:
            continue
        verdict = terminology.validate(system, value)
        if verdict.state == "not-loaded":
            absent.add(label)
            continue
        asked += count
        if verdict.state == "not-found":
            wrong += count
            what = f"{count:,} events; {label} does not have this code"
            where.append({"where": code, "share": count / seen.events, "what": what, "events": count})
    if not asked:
        return NotMeasured(
            "quality.codes",
            f"no table of {', '.join(sorted(absent)) or 'the code systems used'} is loaded. Load one: galenic terminology load",
        )
    where.sort(key=lambda d: -float(d["share"]))
    beside = {"not loaded": sorted(absent)} if absent else {}
    return Finding(
        "quality.codes",
        wrong / asked,
        "share of events whose code does not exist in its system",
        detail={"columns": where[:SHOWN], **beside},
    )
