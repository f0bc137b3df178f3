"""Quasi-identifiers and their generalization hierarchies: ordered codes, and levels from exact values to one group for all."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial

import numpy as np

from galenic.errors import DescriptionError

MAX_LISTED = 8  # categories that a label lists by name
ANY = "*"
MISSING = ""  # a missing value counts as a value of its own: a recipient may know that it is missing


@dataclass(frozen=True)
class QuasiIdentifier:
    """Column that a recipient may know.

    kind: number, date or category. values: distinct values in order; the code of a value is its position. levels: from finest
    to coarsest, the group of each code; the first has one group per code, the last one group for all. labels: names of the
    groups of each level.
    """

    name: str
    kind: str
    values: tuple[str, ...]
    levels: tuple[np.ndarray, ...]
    labels: tuple[tuple[str, ...], ...]

    def label(self, codes: np.ndarray) -> tuple[str, int]:
        """(label, number of values it may stand for) of a group of rows with these codes.

        One value: itself. Numbers and dates: a range. Categories: their names, or the finest level at which they are equal.
        """
        if len(codes) == 1:
            return self.values[codes[0]], 1
        if self.kind != "category":
            present = [self.values[c] for c in codes if self.values[c] != MISSING]
            missing = len(present) < len(codes)
            return f"{present[0]}..{present[-1]}" + ("|(none)" if missing else ""), int(codes[-1] - codes[0]) + 1
        if len(codes) <= MAX_LISTED:
            return "|".join(self.values[c] or "(none)" for c in codes), len(codes)
        for groups, labels in zip(self.levels, self.labels, strict=True):
            if (groups[codes] == groups[codes[0]]).all():
                return labels[groups[codes[0]]], int((groups == groups[codes[0]]).sum())
        return ANY, len(self.values)

    def numeric_values(self) -> np.ndarray:
        """A number for each code, to measure widths: the number itself (missing: NaN), or the position."""
        if self.kind == "number":
            return np.array([float(v) if v else np.nan for v in self.values])
        return np.arange(len(self.values), dtype=float)


def quasi_identifier(
    name: str, kind: str, values: list[str], hierarchy: Mapping[str, tuple[str, ...]] | None = None
) -> QuasiIdentifier:
    """A column with its generalization hierarchy. Raise DescriptionError if `hierarchy` lacks a value. hierarchy: by value, its
    name at each coarser level, as defined by the user."""
    ordered = _ordered(kind, values)
    levels, labels = [np.arange(len(ordered))], [tuple(v or "(none)" for v in ordered)]
    for generalize in _generalizations(name, kind, ordered, hierarchy):
        names = [MISSING if v == MISSING else generalize(v) for v in ordered]
        groups = {n: i for i, n in enumerate(dict.fromkeys(names))}
        if len(groups) < len(labels[-1]):
            levels.append(np.array([groups[n] for n in names]))
            labels.append(tuple(n or "(none)" for n in groups))
    if len(labels[-1]) > 1:
        levels.append(np.zeros(len(ordered), np.int64))
        labels.append((ANY,))
    return QuasiIdentifier(name, kind, tuple(ordered), tuple(levels), tuple(labels))


def _ordered(kind: str, values: list[str]) -> list[str]:
    if kind == "number":
        return sorted(set(values), key=lambda v: (v == MISSING, float(v or 0)))
    return sorted(set(values), key=lambda v: (v == MISSING, v))


def _generalizations(
    name: str, kind: str, ordered: list[str], hierarchy: Mapping[str, tuple[str, ...]] | None
) -> list[Callable[[str], str]]:
    """Functions from a value to its name at each level, finest first."""
    if hierarchy is not None:
        return _from_hierarchy(name, ordered, hierarchy)
    if kind == "number":
        return _bands([float(v) for v in ordered if v != MISSING])
    if kind == "date":
        return [partial(_prefix, 7, 0), partial(_prefix, 4, 0), *(partial(_years, w) for w in (5, 10, 20, 40))]
    if all(v.isdigit() and len(v) == len(ordered[0]) for v in ordered if v != MISSING):  # such as postal codes
        length = len(ordered[0])
        return [partial(_prefix, n, length - n) for n in range(length - 1, 0, -1)]
    return []


def _from_hierarchy(name: str, ordered: list[str], hierarchy: Mapping[str, tuple[str, ...]]) -> list[Callable[[str], str]]:
    absent = sum(v not in hierarchy for v in ordered if v != MISSING)
    depths = {len(names) for names in hierarchy.values()}
    if absent or len(depths) != 1:
        raise DescriptionError(
            f"the hierarchy of {name!r} does not list {absent} of the column's values, or its values have different "
            "numbers of levels. List each value once, all with the same number of levels."
        )
    return [partial(_level_name, hierarchy, i) for i in range(depths.pop())]


def _level_name(hierarchy: Mapping[str, tuple[str, ...]], level: int, value: str) -> str:
    return hierarchy[value][level]


def _prefix(length: int, hidden: int, value: str) -> str:
    return value[:length] + "*" * hidden


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
    return [partial(_band, width, step) for width in widths]


def _band(width: float, step: float, value: str) -> str:
    low = np.floor(float(value) / width) * width
    return f"{low:.12g}..{low + width - step:.12g}"
