"""Quality of a table: missing values, numbers, orders of dates and repeated rows."""

from collections import Counter
from collections.abc import Mapping

import numpy as np
import pyarrow as pa

from galenic.records.quality.column_values import days_of
from galenic.records.quality.missing import BIRTH, DEATH, measure_missing
from galenic.records.quality.numbers import measure_numbers
from galenic.records.quality.result import SHOWN, TableQuality
from galenic.records.source import Source
from galenic.schema import Column, Finding, NotMeasured

SPANS = (
    ("start", "end"), ("admit", "discharge"), ("admission", "discharge"), ("admitted", "discharged"), ("from", "to"), ("onset", "resolved"),
)  # fmt: skip


def measure_table(source: Source, columns: tuple[Column, ...], *, patient: str = "") -> TableQuality:
    """Findings about one table by itself. Columns are read one at a time. patient: the column that identifies the patient."""
    result = TableQuality(rows=source.count())
    result.findings += measure_missing(source, columns, result)
    result.findings += measure_numbers(source, columns, patient, result)
    result.findings.append(_orders(source, {c.name: c.kind for c in columns}))
    result.findings.append(_repeats(source))
    return result


def _orders(source: Source, kinds: Mapping[str, str]) -> Finding | NotMeasured:
    """Rows with a date before birth, after death, in the future, or an end before its start."""
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
        times = {n: days_of(batch, n) for n in dates}
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
    """True if b is the end of the period that a starts, by their names."""
    a, b = a.lower(), b.lower()
    return any(start in a and end in b and a.replace(start, "") == b.replace(end, "") for start, end in SPANS)


def _repeats(source: Source) -> Finding:
    """Rows that repeat an earlier one, value for value."""
    seen: set[int] = set()
    rows = again = 0
    for _, batch in source.raw():
        texts = [batch[n].cast(pa.string()).to_pylist() for n in batch.column_names]
        for row in zip(*texts, strict=True):
            key = hash(row)
            again += key in seen
            seen.add(key)
        rows += batch.num_rows
    return Finding(
        "quality.repeated", again / max(rows, 1), "share of rows that duplicate an earlier row", detail={"columns": []}
    )
