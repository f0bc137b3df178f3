"""Values in another unit than the rest, found by their distribution."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from galenic.records.quality.analytes import Analyte, Floats
from galenic.records.quality.unit_evidence import Scale, group_apart, is_shifted_copy, own_jumps

LEAST, SHARE = 3, 0.002  # number and share of values from which a mix is reported
MOST_CODES = 12  # distinct values up to which numbers may be codes
MARKS = [d * int("1" * n) for d in (6, 7, 8, 9) for n in range(2, 7)]  # 77, 999, 6666: codes for refused, unknown, missing
GAP = np.log(1.6)  # minimum distance of two groups
ALIKE = 3.0  # ratio of the spreads of two groups up to which one may be a copy of the other
KNOWN = {  # ratio of the larger unit's group to the smaller one's, if nothing is known of the column
    "umol/L among mg/dL (creatinine)": 88.4, "mg/dL among mmol/L (glucose)": 18.0156, "mg/dL among mmol/L (cholesterol)": 38.67,
    "[lb_av] among kg": 2.20462, "cm among [in_i]": 2.54, "cm among m": 100.0, "g among kg": 1000.0, "tens": 10.0,
}  # fmt: skip


@dataclass(frozen=True)
class Mix:
    """Values in another unit. unit: unit of most values; other: apparent unit of some; places: mask of these, shape (n,);
    convert: (factor, offset) to `unit`; None if unknown, or if the values of the two units overlap, so that some of the
    places may be right."""

    unit: str
    other: str
    places: NDArray[np.int64]
    convert: tuple[float, float] | None


def are_codes(values: Floats) -> bool:
    """True if numbers are probably codes or grades rather than quantities: few distinct whole or half numbers."""
    distinct = np.unique(values[~np.isnan(values)])
    return len(distinct) <= MOST_CODES and bool(np.all(distinct * 2 == np.round(distinct * 2)))


def find_mix(
    values: Floats, analyte: Analyte | None = None, unit: str = "", subjects: NDArray[np.int64] | None = None
) -> Mix | None:
    """Mixed units in values that state one unit (or none), shape (n,), NaN for missing; None if there is no mix.

    A value counts as one in another unit if it is typical only in that unit, and if all values together show two groups
    separated by the conversion. subjects: patient of each value; if units overlap (kg, lb), other values of the patient decide.
    """
    if analyte is None:
        return _two_groups(values)
    most = _most_frequent_unit(values, analyte, unit)
    found = [_mix_with(values, analyte, (most, other), subjects) for other in (analyte.unit, *analyte.others) if other != most]
    return max((m for m in found if m is not None), key=lambda m: len(m.places), default=None)


def _most_frequent_unit(values: Floats, analyte: Analyte, unit: str) -> str:
    """Stated unit. If none is stated, the one in which most values are typical, and in doubt the usual one."""
    units = (analyte.unit, *analyte.others)
    if unit in units:
        return unit
    doubt = 0.1 * np.sum(~np.isnan(values))
    typical = {u: int(np.sum(analyte.is_typical(analyte.converted(values, u)))) for u in units}
    return max(units, key=lambda u: typical[u] + (doubt if u == analyte.unit else 0))


def _mix_with(values: Floats, analyte: Analyte, pair: tuple[str, str], subjects: NDArray[np.int64] | None) -> Mix | None:
    """The mix of two units. pair: unit of most values, and the other one."""
    most, other = pair
    units = {analyte.unit: (1.0, 0.0), **analyte.others}
    (factor, offset), (into, shift) = units[other], units[most]
    convert = (factor / into, (offset - shift) / into)
    if convert == (1.0, 0.0):  # another name of the same unit
        return None
    here = ~np.isnan(values)
    other_typical = here & analyte.is_typical(analyte.converted(values, other))
    strange = other_typical & ~analyte.is_typical(analyte.converted(values, most))
    scale = Scale(*convert)
    apart = group_apart(values, strange, scale)
    overlapping = not apart.any() and is_shifted_copy(values, strange, scale)
    strange = strange if overlapping else apart
    if subjects is not None:
        strange |= other_typical & own_jumps(values, subjects, scale)
    if strange.sum() < max(LEAST, SHARE * here.sum()):
        return None
    return Mix(most, other, np.flatnonzero(strange), None if overlapping else convert)


def _two_groups(values: Floats) -> Mix | None:
    """For a column without known meaning: two groups far apart, one a known factor times the other, or °F among °C."""
    places = np.flatnonzero(~np.isnan(values) & (values > 0) & ~np.isin(values, MARKS))
    if len(places) < 50:
        return None
    order = places[np.argsort(values[places])]
    logs = np.log(values[order])
    inner = slice(max(LEAST, int(SHARE * len(logs))), -max(LEAST, int(SHARE * len(logs))))
    gaps = np.diff(logs)[inner]
    if not len(gaps) or gaps.max() < GAP:
        return None
    cut = int(np.argmax(gaps)) + inner.start + 1
    low, high = values[order[:cut]], values[order[cut:]]
    if not _alike(np.log(low), np.log(high), float(gaps.max())):
        return None
    few = order[:cut] if len(low) < len(high) else order[cut:]
    below, above = float(np.median(low)), float(np.median(high))
    if abs((above - 32) / 1.8 - below) < 1.5 and 30 < below < 45:
        fahrenheit = len(high) <= len(low)
        names, change = (("Cel", "[degF]"), (1 / 1.8, -32 / 1.8)) if fahrenheit else (("[degF]", "Cel"), (1.8, 32.0))
        return Mix(names[0], names[1], np.sort(few), change)
    name = min(KNOWN, key=lambda k: abs(np.log(above / below / KNOWN[k])))
    if abs(np.log(above / below / KNOWN[name])) > 0.16:
        return None
    return Mix("", f"a factor of {KNOWN[name]:g}: possibly {name}", np.sort(few), None)


def _alike(low: Floats, high: Floats, gap: float) -> bool:
    """True if two groups of logarithms are narrow beside the gap between them, and about as wide as each other."""
    spreads = sorted((max(float(np.std(low)), 0.02), max(float(np.std(high)), 0.02)))
    return bool(2 * max(np.std(low), np.std(high)) <= gap) and (
        min(len(low), len(high)) < 10 or spreads[1] <= ALIKE * spreads[0]
    )
