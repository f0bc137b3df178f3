"""Plots as inline SVG that carry a title and description, follow the colors of the page, and print."""

import io
import re
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from galenic.schema import Column, Floats, Table, numbers

if TYPE_CHECKING:  # matplotlib takes a second to load: commands that draw nothing need not wait for it
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

BLUE, ORANGE = "#2f6fb2", "#d9822b"  # distinguishable in common color-vision deficiencies


def svg(figure: "Figure", title: str, about: str) -> str:
    """The figure as an <svg role="img"> with accessible title and description; text takes the color of the page."""
    import matplotlib  # noqa: PLC0415

    out = io.StringIO()
    with matplotlib.rc_context({"svg.fonttype": "none", "svg.hashsalt": "galenic"}):
        figure.savefig(out, format="svg", transparent=True, bbox_inches="tight", metadata={"Date": None})
    text = out.getvalue()
    text = text[text.index("<svg") :]
    mark = re.sub(r"\W+", "-", title.lower())
    text = re.sub(r"<metadata>.*?</metadata>", "", text, flags=re.S)
    label = f'<svg role="img" aria-labelledby="{mark}-t {mark}-d"'
    text = text.replace("<svg", label, 1)
    head_end = text.index(">") + 1
    heading = f'<title id="{mark}-t">{title}</title><desc id="{mark}-d">{about}</desc>'
    text = text[:head_end] + heading + text[head_end:]
    # ids are unique per figure so that several figures can stand on one page
    text = re.sub(rf'id="((?!{mark}-[td])[^"]+)"', rf'id="{mark}-\1"', text)
    text = re.sub(r'(xlink:href="#|url\(#)', rf"\1{mark}-", text)
    return text.replace("#111111", "currentColor")


