"""Comparison of the records with a declared reference population and with an earlier import."""

import tomllib
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np

from galenic.errors import DescriptionError, UnknownNameError
from galenic.records.quality.analytes import Floats
from galenic.records.quality.column_values import days_of, numbers_of, texts_of
from galenic.records.source import Source
from galenic.schema import Column, Finding, NotMeasured

Reference = dict[str, dict[str, float]]
BINS = 10


def read_reference(path: Path) -> Reference:
    """A reference population: a table per column, of shares by value, or by band of numbers ("18-44", "65+")."""
    try:
        given = tomllib.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError) as error:
        raise DescriptionError(
            f"{path} cannot be read ({type(error).__name__}). Expected a TOML file with a table of shares for each column."
        ) from None
    for column, shares in given.items():
        good = isinstance(shares, dict) and all(isinstance(s, int | float) and s >= 0 for s in shares.values())
        if not good or not 0.98 <= sum(shares.values()) <= 1.02:
            raise DescriptionError(f"{path}: the shares in [{column}] do not sum to 1. Give one number for each value or band.")
    return {c: {str(k): float(s) for k, s in shares.items()} for c, shares in given.items()}


def representativeness(source: Source, reference: Reference) -> Finding | NotMeasured:
    """Total variation distance from the reference, for the column with the largest difference."""
    if not reference:
        return NotMeasured("quality.representative", "no reference population was given")
    absent = [c for c in reference if c not in source.names]
    if absent:
        raise UnknownNameError(
            f"the reference names columns {absent}, which do not exist in {source.name}; it has {list(source.names)}. "
            "Correct the names."
        )
    found = []
    for column, shares in reference.items():
        counts = _banded(source, column, shares)
        total = max(sum(counts.values()), 1)
        here = {k: counts.get(k, 0) / total for k in shares}
        beside = 1 - sum(here.values())
        distance = (sum(abs(here[k] - s / sum(shares.values())) for k, s in shares.items()) + beside) / 2
        worst = max(shares, key=lambda k: abs(here[k] - shares[k]))
        what = f"{worst}: {here[worst]:.1%} here, {shares[worst]:.1%} in the reference" + (
            f"; {beside:.1%} in no group" if beside else ""
        )
        found.append({"where": column, "share": distance, "what": what, "here": here, "reference": shares})
    found.sort(key=lambda d: -float(str(d["share"])))
    return Finding(
        "quality.representative", float(str(found[0]["share"])), "total variation distance", detail={"columns": found}
    )


def _banded(source: Source, column: str, shares: dict[str, float]) -> Counter[str]:
    """Number of rows in each value or band."""
    bands = {k: _band(k) for k in shares}
    if all(b is not None for b in bands.values()):
        values, _ = numbers_of(source, column)
        known = values[~np.isnan(values)]
        counts = {k: int(((known >= b[0]) & (known < b[1])).sum()) for k, b in bands.items() if b is not None}
        inside = sum(counts.values())
        return Counter({**counts, "(none)": len(known) - inside})
    found: Counter[str] = Counter()
    for _, batch in source.raw([column]):
        found.update(t for t in texts_of(batch, column).to_pylist() if t is not None)
    return found


def _band(text: str) -> tuple[float, float] | None:
    """Lower end and the value just above the upper end: "18-44" is 18 up to 45, "65+" all from 65."""
    low, dash, high = text.partition("-")
    try:
        if text.endswith("+"):
            return float(text[:-1]), float("inf")
        return (float(low), float(high) + 1) if dash else None
    except ValueError:
        return None


def drift(source: Source, before: Source, columns: tuple[Column, ...]) -> Finding:
    """Largest Jensen-Shannon distance (0: equal, 1: disjoint; Lin 1991, base 2) of a column between two imports, with missing
    as a value. Columns that only one import has count as 1."""
    found: list[dict[str, Any]] = []
    for column in columns:
        if column.kind in ("identifier", "text"):
            continue
        if column.name not in before.names:
            found.append({"where": column.name, "share": 1.0, "what": "is not in the earlier import"})
            continue
        now, then = _shares(source, before, column)
        distance = _jensen_shannon(now, then)
        missing = f"; missing: {then[-1]:.1%} before, {now[-1]:.1%} now" if abs(now[-1] - then[-1]) > 0.01 else ""
        found.append({"where": column.name, "share": distance, "what": f"distance {distance:.3f}{missing}"})
    found += [
        {"where": n, "share": 1.0, "what": "was only in the earlier import"} for n in before.names if n not in source.names
    ]
    found.sort(key=lambda d: -float(d["share"]))
    largest = float(found[0]["share"]) if found else 0.0
    return Finding("quality.drift", largest, "Jensen-Shannon distance", detail={"columns": found[:50]})


def _shares(now: Source, then: Source, column: Column) -> tuple[np.ndarray, np.ndarray]:
    """Shares of bins (deciles of the earlier import) or values in both imports; the last one is missing."""
    if column.kind in ("numeric", "integer", "date"):
        new, old = (_days(s, column.name) if column.kind == "date" else numbers_of(s, column.name)[0] for s in (now, then))
        known = old[~np.isnan(old)]
        edges = np.unique(np.quantile(known, np.linspace(0, 1, BINS + 1)[1:-1])) if len(known) else np.asarray([0.0])
        counts = [
            np.append(
                np.bincount(np.searchsorted(edges, v[~np.isnan(v)], side="right"), minlength=len(edges) + 1), np.isnan(v).sum()
            )
            for v in (new, old)
        ]
        return counts[0] / max(counts[0].sum(), 1), counts[1] / max(counts[1].sum(), 1)
    tallies = []
    for source in (now, then):
        tally: Counter[str | None] = Counter()
        for _, batch in source.raw([column.name]):
            tally.update(texts_of(batch, column.name).to_pylist())
        tallies.append(tally)
    keys = [*sorted({k for t in tallies for k in t if k is not None}), None]
    first, second = (np.asarray([t[k] for k in keys], dtype=np.float64) for t in tallies)
    return first / max(first.sum(), 1), second / max(second.sum(), 1)


def _days(source: Source, name: str) -> Floats:
    """Days since 1970 of a column of dates, NaN where there is none."""
    days = np.concatenate([days_of(batch, name) for _, batch in source.raw([name])])
    return np.where(np.isnat(days), np.nan, days.astype(np.float64))


def _jensen_shannon(a: np.ndarray, b: np.ndarray) -> float:
    middle = (a + b) / 2
    total = 0.0
    for part in (a, b):
        good = part > 0
        total += float((part[good] * np.log2(part[good] / middle[good])).sum()) / 2
    return float(np.sqrt(max(total, 0.0)))
