"""Evidence that values of one column have two units: a second group, or a copy of the first shifted by the conversion."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from galenic.records.quality.analytes import Floats

Mask = NDArray[np.bool_]
VALLEY = 0.5  # density between two groups, as a share of the smaller group's own, up to which they are two
MIDDLE = (0.15, 0.85)  # part of the rest in which the middle of a converted group lies
TOLERANCE = 0.05  # of the distance between the units: how far a converted group may lie beside the rest
SURE = 1.5  # standard deviations by which the density in a valley is lower
APART = 3.5  # robust standard deviations of the rest between the units
WINDOWS = 4  # parts of the rest's middle in which a shifted copy has to show
COPY = 0.03  # share of the rest that a shifted copy has at least in each window
LARGE_COPY = 0.25  # the same, where only half of the distribution is compared
COPY_LEAST = 20  # values that tell a shifted copy
NEAR = 0.12  # how exactly a patient's value stands off by the factor, in logarithms


@dataclass(frozen=True)
class Scale:
    """The conversion of a value of the other unit into the unit of most: factor * value + offset."""

    factor: float
    offset: float

    def converted(self, values: Floats) -> Floats:
        """Values of the other unit, in the unit of most."""
        found: Floats = values * self.factor + self.offset
        return found

    def spread(self, values: Floats) -> Floats:
        """Values on the scale where distributions keep their shape: linear for units with an offset, otherwise logarithmic."""
        if self.offset:
            return values
        with np.errstate(invalid="ignore", divide="ignore"):
            found: Floats = np.where(values > 0, np.log(np.where(values > 0, values, 1.0)), np.nan)
        return found

    def distance(self, middle: float) -> float:
        """Distance of a value, on this scale, if it is written in the other unit. middle: of the values, on this scale."""
        return abs((middle - self.offset) / self.factor - middle) if self.offset else abs(float(np.log(self.factor)))


def group_apart(values: Floats, strange: Mask, scale: Scale) -> Mask:
    """Values that form a separate group: separated from the rest by a valley, and within the rest after conversion. None if
    there is no such group."""
    none = np.zeros(len(values), dtype=np.bool_)
    spread = scale.spread(values)
    rest, group = _known(spread[~strange]), _known(spread[strange])
    landed = _known(scale.spread(scale.converted(values[strange])))
    if not len(rest) or not len(group) or not len(landed):
        return none
    middle, own = float(np.median(rest)), float(np.median(group))
    quarter, three_quarters = np.quantile(rest, [0.25, 0.75])
    if (
        scale.distance(middle) < APART * (three_quarters - quarter) / 1.349
    ):  # the units overlap: the tail would look like a group
        return none
    tolerance = TOLERANCE * abs(own - middle)
    low, high = np.quantile(rest, MIDDLE) + np.array([-tolerance, tolerance])
    cut = _valley(np.sort(_known(spread)), own, middle)
    if cut is None or not low <= np.median(landed) <= high:
        return none
    with np.errstate(invalid="ignore"):
        beyond = spread < cut if own < middle else spread > cut
    return strange & beyond


def _valley(ordered: Floats, own: float, middle: float) -> float | None:
    """Position of the lowest density between two centers; None if it is not clearly lower than around the first."""
    width = abs(own - middle) / 6
    centers = np.linspace(own, middle, 25)
    counts = np.searchsorted(ordered, centers + width / 2, "right") - np.searchsorted(ordered, centers - width / 2, "left")
    lowest = np.flatnonzero(counts == counts.min())
    fewest, around = int(counts.min()), int(counts[0])
    by_chance = around - fewest < SURE * np.sqrt(around + fewest)
    return None if by_chance or fewest > VALLEY * around else float(centers[lowest[len(lowest) // 2]])


def is_shifted_copy(values: Floats, strange: Mask, scale: Scale) -> bool:
    """True if the column contains a copy of itself shifted by the conversion: each part of the middle has a counterpart in the
    other unit. This reveals mixed units with overlapping values, such as kg and [lb_av]."""
    if strange.sum() < COPY_LEAST or scale.offset:
        return False
    logs = np.sort(_known(scale.spread(values)))
    distance = -np.log(scale.factor)
    rest = _known(scale.spread(values[~strange]))
    half = (
        (0.1, 0.5) if distance > 0 else (0.5, 0.9)
    )  # what the copy does not reach, if half of the values are in the other unit
    return _copied(logs, np.quantile(rest, np.linspace(0.1, 0.9, WINDOWS + 1)), distance, COPY) or _copied(
        logs, np.quantile(logs, np.linspace(*half, WINDOWS + 1)), distance, LARGE_COPY
    )


def _copied(logs: Floats, edges: Floats, distance: float, share: float) -> bool:
    """True if each window between edges has a counterpart at a distance, with at least this share of its values."""
    here = np.diff(np.searchsorted(logs, edges))
    there = np.diff(np.searchsorted(logs, edges + distance))
    return bool(np.all(there >= share * np.maximum(here, 1)))


def own_jumps(values: Floats, subjects: NDArray[np.int64], scale: Scale) -> Mask:
    """Values that differ from their patient's median by exactly the factor between two units. None if about as many values
    differ by slightly less, because then they vary by themselves."""
    found = np.zeros(len(values), dtype=np.bool_)
    if scale.offset:
        return found
    distance = -np.log(scale.factor)
    away = np.full(len(values), np.nan)
    logs = scale.spread(values)
    order = np.argsort(subjects, kind="stable")
    for part in np.split(order, np.flatnonzero(np.diff(subjects[order])) + 1):
        mine = _known(logs[part])
        if len(mine) >= 3:
            away[part] = (logs[part] - np.median(mine)) * np.sign(distance)
    distance = abs(distance)
    with np.errstate(invalid="ignore"):
        found = np.abs(away - distance) < NEAR
        before = np.abs(away - (distance - 2 * NEAR)) < NEAR
    return found if found.sum() > 2 * before.sum() else np.zeros(len(values), dtype=np.bool_)


def _known(values: Floats) -> Floats:
    found: Floats = values[~np.isnan(values)]
    return found
