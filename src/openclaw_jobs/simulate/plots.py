"""Line and bar charts as SVG text, without any library or outside asset."""

import math
from collections.abc import Sequence
from html import escape
from typing import Final

import msgspec

_WIDTH: Final = 640
_HEIGHT: Final = 300
_LEFT: Final = 64
_RIGHT: Final = 16
_TOP: Final = 12
_BOTTOM: Final = 44
_LEGEND_ROW: Final = 18
_TICKS: Final = 5
_MOST_POINTS: Final = 240
_COLOURS: Final = ("#2563eb", "#dc2626", "#059669", "#d97706", "#7c3aed", "#0891b2", "#be185d")


class Line(msgspec.Struct, frozen=True):
    """A named curve; a dashed one is the proposal's, in its partner's colour."""

    name: str
    xs: Sequence[float]
    ys: Sequence[float]
    colour: int = 0
    dashed: bool = False


def chart(title: str, x_label: str, y_label: str, lines: Sequence[Line]) -> str:
    """Curves over one pair of axes that begin at zero, with a legend below."""
    drawn = [line for line in lines if len(line.xs)]
    x_top = _nice(max((max(line.xs) for line in drawn), default=1.0))
    y_top = _nice(max((max(line.ys) for line in drawn), default=1.0))
    y_low = min(0.0, min((min(line.ys) for line in drawn), default=0.0))
    y_low = -_nice(-y_low) if y_low < 0 else 0.0
    height = _HEIGHT + _LEGEND_ROW * len(drawn)

    def x_at(x: float) -> float:
        return _LEFT + (_WIDTH - _LEFT - _RIGHT) * x / x_top

    def y_at(y: float) -> float:
        return _TOP + (_HEIGHT - _TOP - _BOTTOM) * (y_top - y) / (y_top - y_low)

    parts = [
        f'<svg viewBox="0 0 {_WIDTH} {height}" role="img">',
        f"<title>{escape(title)}</title>",
    ]
    for step in range(_TICKS + 1):
        x, y = x_top * step / _TICKS, y_low + (y_top - y_low) * step / _TICKS
        parts += [
            f'<path class="grid" d="M{_LEFT} {y_at(y):.1f}H{_WIDTH - _RIGHT}"/>',
            f'<text text-anchor="end" x="{_LEFT - 6}" y="{y_at(y) + 4:.1f}">{_number(y)}</text>',
            f'<text text-anchor="middle" x="{x_at(x):.1f}" y="{_HEIGHT - 26}">{_number(x)}</text>',
        ]
    parts += [
        f'<text text-anchor="middle" x="{_WIDTH / 2}" y="{_HEIGHT - 8}">{escape(x_label)}</text>',
        f'<text class="up" x="{-_HEIGHT / 2}" y="14">{escape(y_label)}</text>',
    ]
    for row, line in enumerate(drawn):
        parts += _draw(line, [(x_at(x), y_at(y)) for x, y in _thin(line)], row)
    return "".join([*parts, "</svg>"])


def _draw(line: Line, points: Sequence[tuple[float, float]], row: int) -> list[str]:
    colour = _COLOURS[line.colour % len(_COLOURS)]
    dash = ' stroke-dasharray="6 4"' if line.dashed else ""
    path = " ".join(f"{x:.1f},{y:.1f}" for x, y in points)
    y = _HEIGHT + _LEGEND_ROW * row + 6
    style = f'fill="none" stroke="{colour}" stroke-width="2"{dash}'
    return [
        f'<polyline {style} points="{path}"/>',
        f'<line {style} x1="{_LEFT}" x2="{_LEFT + 28}" y1="{y}" y2="{y}"/>',
        f'<text x="{_LEFT + 36}" y="{y + 4}">{escape(line.name)}</text>',
    ]


def _thin(line: Line) -> list[tuple[float, float]]:
    """At most so many points of a curve, its last among them."""
    step = max(1, math.ceil(len(line.xs) / _MOST_POINTS))
    points = list(zip(line.xs, line.ys, strict=True))
    kept = points[::step]
    return kept if kept[-1] == points[-1] else [*kept, points[-1]]


def _nice(value: float) -> float:
    """The next number over a value that divides well."""
    if value <= 0:
        return 1.0
    size = 10.0 ** math.floor(math.log10(value))
    return next(m * size for m in (1, 1.5, 2, 2.5, 3, 4, 5, 7.5, 10) if m * size >= value * 0.9999)


def _number(value: float) -> str:
    return f"{value:,.0f}" if abs(value) >= 100 or value == int(value) else f"{value:.3g}"  # noqa: PLR2004
