"""The quality of a table: missing values by column, group and time, units, orders, ranges, outliers."""

import re
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from galenic.records.parse import clean_text
from galenic.records.quality.analytes import Floats, analyte_of
from galenic.records.quality.units import Mix, find_mix
from galenic.records.source import Source
from galenic.schema import MISSING_TOKENS, Column, Finding, NotMeasured

BIRTH = re.compile(r"(^|_)(birth|dob|born|birth_?date|date_of_birth)($|_)", re.IGNORECASE)
DEATH = re.compile(r"(^|_)(death|dod|died|deceased|death_?date|date_of_death)($|_)", re.IGNORECASE)
GROUPS = ("sex", "gender", "race", "ethnicity", "site", "hospital", "unit")
SPANS = (
    ("start", "end"), ("admit", "discharge"), ("admission", "discharge"), ("admitted", "discharged"), ("from", "to"), ("onset", "resolved"),
)  # fmt: skip
FAR = 8.0  # robust standard deviations beyond which a value is an outlier
SHOWN = 50  # places that a finding lists


@dataclass
class TableQuality:
    """Findings, mixes by column (for a repair), and what the page shows: missing shares by column and
    year, histograms of mixes. repaired: number of converted values by column."""

    findings: list[Finding | NotMeasured] = field(default_factory=list)
    mixes: dict[str, Mix] = field(default_factory=dict)
    missing_by_year: dict[str, dict[str, float]] = field(default_factory=dict)
    missing_by_group: dict[str, dict[str, dict[str, float]]] = field(default_factory=dict)
    histograms: dict[str, dict[str, Any]] = field(default_factory=dict)
    rows: int = 0
    repaired: dict[str, int] = field(default_factory=dict)


def measure_table(source: Source, columns: tuple[Column, ...], *, patient: str = "") -> TableQuality:
    """Everything that can be said of one table by itself. Columns are read one at a time."""
    done = TableQuality(rows=source.count())
    kinds = {c.name: c.kind for c in columns}
    done.findings += _missing(source, columns, done)
    done.findings += _numbers(source, columns, patient, done)
    done.findings.append(_orders(source, kinds))
    done.findings.append(_repeats(source))
    return done


def _texts(batch: pa.Table, name: str, tokens: tuple[str, ...] = MISSING_TOKENS) -> pa.ChunkedArray:
    array = batch[name]
    return clean_text(array.cast(pa.string()), tokens) if not pa.types.is_null(array.type) else array.cast(pa.string())


def _missing(source: Source, columns: tuple[Column, ...], done: TableQuality) -> Iterator[Finding]:
    """Missing shares: of each column, and of each column by group and by year of the first date."""
    names = list(source.names)
    dates = [c.name for c in columns if c.kind == "date" and not BIRTH.search(c.name) and not DEATH.search(c.name)]
    groups = [c.name for c in columns if c.name.lower() in GROUPS]
    missing: Counter[str] = Counter()
    split: dict[str, Counter[tuple[str, str]]] = {g: Counter() for g in [*groups, *dates[:1]]}
    sizes: dict[str, Counter[str]] = {g: Counter() for g in split}
    rows = 0
    for _, batch in source.raw():
        rows += batch.num_rows
        empty = {n: _texts(batch, n).is_null().combine_chunks() for n in names}
        for n in names:
            missing[n] += int(pc.sum(empty[n]).as_py() or 0)
        for g, counted in split.items():
            keys = pc.fill_null(_texts(batch, g).combine_chunks(), "(missing)")
            keys = pc.utf8_slice_codeunits(keys, 0, 4) if g in dates else keys
            sizes[g].update(keys.to_pylist())
            for n in names:
                counted.update((n, k) for k in keys.filter(empty[n]).to_pylist())
    shares = {n: missing[n] / max(rows, 1) for n in names}
    where = [{"where": n, "share": s, "what": f"{missing[n]:,} of {rows:,} values are missing"} for n, s in shares.items() if s]
    where.sort(key=lambda d: -float(str(d["share"])))
    yield Finding(
        "quality.missing", float(np.mean(list(shares.values()))), "mean over columns", detail={"columns": where[:SHOWN]}
    )
    judged = {n: s for n, s in shares.items() if not DEATH.search(n)}  # who lives has no date of death
    emptiest = [w for w in where if str(w["where"]) in judged][:5]
    yield Finding(
        "quality.missing.worst", max(judged.values(), default=0.0), "the column with most", detail={"columns": emptiest}
    )
    gaps = []
    for g, sized in sizes.items():
        table = {n: {k: split[g][n, k] / size for k, size in sorted(sized.items())} for n in names if n != g and missing[n]}
        (done.missing_by_year if g in dates else done.missing_by_group.setdefault(g, {})).update(table)
        for n, by in table.items():
            big = {k: s for k, s in by.items() if sized[k] >= 20}
            if len(big) > 1 and max(big.values()) - min(big.values()) > 0.1:
                worst, best = max(big, key=lambda k: big[k]), min(big, key=lambda k: big[k])
                what = f"missing in {big[worst]:.0%} where {g} is {_safe(worst)}, in {big[best]:.0%} where it is {_safe(best)}"
                gaps.append({"where": n, "share": big[worst] - big[best], "what": what})
    gaps.sort(key=lambda d: -float(str(d["share"])))
    largest = float(str(gaps[0]["share"])) if gaps else 0.0
    yield Finding(
        "quality.missing.uneven", largest, "largest difference between groups or years", detail={"columns": gaps[:SHOWN]}
    )


