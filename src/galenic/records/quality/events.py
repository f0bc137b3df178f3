"""The quality of timelines: orders, units, ranges, completeness of events, codes that are none."""

from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from galenic.records.quality.analytes import Floats, analyte_of
from galenic.records.quality.tables import SHOWN, TableQuality, _histogram, _outliers
from galenic.records.quality.units import Mix, find_mix
from galenic.records.terminology import LABELS, Terminology
from galenic.records.unit_conversion import is_unit
from galenic.schema import BIRTH, DEATH, Finding, NotMeasured

Open = Callable[[], Iterator[pa.Table]]
KEPT = 100_000  # values of one code and unit that are looked at; the first ones


@dataclass
class _Seen:
    """What one pass over all events has counted."""

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
    """Everything that can be said of timelines by themselves. open_: tables of TIMELINE's columns, again at every call."""
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
        if sum(map(len, kept)) < KEPT:
            kept.append(numbers[part])
            seen.whose.setdefault((code, unit), []).append(whose[part])


def _orders(open_: Open, seen: _Seen) -> Finding:
    """People with an event before birth or after the day of death, an end before its start, or something yet to come."""
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
        checks = {"an end before its start": ends < at, "a time that is yet to come": at > now}
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


def _measured(seen: _Seen, done: TableQuality) -> Iterator[Finding]:
    mixed: list[Any] = []
    out: list[Any] = []
    far: list[Any] = []
    units: list[Any] = []
    totals: Counter[str] = Counter()
    by_code: dict[str, Counter[str]] = {}
    for (code, unit), parts in sorted(seen.values.items()):
        values, whose = np.concatenate(parts), np.concatenate(seen.whose[code, unit])
        totals["values"] += len(values)
        by_code.setdefault(code, Counter())[unit] += len(values)
        if unit and not is_unit(unit):
            totals["units"] += len(values)
            units.append({"where": code, "share": 1.0, "what": f"{len(values):,} values in {unit!r}, which is no unit of UCUM"})
        rest = _look(code, unit, values, whose, totals, mixed, out, done)
        outliers = _outliers(rest)
        if len(outliers):
            totals["far"] += len(outliers)
            what = f"{len(outliers):,} values lie more than 8 robust standard deviations off"
            far.append({"where": code, "share": len(outliers) / len(values), "what": what})
    several = {c: u for c, u in by_code.items() if len(u) > 1}
    units += [
        {
            "where": c,
            "share": 1 - max(u.values()) / u.total(),
            "what": f"is stated in {', '.join(repr(k or '(none)') for k in u)}",
        }
        for c, u in several.items()
    ]
    count = max(totals["values"], 1)
    yield Finding("quality.units.mixed", totals["mixed"] / count, "share of values, by distribution", detail={"columns": mixed})
    yield Finding(
        "quality.units",
        totals["units"] / count,
        "share of values whose unit is none of UCUM",
        detail={"columns": units[:SHOWN]},
    )
    yield Finding("quality.range", totals["out"] / count, "share of values, beyond what is possible", detail={"columns": out})
    yield Finding(
        "quality.outliers", totals["far"] / count, "share of values, by median and MAD", detail={"columns": far[:SHOWN]}
    )


def _look(
    code: str,
    unit: str,
    values: Floats,
    whose: np.ndarray,
    totals: Counter[str],
    mixed: list[Any],
    out: list[Any],
    done: TableQuality,
) -> Floats:
    """Units and ranges of one code in one unit; returns the values that are left to look at."""
    analyte, rest = analyte_of(code), values.copy()
    mix: Mix | None = find_mix(values, analyte, unit, whose) if analyte or not unit else None
    if mix is not None:
        done.mixes[code] = mix
        done.histograms[code] = _histogram(values, mix)
        totals["mixed"] += len(mix.places)
        what = f"{len(mix.places):,} of {len(values):,} values look like {mix.other} among {mix.unit or 'the rest'}"
        mixed.append({"where": code, "share": len(mix.places) / len(values), "what": what})
        rest[mix.places] = np.nan
    if analyte is not None:
        changed = analyte.converted(rest, mix.unit if mix else unit)
        beyond = ~np.isnan(changed) & ~analyte.is_possible(changed)
        if beyond.any():
            totals["out"] += int(beyond.sum())
            low, high = analyte.possible
            what = f"{int(beyond.sum()):,} values are outside {low:g} to {high:g} {analyte.unit}"
            out.append({"where": code, "share": float(beyond.mean()), "what": what})
            rest[beyond] = np.nan
    return rest


def _complete(seen: _Seen, done: TableQuality) -> Iterator[Finding | NotMeasured]:
    """Values that are missing where the same code mostly has one, and people without what everybody has."""
    missing = []
    for code, count in seen.codes.items():
        empty = seen.valueless[code]
        if 0 < empty < count / 2 and count >= 20:
            missing.append({"where": code, "share": empty / count, "what": f"{empty:,} of {count:,} events have no value"})
    missing.sort(key=lambda d: -float(str(d["share"])))
    worst = float(str(missing[0]["share"])) if missing else 0.0
    yield Finding("quality.missing.worst", worst, "the code with most missing values", detail={"columns": missing[:SHOWN]})
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
    done.missing_by_year["events"] = {y: n / total for y, n in sorted(seen.years.items())}


def _known(seen: _Seen, terminology: Terminology) -> Finding | NotMeasured:
    """Events whose code is none of its system, where the system's table is here."""
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
            where.append({"where": code, "share": count / seen.events, "what": f"{count:,} events; {label} has no such code"})
    if not asked:
        return NotMeasured(
            "quality.codes", f"no table of {', '.join(sorted(absent)) or 'the systems used'} is loaded: galenic code load"
        )
    where.sort(key=lambda d: -float(d["share"]))
    beside = {"not loaded": sorted(absent)} if absent else {}
    return Finding(
        "quality.codes",
        wrong / asked,
        "share of events whose code its system lacks",
        detail={"columns": where[:SHOWN], **beside},
    )
