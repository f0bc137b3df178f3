"""Charts of associations between columns, and of groups of people."""

from collections.abc import Mapping, Sequence

import numpy as np
from markupsafe import Markup
from numpy.typing import NDArray

from galenic.release.svg import REAL, SYNTHETIC, Chart, bar, draw, line, shorten, text, width_of
from galenic.schema import Column, Floats, Table, numbers

MOST_ASSOCIATED, LEVELS = 24, 8
CELL, LONGEST_NAME = 16, 18
MOST_GROUPS = 24
# ends and middle of the color scales, light to dark, and orange to white to purple (legible in color-vision deficiencies)
SEQUENTIAL = ((247, 251, 255), (107, 174, 214), (8, 48, 107))
DIVERGING = ((179, 88, 6), (247, 247, 247), (84, 39, 136))


def association_charts(synthetic: Table, real: Table | None, name: str) -> list[Chart]:
    """Cramér's V of every pair of columns as heat maps: synthetic, and, where the reader may see them, held-out patients and the
    difference. None where fewer than two columns can be compared."""
    columns = synthetic.columns[:MOST_ASSOCIATED]
    if len(columns) < 2 or not synthetic.rows:
        return []
    made = cramers_v(synthetic, synthetic, columns)
    charts = [_heat_map(made, columns, f"a-{name}-0", "Synthetic rows", signed=False)]
    if real is not None and real.rows:
        held_out = cramers_v(real, synthetic, columns)
        charts.append(_heat_map(held_out, columns, f"a-{name}-1", "Held-out patients", signed=False))
        charts.append(_heat_map(made - held_out, columns, f"a-{name}-2", "Difference (synthetic less held out)", signed=True))
    return charts


def _heat_map(values: Floats, columns: Sequence[Column], mark: str, title: str, *, signed: bool) -> Chart:
    names = [shorten(c.name, LONGEST_NAME) for c in columns]
    left = top = width_of(names) + 8
    size, parts = CELL * len(names), []
    low, high = (-0.5, 0.5) if signed else (0.0, 1.0)
    for i, name in enumerate(names):
        middle = (i + 0.5) * CELL + 4
        parts += [text(left - 4, top + middle, name, anchor="end"), text(left + middle, top - 4, name, rotated=True)]
        for j in range(len(names)):
            value = float(values[i, j])
            hint = f"{columns[i].name} and {columns[j].name}: {value:.2f}"
            parts.append(
                bar(
                    left + j * CELL,
                    top + i * CELL,
                    CELL - 1,
                    CELL - 1,
                    _color((value - low) / (high - low), signed=signed),
                    hint,
                )
            )
    parts += _scale(left, top + size + 12, low, high, signed=signed)
    width = left + max(size, 200) + 30
    about = f"Strength of association of every pair of {len(names)} columns, as colors from {low:g} to {high:g}."
    return Chart(title, draw(parts, width=width, height=top + size + 46, mark=mark, title=title, about=about))


def _scale(x: float, y: float, low: float, high: float, *, signed: bool) -> list[str]:
    """The color scale with its ends and middle."""
    parts = [bar(x + 5 * k, y, 5.2, 12, _color(k / 39, signed=signed)) for k in range(40)]
    for share in (0.0, 0.5, 1.0):
        parts.append(text(x + 200 * share, y + 28, f"{low + (high - low) * share:g}", anchor="middle"))
    return parts


def _color(share: float, *, signed: bool) -> str:
    scale, share = (DIVERGING if signed else SEQUENTIAL), min(max(share, 0.0), 1.0) * 2
    a, b = (scale[0], scale[1]) if share <= 1 else (scale[1], scale[2])
    part = share if share <= 1 else share - 1
    return "#" + "".join(f"{round(p + (q - p) * part):02x}" for p, q in zip(a, b, strict=True))


def cramers_v(table: Table, cuts: Table, columns: tuple[Column, ...]) -> Floats:
    """Cramér's V of each pair, shape (columns, columns); levels are cut by one table so that two tables compare."""
    coded = [_levels(table, cuts, c) for c in columns]
    found = np.eye(len(columns))
    for i in range(len(columns)):
        for j in range(i):
            counts = np.zeros((LEVELS + 1, LEVELS + 1))
            np.add.at(counts, (coded[i], coded[j]), 1)
            counts = counts[counts.sum(axis=1) > 0][:, counts.sum(axis=0) > 0]
            expected = np.outer(counts.sum(axis=1), counts.sum(axis=0)) / max(counts.sum(), 1)
            least = max(min(counts.shape) - 1, 1)
            chi2 = float(((counts - expected) ** 2 / np.maximum(expected, 1e-9)).sum())
            found[i, j] = found[j, i] = np.sqrt(chi2 / max(counts.sum(), 1) / least)
    return found


def _levels(table: Table, cuts: Table, column: Column) -> NDArray[np.int64]:
    """Up to LEVELS levels and one for missing values, shape (rows,)."""
    if column.binned:
        seen, values = numbers(cuts, column), numbers(table, column)
        present = seen[~np.isnan(seen)]
        edges = np.unique(np.quantile(present, np.arange(1, LEVELS) / LEVELS)) if present.size else np.zeros(0)
        return np.where(np.isnan(values), LEVELS, np.searchsorted(edges, values, side="right"))
    counts: dict[str, int] = {}
    for value in cuts.frame[column.name].to_pylist():
        if value is not None:
            counts[str(value)] = counts.get(str(value), 0) + 1
    order = sorted(counts, key=lambda n: -counts[n])
    place = {name: min(k, LEVELS - 1) for k, name in enumerate(order)}
    texts = table.frame[column.name].to_pylist()
    return np.array([LEVELS if t is None else place.get(str(t), LEVELS - 1) for t in texts], dtype=np.int64)


def group_charts(shift: Mapping[str, float], lost: Mapping[str, float]) -> list[Chart]:
    """Bars for each group of people: the change of its share, and the AUROC that it loses; none for what was not measured."""
    parts = (("Change of the group's share", shift, "percent"), ("AUROC that the group loses", lost, "number"))
    return [_group_bars(title, values, f"g-{k}", unit) for k, (title, values, unit) in enumerate(parts) if any(values.values())]


def _group_bars(title: str, values: Mapping[str, float], mark: str, unit: str) -> Chart:
    names = sorted((n for n in values if abs(values[n]) >= 5e-4), key=lambda n: -abs(values[n]))[:MOST_GROUPS]
    left, half, row = width_of(shorten(n, 28) for n in names) + 8, 110.0, 22.0
    middle, most = left + half + 44, max((abs(values[n]) for n in names), default=1.0) or 1.0
    parts = []
    for place, name in enumerate(names):
        value, y = values[name], place * row
        length = half * abs(value) / most
        label = f"{value:+.1%}" if unit == "percent" else f"{value:+.3f}"
        start = middle if value > 0 else middle - length
        parts.append(text(left - 8, y + 15, shorten(name, 28), anchor="end"))
        parts.append(bar(start, y + 3, length, row - 6, REAL if value > 0 else SYNTHETIC, f"{name}: {label}"))
        end, anchor = (middle + length + 4, "start") if value > 0 else (middle - length - 4, "end")
        parts.append(text(end, y + 15, label, anchor=anchor))
    parts.append(line([(middle, 0), (middle, row * len(names))], "currentColor"))
    about = f"{title}, for each of {len(names)} groups of people; largest first."
    svg: Markup = draw(parts, width=middle + half + 50, height=row * len(names) + 4, mark=mark, title=title, about=about)
    return Chart(title, svg)
