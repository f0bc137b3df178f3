"""Parts of charts as SVG with a title and description; text takes the size and color of the page around it."""

import re
from collections.abc import Iterable
from dataclasses import dataclass

from markupsafe import Markup, escape

SYNTHETIC, REAL = "var(--synthetic)", "var(--real)"  # blue and orange: different in common color-vision deficiencies
CHARACTER = 7.6  # pixels of a wide font's mean character at the 12 pixels of labels


@dataclass(frozen=True)
class Chart:
    """One chart with its heading. svg: markup."""

    title: str
    svg: Markup


def draw(parts: Iterable[str], *, width: float, height: float, mark: str, title: str, about: str) -> Markup:
    """An <svg role="img"> in its natural size. mark: unique on the page."""
    mark = re.sub(r"\W+", "-", mark)
    head = (
        f'<svg role="img" aria-labelledby="{mark}-t {mark}-d" width="{width:.0f}" height="{height:.0f}" '
        f'viewBox="0 0 {width:.0f} {height:.0f}"><title id="{mark}-t">{escape(title)}</title><desc id="{mark}-d">{escape(about)}</desc>'
    )
    return Markup(head + "".join(parts) + "</svg>")  # nosec B704  # noqa: S704  # labels are escaped where they are drawn


def text(x: float, y: float, label: str, *, anchor: str = "start", rotated: bool = False) -> str:
    """A label."""
    turn = f' transform="rotate(-90 {x:.1f} {y:.1f})"' if rotated else ""
    return f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}"{turn}>{escape(label)}</text>'


def bar(x: float, y: float, width: float, height: float, color: str, hint: str = "") -> str:
    """A filled rectangle, with a hint for the pointer."""
    inner = f"<title>{escape(hint)}</title></rect>" if hint else "</rect>"
    return f'<rect x="{x:.1f}" y="{y:.1f}" width="{max(width, 0):.1f}" height="{max(height, 0):.1f}" fill="{color}">{inner}'


def line(points: Iterable[tuple[float, float]], color: str, width: float = 1.0) -> str:
    """A line through points."""
    path = " ".join(f"{x:.1f},{y:.1f}" for x, y in points)
    return f'<polyline points="{path}" fill="none" stroke="{color}" stroke-width="{width}"/>'


def shorten(label: str, longest: int) -> str:
    """The label, cut with an ellipsis where it is longer."""
    return label if len(label) <= longest else label[: longest - 1] + "…"


def width_of(labels: Iterable[str]) -> float:
    """Width of the longest label in pixels."""
    return max((len(label) for label in labels), default=0) * CHARACTER
