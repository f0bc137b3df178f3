"""Plots as inline SVG that carry a title and description, follow the page's colours, and print."""

import io
import re
from typing import TYPE_CHECKING

import numpy as np

from galenic.schema import Column, Floats, Table, numbers

if TYPE_CHECKING:  # matplotlib takes a second to load: commands that draw nothing need not wait for it
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

BLUE, ORANGE = "#2f6fb2", "#d9822b"  # distinguishable in common colour-vision deficiencies


def svg(figure: "Figure", title: str, about: str) -> str:
    """The figure as an <svg role="img"> with accessible title and description; text takes the page's colour."""
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
        _one(axes, synthetic, real, column)
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


def _one(axes: "Axes", synthetic: Table, real: Table | None, column: Column) -> None:
    tables = [(synthetic, BLUE, 0.0)] + ([(real, ORANGE, 0.45)] if real is not None else [])
    if column.binned:
        values = [numbers(t, column) for t, _c, _o in tables]
        low, high = min(_quantile(v, 0.0) for v in values), max(_quantile(v, 0.99) for v in values)
        bins = [low + (high - low) * i / 16 for i in range(17)] if high > low else 1
        for v, (_t, colour, shift) in zip(values, tables, strict=True):
            weights = [1 / max(len(v), 1)] * int(((v >= low) & (v <= high)).sum())
            kept = v[(v >= low) & (v <= high)]
            axes.hist(
                kept,
                bins=bins,
                weights=weights,
                color=colour,
                alpha=0.65,
                histtype="stepfilled" if not shift else "step",
                lw=1.5,
            )
        return
    shares = [_shares(t, column.name) for t, _c, _o in tables]
    names = sorted(shares[0], key=lambda n: -shares[0][n])[:8]
    width = 0.45 if real is not None else 0.8
    for part, (_t, colour, shift) in zip(shares, tables, strict=True):
        axes.bar([i + shift for i in range(len(names))], [part.get(n, 0) for n in names], width=width, color=colour, alpha=0.8)
    axes.set_xticks(
        [i + (0.22 if real is not None else 0) for i in range(len(names))],
        [n[:9] for n in names],
        rotation=45,
        ha="right",
        parse_math=False,
    )


def _quantile(values: Floats, q: float) -> float:
    present = values[~np.isnan(values)]
    return float(np.quantile(present, q)) if present.size else 0.0


def _shares(table: Table, name: str) -> dict[str, float]:
    counts: dict[str, float] = {}
    for value in table.frame[name].to_pylist():
        label = "missing" if value is None else str(value)
        counts[label] = counts.get(label, 0) + 1 / max(table.rows, 1)
    return counts
