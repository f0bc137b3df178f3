"""Values that stand in another unit than the rest, found by how they are distributed."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from galenic.records.quality.analytes import Analyte, Floats

LEAST, SHARE = 3, 0.002  # values, and share of values, from which on a mix is told
GAP = np.log(1.6)  # two groups lie so far apart at least
KNOWN = {  # value of the larger unit's group over that of the smaller, where nothing is known of the column
    "umol/L among mg/dL (creatinine)": 88.4, "mg/dL among mmol/L (glucose)": 18.0156, "mg/dL among mmol/L (cholesterol)": 38.67,
    "[lb_av] among kg": 2.20462, "cm among [in_i]": 2.54, "cm among m": 100.0, "g among kg": 1000.0, "tens": 10.0,
}  # fmt: skip


@dataclass(frozen=True)
class Mix:
    """Values in another unit. unit: what most are in; other: what some seem to be in; places: which, shape (n,);
    convert: (factor, offset) that brings them into `unit`, where that is known."""

    unit: str
    other: str
    places: NDArray[np.int64]
    convert: tuple[float, float] | None


def find_mix(
    values: Floats, analyte: Analyte | None = None, unit: str = "", subjects: NDArray[np.int64] | None = None
) -> Mix | None:
    """The mix in values that all say the same unit (or none), shape (n,), NaN for missing; None where there is none.

    subjects: whose each value is: where units overlap (kg, lb), a patient's own other values tell them apart.
    """
    if analyte is None:
        return _two_groups(values)
    units = {analyte.unit: (1.0, 0.0), **analyte.others}
    here = ~np.isnan(values)
    typical = {u: analyte.is_typical(analyte.converted(values, u)) & here for u in units}
    if unit in units:
        most = unit
    else:  # nobody says: what most would be typical in, and in doubt the usual unit
        doubt = 0.1 * here.sum()
        most = max(units, key=lambda u: int(typical[u].sum()) + (doubt if u == analyte.unit else 0))
    best: Mix | None = None
    for other, change in units.items():
        if other == most:
            continue
        strange = here & ~typical[most] & typical[other]
        if subjects is not None:
            strange |= here & _jumps(values, subjects, units[most], change) & typical[other]
        if strange.sum() >= max(LEAST, SHARE * here.sum()) and (best is None or strange.sum() > len(best.places)):
            (factor, offset), (into, shift) = change, units[most]
            best = Mix(most, other, np.flatnonzero(strange), (factor / into, (offset - shift) / into))
    return best


def _jumps(
    values: Floats, subjects: NDArray[np.int64], most: tuple[float, float], other: tuple[float, float]
) -> NDArray[np.bool_]:
    """Values that stand off from their patient's own middle by just the factor between two units."""
    found = np.zeros(len(values), dtype=np.bool_)
    if most[1] or other[1]:
        return found
    ratio = np.log(most[0] / other[0])
    order = np.argsort(subjects, kind="stable")
    edges = np.flatnonzero(np.diff(subjects[order])) + 1
    for part in np.split(order, edges):
        mine = values[part]
        good = mine[~np.isnan(mine) & (mine > 0)]
        if len(good) < 3:
            continue
        with np.errstate(invalid="ignore", divide="ignore"):
            found[part] = np.abs(np.log(mine / np.median(good)) - ratio) < 0.12
    return found


def _two_groups(values: Floats) -> Mix | None:
    """Of a column that nothing is known of: two groups far apart, one a known factor times the other, or °F among °C."""
    places = np.flatnonzero(~np.isnan(values) & (values > 0))
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
    if max(np.std(np.log(low)), np.std(np.log(high))) * 2 > gaps.max():
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
    return Mix("", f"a factor of {KNOWN[name]:g}: perhaps {name}", np.sort(few), None)
