"""What a recipient may know of a column, and how it is told less exactly: codes whose order means something, and a ladder of coarser ones."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import date, timedelta
from functools import partial

import numpy as np

from galenic.errors import DescriptionError

MOST_NAMED = 8  # categories that a group's label lists; more of them are any
ANY = "*"
NONE = ""  # a missing value: one of the column's values, as a recipient may know that it is missing


@dataclass(frozen=True)
class QuasiIdentifier:
    """A quasi-identifier. values: its distinct values in their order; the code of a value is its place. kind: number, date or
    category. ladder: from the finest to the coarsest, the step of each code; the first is the codes themselves, the last one step for
    all. labels: what each step of each rung is called."""

    name: str
    kind: str
    values: tuple[str, ...]
    ladder: tuple[np.ndarray, ...]
    labels: tuple[tuple[str, ...], ...]

    def label(self, codes: np.ndarray) -> tuple[str, int]:
        """What a group of rows with these codes is called, and how many values that may be: one value; of numbers and dates from-to; of
        categories their names, or the lowest rung that they share."""
        if len(codes) == 1:
            return self.values[codes[0]], 1
        if self.kind != "category":
            present = [self.values[c] for c in codes if self.values[c] != NONE]
            missing = len(present) < len(codes)
            return f"{present[0]}..{present[-1]}" + ("|(none)" if missing else ""), int(codes[-1] - codes[0]) + 1
        if len(codes) <= MOST_NAMED:
            return "|".join(self.values[c] or "(none)" for c in codes), len(codes)
        for steps, labels in zip(self.ladder, self.labels, strict=True):
            if (steps[codes] == steps[codes[0]]).all():
                return labels[steps[codes[0]]], int((steps == steps[codes[0]]).sum())
        return ANY, len(self.values)


def quasi_identifier(
    name: str, kind: str, values: list[str], hierarchy: Mapping[str, tuple[str, ...]] | None = None
) -> QuasiIdentifier:
    """A column with its ladder. hierarchy: by value, what it is called on each coarser rung (a site's own). DescriptionError where the
    hierarchy does not know a value."""
    ordered = _ordered(kind, values)
    fine = np.arange(len(ordered))
    rungs, labels = [fine], [tuple(v or "(none)" for v in ordered)]
    for name_of in _rungs(name, kind, ordered, hierarchy):
        called = [NONE if v == NONE else name_of(v) for v in ordered]
        steps = {c: i for i, c in enumerate(dict.fromkeys(called))}
        if len(steps) < len(labels[-1]):
            rungs.append(np.array([steps[c] for c in called]))
            labels.append(tuple(c or "(none)" for c in steps))
    if len(labels[-1]) > 1:
        rungs.append(np.zeros(len(ordered), np.int64))
        labels.append((ANY,))
    return QuasiIdentifier(name, kind, tuple(ordered), tuple(rungs), tuple(labels))


def _ordered(kind: str, values: list[str]) -> list[str]:
    if kind == "number":
        return sorted(set(values), key=lambda v: (v == NONE, float(v or 0)))
    return sorted(set(values), key=lambda v: (v == NONE, v))


def _rungs(
    name: str, kind: str, ordered: list[str], hierarchy: Mapping[str, tuple[str, ...]] | None
) -> list[Callable[[str], str]]:
    """Functions from a value to what it is called, finer ones first."""
    if hierarchy is not None:
        absent = sum(v not in hierarchy for v in ordered if v != NONE)
        depths = {len(rungs) for rungs in hierarchy.values()}
        if absent or len(depths) != 1:
            raise DescriptionError(
                f"the hierarchy of {name!r} lacks {absent} of the column's values, or has rungs of different number. "
                "Name each value once, with as many rungs."
            )
        return [partial(_named, hierarchy, i) for i in range(depths.pop())]
    if kind == "number":
        return _bands([float(v) for v in ordered if v != NONE])
    if kind == "date":
        return [partial(_start, 7, 0), partial(_start, 4, 0), *(partial(_years, w) for w in (5, 10, 20, 40))]
    if all(v.isdigit() and len(v) == len(ordered[0]) for v in ordered if v != NONE):  # a code whose beginning says where
        most = len(ordered[0])
        return [partial(_start, n, most - n) for n in range(most - 1, 0, -1)]
    return []


def _named(hierarchy: Mapping[str, tuple[str, ...]], rung: int, value: str) -> str:
    return hierarchy[value][rung]


def _start(signs: int, hidden: int, value: str) -> str:
    return value[:signs] + "*" * hidden


def _years(width: int, value: str) -> str:
    first = int(value[:4]) // width * width
    return f"{first}..{first + width - 1}"


def _bands(numbers: list[float]) -> list[Callable[[str], str]]:
    """At most six bands, each twice as wide as the one before, so that each lies within one of the next."""
    if not numbers:
        return []
    whole = all(n == int(n) for n in numbers)
    span = max(numbers) - min(numbers)
    if not span:
        return []
    first = next(m * 10.0**e for e in range(-12, 16) for m in (1, 2, 5) if m * 10.0**e >= span / 64)
    step = 1.0 if whole else 0.0
    first = max(first, 5.0 if span >= 20 else 2.0) if whole else first
    widths = [first * 2**i for i in range(6) if first * 2**i < span]

    def band(width: float) -> Callable[[str], str]:
        def name_of(value: str) -> str:
            low = np.floor(float(value) / width) * width
            return f"{low:.12g}..{low + width - step:.12g}"

        return name_of

    return [band(w) for w in widths]


def date_text(days: int) -> str:
    """Days since 1970-01-01 as ISO 8601."""
    return (date(1970, 1, 1) + timedelta(days=days)).isoformat()
