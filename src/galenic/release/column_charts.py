"""Charts of single columns: shares of categories or values as bars, and numbers and dates as histograms.

Labels and axes come from the synthetic rows alone: a value that only a few patients have must not remain in a report after their erasure.
"""

import math
import re
from collections.abc import Sequence
from datetime import date, timedelta

import numpy as np
from markupsafe import Markup

from galenic.release.svg import REAL, SYNTHETIC, Chart, bar, draw, line, shorten, text, width_of
from galenic.schema import OTHER, Column, Floats, Table, numbers

MOST_COLUMNS, MOST_BARS, MOST_VALUES, BINS = 12, 8, 12, 20
WIDTH, ROW, LONGEST_LABEL = 300, 24, 18
EPOCH = date(1970, 1, 1)
MISSING, REST, UNSEEN = "missing", "all others", "not in synthetic"
Shares = dict[str, float]


def column_charts(synthetic: Table, real: Table | None, name: str) -> list[Chart]:
    """A chart for each of the first twelve columns. real: held-out patients, where the reader may see them. name: of the table."""
    shown = synthetic.columns[:MOST_COLUMNS]
    return [_chart(synthetic, real, column, f"c-{name}-{place}") for place, column in enumerate(shown)]


def _chart(synthetic: Table, real: Table | None, column: Column, mark: str) -> Chart:
    title = column.name + (f" ({column.unit})" if column.unit else "")
    beside = "synthetic rows and held-out patients" if real is not None else "synthetic rows"
    tables = [synthetic] + ([real] if real is not None else [])
    if column.binned:
        values = [numbers(t, column) for t in tables]
        if _has_few(values):
            shares = _known([_number_shares(v, column) for v in values])
            return Chart(title, _bars(shares, _by_number(shares), mark, title, f"Share of each value: {beside}."))
        return Chart(title, _histogram(values, column, mark, title, f"Distribution: {beside}."))
    shares = _known([_category_shares(t, column.name) for t in tables])
    return Chart(title, _bars(shares, _order(shares, column), mark, title, f"Share of each category: {beside}."))


# bars


def _has_few(values: Sequence[Floats]) -> bool:
    """Whether the synthetic values, and those of real patients, are few enough for a bar each."""
    return all(np.unique(v[~np.isnan(v)]).size <= MOST_VALUES for v in values)


def _known(shares: list[Shares]) -> list[Shares]:
    """The shares with real values that no synthetic row has as one."""
    made = shares[0]
    known = [made]
    for part in shares[1:]:
        rest = sum(share for label, share in part.items() if label not in made and label != MISSING)
        kept = {label: share for label, share in part.items() if label in made or label == MISSING}
        known.append({**kept, UNSEEN: rest} if rest else kept)
    return known


def _number_shares(values: Floats, column: Column) -> Shares:
    found, counts = np.unique(values[~np.isnan(values)], return_counts=True)
    total = max(values.size, 1)
    shares = {_number_label(float(v), column): int(n) / total for v, n in zip(found, counts, strict=True)}
    missing = float(np.isnan(values).sum()) / total
    return {**shares, MISSING: missing} if missing else shares


def _number_label(value: float, column: Column) -> str:
    return _day(value).isoformat() if _holds_days(column) else f"{value:g}"


def _holds_days(column: Column) -> bool:
    return column.kind == "date" and not column.anchor


def _day(days: float) -> date:
    try:
        return EPOCH + timedelta(days=days)
    except OverflowError:
        return date.max if days > 0 else date.min


def _category_shares(table: Table, name: str) -> Shares:
    counts: Shares = {}
    for value in table.frame[name].to_pylist():
        label = MISSING if value is None else str(value)
        counts[label] = counts.get(label, 0) + 1 / max(table.rows, 1)
    return counts


def _by_number(shares: Sequence[Shares]) -> list[str]:
    labels = {label for part in shares for label in part if label not in (MISSING, UNSEEN)}
    return (
        sorted(labels, key=lambda n: _as_number(n) or 0.0) if all(_as_number(n) is not None for n in labels) else sorted(labels)
    )