def _safe(text: str) -> str:
    """A group's name is shown; it comes from a column that names groups, not patients."""
    return text if len(text) <= 24 else text[:24] + "…"


def _numbers(source: Source, columns: tuple[Column, ...], patient: str, done: TableQuality) -> Iterator[Finding]:
    """Units, ranges and outliers of numeric columns, and values that are no numbers in columns of numbers."""
    whose = _codes(source, patient) if patient in source.names else None
    mixed, out, far, odd = [], [], [], []
    totals: Counter[str] = Counter()
    for column in columns:
        analyte = analyte_of(column.name)
        if column.kind not in ("numeric", "integer") and analyte is None:
            continue
        values, strange = _values(source, column.name)
        known = int((~np.isnan(values)).sum())
        totals["values"] += known
        totals["strange"] += strange
        if strange:
            odd.append(
                {"where": column.name, "share": strange / max(len(values), 1), "what": f"{strange:,} values are no numbers"}
            )
        mix = find_mix(values, analyte, column.unit, whose) if known else None
        rest = values.copy()
        if mix is not None:
            done.mixes[column.name] = mix
            done.histograms[column.name] = _histogram(values, mix)
            totals["mixed"] += len(mix.places)
            what = f"{len(mix.places):,} of {known:,} values look like {mix.other} among {mix.unit or 'the rest'}"
            mixed.append({"where": column.name, "share": len(mix.places) / known, "what": what, "rows": _rows(mix.places)})
            rest[mix.places] = np.nan
        beyond = np.asarray([], dtype=np.int64)
        if analyte:
            changed = analyte.converted(rest, mix.unit if mix else column.unit)
            beyond = np.flatnonzero(~np.isnan(changed) & ~analyte.is_possible(changed))
        if len(beyond):
            totals["beyond"] += len(beyond)
            assert analyte
            what = f"{len(beyond):,} values are outside {analyte.possible[0]:g} to {analyte.possible[1]:g} {analyte.unit}"
            out.append({"where": column.name, "share": len(beyond) / known, "what": what, "rows": _rows(beyond)})
        rest[beyond] = np.nan
        outliers = _outliers(rest)
        if len(outliers):
            totals["far"] += len(outliers)
            what = f"{len(outliers):,} values lie more than {FAR:g} robust standard deviations off"
            far.append({"where": column.name, "share": len(outliers) / known, "what": what, "rows": _rows(outliers)})
    count = max(totals["values"], 1)
    yield Finding(
        "quality.conformance",
        totals["strange"] / (count + totals["strange"]),
        "no number where numbers stand",
        detail={"columns": odd},
    )
    yield Finding("quality.units.mixed", totals["mixed"] / count, "share of values, by distribution", detail={"columns": mixed})
    yield Finding(
        "quality.range", totals["beyond"] / count, "share of values, beyond what is possible", detail={"columns": out}
    )
    yield Finding("quality.outliers", totals["far"] / count, "share of values, by median and MAD", detail={"columns": far})


def _rows(places: np.ndarray) -> list[int]:
    return [int(p) + 1 for p in places[:SHOWN]]


def _values(source: Source, name: str) -> tuple[Floats, int]:
    """(values of one column, NaN where missing or no number; how many are no number)."""
    parts, strange = [], 0
    for _, batch in source.raw([name]):
        texts = _texts(batch, name)
        numbers = pc.match_substring_regex(texts, r"^\s*[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?\s*$")
        strange += int(pc.sum(pc.invert(pc.fill_null(numbers, True))).as_py() or 0)
        good = pc.if_else(pc.fill_null(numbers, False), pc.utf8_trim_whitespace(texts), pa.scalar(None, pa.string()))
        parts.append(np.asarray(good.cast(pa.float64()).to_numpy(), dtype=np.float64))
    return (np.concatenate(parts) if parts else np.asarray([], dtype=np.float64)), strange


def _codes(source: Source, name: str) -> np.ndarray:
    texts = pa.chunked_array([c for _, b in source.raw([name]) for c in b[name].cast(pa.string()).chunks], pa.string())
    return np.asarray(texts.combine_chunks().dictionary_encode(null_encoding="encode").indices.to_numpy(), dtype=np.int64)


