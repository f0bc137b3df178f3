"""Quality of numbers: conformance, units, ranges and outliers of the numeric columns of a table."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from galenic.records.quality.analytes import Analyte, Floats, analyte_of
from galenic.records.quality.column_values import codes_of, numbers_of
from galenic.records.quality.result import SHOWN, SMALLEST_GROUP, Places, TableQuality
from galenic.records.quality.units import Mix, are_codes, find_mix
from galenic.records.source import Source
from galenic.schema import Column, Finding

SHORT_NAME = 2  # letters of a name up to which it may have another meaning
SMALL_CODES = 20
BARS = 40  # of a histogram
OUTLIER_SD = 8.0  # robust standard deviations beyond which a value is an outlier


@dataclass
class NumberFaults:
    """Faulty values by kind, and the number of all values."""

    values: int = 0
    invalid: Places = field(default_factory=Places)
    mixed: Places = field(default_factory=Places)
    impossible: Places = field(default_factory=Places)
    outliers: Places = field(default_factory=Places)


def measure_numbers(source: Source, columns: tuple[Column, ...], patient: str, result: TableQuality) -> Iterator[Finding]:
    """Units, ranges and outliers of numeric columns, and values in them that are not numbers."""
    patients = codes_of(source, patient) if patient in source.names else None
    faults = NumberFaults()
    for column in columns:
        if column.kind in ("numeric", "integer") or analyte_of(column.name) is not None:
            _measure_column(source, column, patients, _Found(faults, result))
    total = max(faults.values, 1)
    yield faults.invalid.finding("quality.conformance", total + faults.invalid.count, "not a number in a numeric column")
    yield faults.mixed.finding("quality.units.mixed", total, "share of values in another unit, by distribution")
    yield faults.impossible.finding("quality.range", total, "share of values outside the possible range")
    yield faults.outliers.finding("quality.outliers", total, "share of values that are outliers by median and MAD")


@dataclass(frozen=True)
class _Found:
    """Results of the measurement of one column."""

    faults: NumberFaults
    result: TableQuality


def _measure_column(source: Source, column: Column, patients: np.ndarray | None, found: _Found) -> None:
    faults, name = found.faults, column.name
    values, invalid = numbers_of(source, name)
    known = int((~np.isnan(values)).sum())
    analyte, codes = analyte_of_values(name, values), are_codes(values)
    faults.values += known
    if invalid:
        what = f"{invalid:,} values are not numbers"
        faults.invalid.add(name, invalid / max(len(values), 1), what, count=invalid)
    mix = find_mix(values, analyte, column.unit, patients) if known and (analyte or not codes) else None
    rest = values.copy()
    if mix is not None:
        found.result.mixes[name] = mix
        found.result.histograms[name] = histogram_of(values, mix)
        places, rows = len(mix.places), _row_numbers(mix.places)
        faults.mixed.add(name, places / known, mix_text(mix, known), count=places, beside={"rows": rows})
        rest[mix.places] = np.nan
    beyond = impossible_places(rest, analyte, mix.unit if mix else column.unit)
    if analyte and len(beyond):
        what = range_text(analyte, len(beyond))
        faults.impossible.add(name, len(beyond) / known, what, count=len(beyond), beside={"rows": _row_numbers(beyond)})
    rest[beyond] = np.nan
    outliers = find_outliers(rest)
    if len(outliers):
        what = outlier_text(len(outliers))
        faults.outliers.add(name, len(outliers) / known, what, count=len(outliers), beside={"rows": _row_numbers(outliers)})


def analyte_of_values(name: str, values: Floats) -> Analyte | None:
    """Measurement of a column or code, if its values agree; a LOINC code is trusted.

    A name of one or two letters (k, ca, hr) is trusted if four fifths of the values are typical in one of the measurement's
    units. A longer name is trusted unless the values are codes and most of them are not typical. Small codes (1, 2, 3) are
    compared only with the usual unit.
    """
    analyte = analyte_of(name)
    if analyte is None or name.startswith("LOINC//"):
        return analyte
    known = values[~np.isnan(values)]
    short, codes = len(name.strip()) <= SHORT_NAME, are_codes(values)
    if not len(known) or not (short or codes):
        return analyte
    units = (analyte.unit,) if codes and known.max() <= SMALL_CODES else (analyte.unit, *analyte.others)
    typical = max(float(np.mean(analyte.is_typical(analyte.converted(known, u)))) for u in units)
    return analyte if typical >= (0.8 if short else 0.5) else None


def impossible_places(values: Floats, analyte: Analyte | None, unit: str) -> np.ndarray:
    """Places of values beyond what is possible for an analyte; none without an analyte."""
    if analyte is None:
        return np.asarray([], dtype=np.int64)
    converted = analyte.converted(values, unit)
    return np.flatnonzero(~np.isnan(converted) & ~analyte.is_possible(converted))


def mix_text(mix: Mix, known: int) -> str:
    """Text of a column in two units."""
    alone = "" if mix.convert or not mix.unit else "; the units overlap, so some may be right: not repaired"
    return f"{len(mix.places):,} of {known:,} values look like {mix.other} among {mix.unit or 'the rest'}{alone}"


def range_text(analyte: Analyte, count: int) -> str:
    """Text of impossible values."""
    low, high = analyte.possible
    return f"{count:,} values are not from {low:g} to {high:g} {analyte.unit}"


def outlier_text(count: int) -> str:
    """Text of outliers."""
    return f"{count:,} values are more than {OUTLIER_SD:g} robust standard deviations from the median"


def _row_numbers(places: np.ndarray) -> list[int]:
    return [int(p) + 1 for p in places[:SHOWN]]


def find_outliers(values: Floats) -> np.ndarray:
    """Places of outliers, on the scale (linear or logarithmic) that has fewer of them."""
    known = values[~np.isnan(values)]
    if len(known) < 30 or len(np.unique(known)) < 10:
        return np.asarray([], dtype=np.int64)
    found = [_far_from_median(values)]
    if known.min() > 0:
        found.append(_far_from_median(np.log(values)))
    return min(found, key=len)


def _far_from_median(values: Floats) -> np.ndarray:
    middle = np.nanmedian(values)
    spread = 1.4826 * np.nanmedian(np.abs(values - middle))
    if spread == 0:
        return np.asarray([], dtype=np.int64)
    with np.errstate(invalid="ignore"):
        return np.flatnonzero(np.abs(values - middle) > OUTLIER_SD * spread)


def histogram_of(values: Floats, mix: Mix) -> dict[str, Any]:
    """Counts of all values and of those in the other unit, for the page, on a logarithmic scale if the range is large.

    No patient's value can be read from it: the ends are rounded quantiles, values beyond them count in the last bars, and bars
    of few values are as high as one of SMALLEST_GROUP.
    """
    known = values[~np.isnan(values)]
    margin = min(SMALLEST_GROUP / len(known), 0.25)
    low, high = (_rounded(float(q)) for q in np.quantile(known, [margin, 1 - margin]))
    logarithmic = low > 0 and high / low > 20
    low, high = (low, high) if high > low else (low - 1, high + 1)
    ends = (float(np.log10(low)), float(np.log10(high))) if logarithmic else (low, high)
    edges = np.linspace(ends[0], ends[1], BARS + 1)
    shown = 10**edges if logarithmic else edges
    counts = [np.histogram(np.clip(v, shown[0], shown[-1]), shown)[0] for v in (known, values[mix.places])]
    return {
        "edges": shown.tolist(),
        "all": _coarse(counts[0]),
        "strange": _coarse(counts[1]),
        "values": len(known),
        "strange_values": len(mix.places),
    }


def _rounded(value: float) -> float:
    """A value to one significant digit."""
    return float(f"{value:.0e}")


def _coarse(counts: np.ndarray) -> list[int]:
    """Counts with small ones raised to SMALLEST_GROUP."""
    return [int(max(n, SMALLEST_GROUP)) if n else 0 for n in counts]