def _as_number(label: str) -> float | None:
    try:
        return float(label)
    except ValueError:
        return None


def _first_number(label: str) -> float | None:
    """The number that a label begins with, as in "25", "[70-80)", "<0.01" or "$11-$25k"."""
    match = re.match(r"[\[(<>≤≥=~$€\s]*(-?\d+(?:\.\d+)?)", label)
    return float(match[1]) if match else None


def _order(shares: Sequence[Shares], column: Column) -> list[str]:
    """Categories in their order where they have one (declared, or numbers); otherwise the most frequent first, and the rest as one."""
    labels = {label for part in shares for label in part if label not in (MISSING, UNSEEN)}
    if len(labels) <= MOST_VALUES and column.kind == "ordinal" and labels <= set(column.categories):
        return [c for c in column.categories if c in labels]
    if len(labels) <= MOST_VALUES and labels and all(_first_number(n) is not None for n in labels - {OTHER}):
        return [*sorted(labels - {OTHER}, key=lambda n: (_first_number(n), n)), *(labels & {OTHER})]
    frequent = sorted(labels, key=lambda n: (-shares[0].get(n, 0.0), n))
    return frequent if len(frequent) <= MOST_BARS else [*frequent[: MOST_BARS - 1], REST]


def _bars(shares: Sequence[Shares], order: list[str], mark: str, title: str, about: str) -> Markup:
    """Horizontal bars, one row for each label, with its share beside each bar."""
    rows = order + [last for last in (UNSEEN, MISSING) if any(last in part for part in shares)]
    wholes = [_with_rest(part, order) for part in shares]
    left = min(width_of(shorten(r, LONGEST_LABEL) for r in rows), WIDTH / 2) + 6
    scale = (WIDTH - left - 46) / max((part.get(r, 0.0) for part in wholes for r in rows), default=1.0)
    thick, parts = (ROW - 6) / len(wholes), []
    for place, row in enumerate(rows):
        y = place * ROW * (1 if len(wholes) == 1 else 1.4)
        tall = ROW if len(wholes) == 1 else ROW * 1.4
        parts.append(text(left - 6, y + tall / 2 + 4, shorten(row, LONGEST_LABEL), anchor="end"))
        thick = (tall - 6) / len(wholes)
        for k, (part, color) in enumerate(zip(wholes, (SYNTHETIC, REAL), strict=False)):
            share = part.get(row, 0.0)
            parts.append(bar(left, y + 3 + k * thick, share * scale, thick - 1, color, f"{row}: {share:.1%}"))
            parts.append(text(left + share * scale + 4, y + 3 + (k + 0.5) * thick + 4, _percent(share)))
    height = len(rows) * ROW * (1 if len(wholes) == 1 else 1.4)
    return draw(parts, width=WIDTH, height=height, mark=mark, title=title, about=about)


def _with_rest(part: Shares, order: list[str]) -> Shares:
    if REST not in order:
        return part
    return {**part, REST: sum(v for k, v in part.items() if k not in order and k not in (MISSING, UNSEEN))}


def _percent(share: float) -> str:
    return "0%" if not share else f"{share:.1%}" if share < 0.1 else f"{share:.0%}"


# histograms