def _outliers(values: Floats) -> np.ndarray:
    """Places far from the middle, on the scale (as it is, or logarithmic) on which fewer are."""
    known = values[~np.isnan(values)]
    if len(known) < 30 or len(np.unique(known)) < 10:
        return np.asarray([], dtype=np.int64)
    found = [_far(values)]
    if known.min() > 0:
        found.append(_far(np.log(values)))
    return min(found, key=len)


def _far(values: Floats) -> np.ndarray:
    middle = np.nanmedian(values)
    spread = 1.4826 * np.nanmedian(np.abs(values - middle))
    if spread == 0:
        return np.asarray([], dtype=np.int64)
    with np.errstate(invalid="ignore"):
        return np.flatnonzero(np.abs(values - middle) > FAR * spread)


def _histogram(values: Floats, mix: Mix) -> dict[str, Any]:
    known = values[~np.isnan(values)]
    scaled = np.log10(known) if known.min() > 0 and known.max() / known.min() > 20 else known
    edges = np.histogram_bin_edges(scaled, 40)
    strange = values[mix.places]
    strange = np.log10(strange) if scaled is not known else strange
    shown = 10**edges if scaled is not known else edges
    return {
        "edges": shown.tolist(),
        "all": np.histogram(scaled, edges)[0].tolist(),
        "strange": np.histogram(strange, edges)[0].tolist(),
    }


def _orders(source: Source, kinds: Mapping[str, str]) -> Finding | NotMeasured:
    """Rows with something before birth, after death, in the future, or an end before its start."""
    dates = [n for n, k in kinds.items() if k == "date"]
    birth = next((n for n in dates if BIRTH.search(n)), None)
    death = next((n for n in dates if DEATH.search(n)), None)
    pairs = [(birth, n, f"{n} before {birth}") for n in dates if birth and n != birth]
    pairs += [(n, death, f"{n} after {death}") for n in dates if death and n not in (death, birth)]
    pairs += [(a, b, f"{b} before {a}") for a in dates for b in dates if _starts(a, b)]
    if not dates:
        return NotMeasured("quality.orders", "the table has no dates")
    counts: Counter[str] = Counter()
    places: dict[str, list[int]] = {}
    rows = bad = 0
    today = np.datetime64("today")
    for offset, batch in source.raw(dates):
        times = {n: _dates(batch, n) for n in dates}
        wrong = np.zeros(batch.num_rows, dtype=np.bool_)
        found = [(w, times[a] > times[b]) for a, b, w in pairs if a and b]
        found += [(f"{n} in the future", times[n] > today) for n in dates]
        for what, mask in found:
            counts[what] += int(mask.sum())
            places.setdefault(what, []).extend((np.flatnonzero(mask)[:SHOWN] + offset + 1).tolist())
            wrong |= mask
        rows, bad = rows + batch.num_rows, bad + int(wrong.sum())
    where = [
        {"where": w, "share": n / max(rows, 1), "what": f"{n:,} rows", "rows": places[w][:SHOWN]}
        for w, n in counts.most_common()
        if n
    ]
    return Finding(
        "quality.orders", bad / max(rows, 1), "share of rows with an impossible order of dates", detail={"columns": where}
    )


def _starts(a: str, b: str) -> bool:
    """Whether b is the end of what a starts, by their names."""
    a, b = a.lower(), b.lower()
    return any(start in a and end in b and a.replace(start, "") == b.replace(end, "") for start, end in SPANS)


def _dates(batch: pa.Table, name: str) -> np.ndarray:
    """Days of one column; NaT where missing or no date of ISO 8601."""
    array = batch[name]
    if not (pa.types.is_date(array.type) or pa.types.is_timestamp(array.type)):
        texts = _texts(batch, name)
        iso = pc.match_substring_regex(texts, r"^\d{4}-(0[1-9]|1[0-2])-(0[1-9]|[12]\d|3[01])")
        days = pc.utf8_slice_codeunits(pc.if_else(pc.fill_null(iso, False), texts, pa.scalar(None, pa.string())), 0, 10)
        return np.asarray([_day(d) for d in days.to_pylist()], dtype="datetime64[D]")
    return np.asarray(array.cast(pa.timestamp("us")).to_numpy(), dtype="datetime64[D]")


def _day(text: str | None) -> np.datetime64:
    try:
        return np.datetime64("NaT" if text is None else text, "D")
    except ValueError:
        return np.datetime64("NaT", "D")


def _repeats(source: Source) -> Finding:
    """Rows that stand twice, value for value."""
    seen: set[int] = set()
    rows = again = 0
    for _, batch in source.raw():
        texts = [batch[n].cast(pa.string()).to_pylist() for n in batch.column_names]
        for row in zip(*texts, strict=True):
            key = hash(row)
            again += key in seen
            seen.add(key)
        rows += batch.num_rows
    return Finding("quality.repeated", again / max(rows, 1), "share of rows that repeat an earlier one", detail={"columns": []})