def distributions(synthetic: Table, real: Table | None, columns: tuple[Column, ...]) -> "Figure":
    """Small multiples of single columns: synthetic, and held-out real beside it where the reader may see it."""
    from matplotlib.figure import Figure  # noqa: PLC0415

    shown = columns[:12]
    across = 4
    down = -(-len(shown) // across)
    figure = Figure(figsize=(10, 2.1 * down))
    for place, column in enumerate(shown):
        axes = figure.add_subplot(down, across, place + 1)
        _plot_column(axes, synthetic, real, column)
        axes.set_title(
            column.name + (f" ({column.unit})" if column.unit else ""), fontsize=9, color="#111111", parse_math=False
        )
        axes.tick_params(labelsize=7, colors="#111111")
        for side in ("top", "right"):
            axes.spines[side].set_visible(False)
        for spine in axes.spines.values():
            spine.set_color("#111111")
    figure.subplots_adjust(hspace=0.7, wspace=0.3)
    return figure


def _plot_column(axes: "Axes", synthetic: Table, real: Table | None, column: Column) -> None:
    tables = [(synthetic, BLUE, 0.0)] + ([(real, ORANGE, 0.45)] if real is not None else [])
    if column.binned:
        values = [numbers(t, column) for t, _c, _o in tables]
        low, high = min(_quantile(v, 0.0) for v in values), max(_quantile(v, 0.99) for v in values)
        bins = [low + (high - low) * i / 16 for i in range(17)] if high > low else 1
        for v, (_t, color, shift) in zip(values, tables, strict=True):
            weights = [1 / max(len(v), 1)] * int(((v >= low) & (v <= high)).sum())
            kept = v[(v >= low) & (v <= high)]
            axes.hist(
                kept,
                bins=bins,
                weights=weights,
                color=color,
                alpha=0.65,
                histtype="stepfilled" if not shift else "step",
                lw=1.5,
            )
        return
    shares = [_shares(t, column.name) for t, _c, _o in tables]
    names = sorted(shares[0], key=lambda n: -shares[0][n])[:8]
    width = 0.45 if real is not None else 0.8
    for part, (_t, color, shift) in zip(shares, tables, strict=True):
        axes.bar([i + shift for i in range(len(names))], [part.get(n, 0) for n in names], width=width, color=color, alpha=0.8)
    axes.set_xticks(
        [i + (0.22 if real is not None else 0) for i in range(len(names))],
        [n[:9] for n in names],
        rotation=45,
        ha="right",
        parse_math=False,
    )


MOST_ASSOCIATED, LEVELS = 24, 8


def associations(synthetic: Table, real: Table | None) -> "Figure | None":
    """Cramér's V of every pair of columns as maps: synthetic, and beside it held-out patients and the difference where the reader may
    see them. None where fewer than two columns vary."""
    from matplotlib.figure import Figure  # noqa: PLC0415

    columns = synthetic.columns[:MOST_ASSOCIATED]
    if len(columns) < 2 or not synthetic.rows:
        return None
    made = _cramer(synthetic, synthetic, columns)
    maps = [("synthetic", made, 1.0)]
    if real is not None and real.rows:
        held_out = _cramer(real, synthetic, columns)
        maps += [("held-out patients", held_out, 1.0), ("difference", made - held_out, 0.5)]
    figure = Figure(figsize=(3.6 * len(maps), 3.9))
    for place, (title, values, top) in enumerate(maps):
        axes = figure.add_subplot(1, len(maps), place + 1)
        signed = title == "difference"
        axes.imshow(values, vmin=-top if signed else 0, vmax=top, cmap="PuOr" if signed else "Blues")
        axes.set_title(title, fontsize=9, color="#111111")
        names = [c.name[:14] for c in columns]
        axes.set_xticks(range(len(names)), names, rotation=90, fontsize=6, color="#111111", parse_math=False)
        axes.set_yticks(
            range(len(names)), names if not place else [""] * len(names), fontsize=6, color="#111111", parse_math=False
        )
        axes.tick_params(colors="#111111", length=2)
    return figure


def _cramer(table: Table, cuts: Table, columns: tuple[Column, ...]) -> Floats:
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
    order = sorted(_shares(cuts, column.name).items(), key=lambda p: -p[1])
    place = {name: min(k, LEVELS - 1) for k, (name, _) in enumerate(order) if name != "missing"}
    texts = table.frame[column.name].to_pylist()
    return np.array([LEVELS if t is None else place.get(str(t), LEVELS - 1) for t in texts], dtype=np.int64)


def by_group(shift: dict[str, float], lost: dict[str, float]) -> "Figure":
    """Bars for each group of people: the shift of its share, and the AUROC it loses."""
    from matplotlib.figure import Figure  # noqa: PLC0415

    parts = [(t, v) for t, v in (("shift of the group's share", shift), ("AUROC the group loses", lost)) if v]
    most = max(len(v) for _, v in parts)
    figure = Figure(figsize=(5 * len(parts), 0.8 + 0.22 * min(most, 24)))
    for place, (title, values) in enumerate(parts):
        axes = figure.add_subplot(1, len(parts), place + 1)
        names = sorted(values, key=lambda n: -abs(values[n]))[:24][::-1]
        axes.barh(range(len(names)), [values[n] for n in names], color=[ORANGE if values[n] > 0 else BLUE for n in names])
        axes.axvline(0, color="#111111", lw=0.8)
        axes.set_yticks(range(len(names)), [n[:34] for n in names], fontsize=7, color="#111111", parse_math=False)
        axes.set_title(title, fontsize=9, color="#111111")
        axes.tick_params(labelsize=7, colors="#111111")
        for spine in axes.spines.values():
            spine.set_color("#111111")
    figure.subplots_adjust(wspace=0.9)
    return figure


def _quantile(values: Floats, q: float) -> float:
    present = values[~np.isnan(values)]
    return float(np.quantile(present, q)) if present.size else 0.0


def _shares(table: Table, name: str) -> dict[str, float]:
    counts: dict[str, float] = {}
    for value in table.frame[name].to_pylist():
        label = "missing" if value is None else str(value)
        counts[label] = counts.get(label, 0) + 1 / max(table.rows, 1)
    return counts