def _histogram(values: Sequence[Floats], column: Column, mark: str, title: str, about: str) -> Markup:
    """Filled bars for synthetic rows, and a line for held-out patients; the upper 1 % of the synthetic values is left out."""
    present = [v[~np.isnan(v)] for v in values]
    made = present[0] if present[0].size else np.zeros(1)
    low, high = float(made.min()), float(np.quantile(made, 0.99))
    edges = _edges(low, high, whole=column.kind == "integer")
    heights = [np.histogram(v, edges)[0] / max(all_.size, 1) for v, all_ in zip(present, values, strict=True)]
    tall, left, bottom = 120.0, 40.0, 22.0
    most = max(float(h.max()) for h in heights) or 1.0
    x = [left + (WIDTH - left - 10) * (e - edges[0]) / (edges[-1] - edges[0]) for e in edges]
    parts = [
        bar(a, 8 + tall * (1 - h / most), b - a - 0.5, tall * h / most, SYNTHETIC, f"{_percent(float(h))}")
        for a, b, h in zip(x[:-1], x[1:], heights[0], strict=True)
    ]
    for h in heights[1:]:
        steps = [(p, 8 + tall * (1 - float(s) / most)) for k, s in enumerate(h) for p in (x[k], x[k + 1])]
        parts.append(line(steps, REAL, 2.5))
    parts += [line([(left, 8 + tall), (WIDTH - 10, 8 + tall)], "currentColor")]
    parts += [text(left - 4, 16, _percent(most), anchor="end"), text(left - 4, 8 + tall, "0%", anchor="end")]
    parts += _ticks(edges, x, column, 8 + tall + 16)
    gone = [float(np.isnan(v).mean()) if v.size else 0.0 for v in values]
    height = 8 + tall + bottom
    if any(gone):
        height += 18
        words = [f"{_percent(g)} {w}" for g, w in zip(gone, ("synthetic", "held out"), strict=False)]
        parts.append(text(left, height - 4, f"missing: {', '.join(words) if len(words) > 1 else _percent(gone[0])}"))
    return draw(parts, width=WIDTH, height=height, mark=mark, title=title, about=about)


def _edges(low: float, high: float, *, whole: bool) -> Floats:
    if whole and high - low < 2 * BINS:  # a bar for each integer
        return np.arange(math.floor(low), math.floor(high) + 2, dtype=np.float64) - 0.5
    if high <= low:
        return np.array([low - 0.5, low + 0.5])
    width = max(1.0, math.ceil((high - low) / BINS)) if whole else (high - low) / BINS
    edges: Floats = low - (0.5 if whole else 0.0) + width * np.arange(math.ceil((high - low) / width) + 1, dtype=np.float64)
    return edges


def _ticks(edges: Floats, x: list[float], column: Column, y: float) -> list[str]:
    """Labels below the axis, at round values."""
    low, high = float(edges[0]), float(edges[-1])
    ticks = (
        _day_ticks(low, high)
        if _holds_days(column)
        else [(v, f"{v:,.10g}" if abs(v) < 1e6 else f"{v:.3g}") for v in _round_values(low, high)]
    )
    parts = []
    for value, label in ticks:
        place = x[0] + (x[-1] - x[0]) * (value - low) / (high - low)
        parts += [line([(place, y - 16), (place, y - 12)], "currentColor"), text(place, y, label, anchor="middle")]
    return parts


def _round_values(low: float, high: float, most: int = 4) -> list[float]:
    """At most five round numbers between two values."""
    raw = (high - low) / most
    power = 10.0 ** math.floor(math.log10(raw)) if raw > 0 else 1.0
    step = next(s * power for s in (1, 2, 5, 10) if s * power >= raw * 0.999)
    first = math.ceil(low / step - 1e-9)
    return [round(k * step, 10) for k in range(first, math.floor(high / step + 1e-9) + 1)]


def _day_ticks(low: float, high: float) -> list[tuple[float, str]]:
    """Beginnings of years, of months where the dates lie within two years, or single days."""
    first, last = _day(low), _day(high)
    if (last - first).days > 730:
        years = [y for y in _round_values(first.year, last.year + 1) if y == int(y)]
        days = [(date(int(y), 1, 1), f"{int(y)}") for y in years if date.min.year <= y <= date.max.year]
    elif (last - first).days > 90:
        months = [(first.year + (first.month - 1 + k) // 12, (first.month - 1 + k) % 12 + 1) for k in range(26)]
        step = max(1, (last - first).days // 90)
        days = [(date(y, m, 1), f"{y}-{m:02d}") for y, m in months if (m - 1) % step == 0]
    else:
        days = [(_day(v), _day(v).isoformat()) for v in _round_values(low, high, 2)]
    return [(float((d - EPOCH).days), label) for d, label in days if low <= (d - EPOCH).days <= high]
