"""Missing values of a table: by column, by group and by year."""

import re
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field

import numpy as np
import pyarrow.compute as pc

from galenic.records.quality.column_values import texts_of
from galenic.records.quality.result import SHOWN, SMALLEST_GROUP, Places, TableQuality
from galenic.records.source import Source
from galenic.schema import Column, Finding

BIRTH = re.compile(r"(^|_)(birth|dob|born|birth_?date|date_of_birth)($|_)", re.IGNORECASE)
DEATH = re.compile(r"(^|_)(death|dod|died|deceased|death_?date|date_of_death)($|_)", re.IGNORECASE)
GROUPS = ("sex", "gender", "race", "ethnicity", "site", "hospital", "unit")
UNEVEN = 0.1  # difference of shares between groups from which it is listed


@dataclass
class _Counts:
    """Missing values of a table. by_group: for each grouping column, missing values by (column, group); sizes: rows by group."""

    rows: int = 0
    missing: Counter[str] = field(default_factory=Counter)
    by_group: dict[str, Counter[tuple[str, str]]] = field(default_factory=dict)
    sizes: dict[str, Counter[str]] = field(default_factory=dict)


def measure_missing(source: Source, columns: tuple[Column, ...], result: TableQuality) -> Iterator[Finding]:
    """Missing shares: of each column, and of each column by group and by year of the first date."""
    dates = [c.name for c in columns if c.kind == "date" and not BIRTH.search(c.name) and not DEATH.search(c.name)]
    groups = [c.name for c in columns if c.name.lower() in GROUPS]
    counts = _count(source, [*groups, *dates[:1]], set(dates))
    shares = {n: counts.missing[n] / max(counts.rows, 1) for n in source.names}
    places = Places()
    for name, share in sorted(shares.items(), key=lambda item: -item[1]):
        if share:
            places.add(name, share, f"{counts.missing[name]:,} of {counts.rows:,} values are missing")
    mean = float(np.mean(list(shares.values())))
    yield Finding("quality.missing", mean, "mean over columns", detail={"columns": places.places[:SHOWN]})
    judged = {n: s for n, s in shares.items() if not DEATH.search(n)}  # a living patient has no date of death
    emptiest = [p for p in places.places if p["where"] in judged][:5]
    worst = max(judged.values(), default=0.0)
    yield Finding("quality.missing.worst", worst, "column with the most missing values", detail={"columns": emptiest})
    yield _uneven(source.names, counts, set(dates), result)


def _count(source: Source, groupings: list[str], dates: set[str]) -> _Counts:
    counts = _Counts(by_group={g: Counter() for g in groupings}, sizes={g: Counter() for g in groupings})
    for _, batch in source.raw():
        counts.rows += batch.num_rows
        empty = {n: texts_of(batch, n).is_null().combine_chunks() for n in source.names}
        for name, mask in empty.items():
            counts.missing[name] += int(pc.sum(mask).as_py() or 0)
        for grouping, by_group in counts.by_group.items():
            keys = pc.fill_null(texts_of(batch, grouping).combine_chunks(), "(missing)")
            keys = pc.utf8_slice_codeunits(keys, 0, 4) if grouping in dates else keys
            counts.sizes[grouping].update(keys.to_pylist())
            for name, mask in empty.items():
                by_group.update((name, key) for key in keys.filter(mask).to_pylist())
    return counts


def _uneven(names: tuple[str, ...], counts: _Counts, dates: set[str], result: TableQuality) -> Finding:
    """The largest difference of missing shares between groups or years; fills the tables of the page."""
    gaps = Places()
    for grouping, sizes in counts.sizes.items():
        missing = counts.by_group[grouping]
        table = {
            n: {k: missing[n, k] / size for k, size in sorted(sizes.items()) if size >= SMALLEST_GROUP}
            for n in names
            if n != grouping and counts.missing[n]
        }
        (result.missing_by_year if grouping in dates else result.missing_by_group.setdefault(grouping, {})).update(table)
        for name, shares in table.items():
            if len(shares) > 1 and max(shares.values()) - min(shares.values()) > UNEVEN:
                worst, best = max(shares, key=lambda k: shares[k]), min(shares, key=lambda k: shares[k])
                what = f"missing in {shares[worst]:.0%} where {grouping} is {_short(worst)}, in {shares[best]:.0%} where it is {_short(best)}"
                gaps.add(name, shares[worst] - shares[best], what)
    gaps.places.sort(key=lambda p: -float(p["share"]))
    largest = float(gaps.places[0]["share"]) if gaps.places else 0.0
    method = "largest difference between groups or years"
    return Finding("quality.missing.uneven", largest, method, detail={"columns": gaps.places[:SHOWN]})


def _short(text: str) -> str:
    """Name of a group, from a column that names groups, not patients."""
    return text if len(text) <= 24 else text[:24] + "…"
