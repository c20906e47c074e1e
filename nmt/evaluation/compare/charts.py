"""The pictures of the report: plain SVG, coloured by the style sheet of the page that they stand in."""

from __future__ import annotations

import math
from collections.abc import Sequence
from html import escape
from typing import NamedTuple

WIDTH = 720
COLOURS = 8
"""The style sheet has this many colours, of the classes c0, c1, ..."""
LABEL_CHARACTERS = 26


class ChartSpan(NamedTuple):
    """A score and its interval."""

    name: str
    value: float
    low: float
    high: float


class Group(NamedTuple):
    """Bars that stand together, one for each system."""

    label: str
    note: str
    """What is below the label, such as the number of sentences."""
    values: Sequence[float | None]
    faint: bool = False
    """Drawn pale: the values say little."""


def colour(index: int) -> str:
    """The class of the colour of a system."""
    return f"c{index % COLOURS}"


def draw_intervals(spans: Sequence[ChartSpan], *, title: str) -> str:
    """Draw scores as dots, each on the line of its interval, below one another."""
    row, left, right, top = 26, 210, 70, 8
    height = top + row * len(spans) + 26
    start, end, step = _scale(min(span.low for span in spans), max(span.high for span in spans))

    def place(value: float) -> float:
        return left + (WIDTH - left - right) * (value - start) / (end - start)

    parts = []
    for tick in _ticks(start, end, step):
        x, bottom = place(tick), height - 22
        parts.append(f'<line class="grid" x1="{x:.1f}" x2="{x:.1f}" y1="{top}" y2="{bottom}"/>')
        parts.append(f'<text class="axis" x="{x:.1f}" y="{height - 6}" text-anchor="middle">{tick:g}</text>')
    for index, span in enumerate(spans):
        y = top + row * (index + 0.5)
        tip = f"{span.name}: {span.value:.2f}, 95% interval {span.low:.2f} to {span.high:.2f}"
        parts += [
            f'<g class="{colour(index)}"><title>{escape(tip)}</title>',
            f'<text class="name" x="{left - 12}" y="{y + 4}" text-anchor="end">{escape(_short(span.name))}</text>',
            f'<line class="span" x1="{place(span.low):.1f}" x2="{place(span.high):.1f}" y1="{y}" y2="{y}"/>',
            f'<circle cx="{place(span.value):.1f}" cy="{y}" r="5"/>',
            f'<text class="value" x="{WIDTH - right + 10}" y="{y + 4}">{span.value:.2f}</text></g>',
        ]
    return _svg(height, title, parts)


def draw_bars(groups: Sequence[Group], names: Sequence[str], *, title: str, digits: int) -> str:
    """Draw groups of bars from 0 up.

    Args:
        groups: From left to right.
        names: Of the systems, whose values each group has.
        title: What is drawn, for those who do not see it.
        digits: Of the numbers that are shown when a bar is pointed at.
    """
    height, left, top, bottom = 250, 46, 10, 44
    found = [value for group in groups for value in group.values if value is not None]
    start, end, step = _scale(min([0.0, *found]), max([0.0, *found]))

    def place(value: float) -> float:
        return top + (height - top - bottom) * (end - value) / (end - start)

    parts = []
    for tick in _ticks(start, end, step):
        y = place(tick)
        parts.append(f'<line class="grid" x1="{left}" x2="{WIDTH}" y1="{y:.1f}" y2="{y:.1f}"/>')
        parts.append(f'<text class="axis" x="{left - 8}" y="{y + 4:.1f}" text-anchor="end">{tick:g}</text>')
    room = (WIDTH - left) / len(groups)
    bar = min(40.0, room * 0.8 / len(names))
    for number, group in enumerate(groups):
        middle = left + room * (number + 0.5)
        at = f'x="{middle:.1f}" text-anchor="middle"'
        parts.append(f'<text class="name" {at} y="{height - 24}">{escape(group.label)}</text>')
        parts.append(f'<text class="axis" {at} y="{height - 8}">{escape(group.note)}</text>')
        for index, (name, value) in enumerate(zip(names, group.values, strict=True)):
            if value is not None:
                x, y = middle + bar * (index - len(names) / 2), place(value)
                box = f'x="{x:.1f}" y="{y:.1f}" width="{bar * 0.92:.1f}" height="{place(0) - y:.1f}"'
                tip = escape(f"{name}, {group.label}: {value:.{digits}f}")
                shade = f"{colour(index)} faint" if group.faint else colour(index)
                parts.append(f'<rect class="{shade}" {box}><title>{tip}</title></rect>')
    return _svg(height, title, parts)


def _svg(height: int, title: str, parts: Sequence[str]) -> str:
    opening = f'<svg viewBox="0 0 {WIDTH} {height}" role="img" aria-label="{escape(title)}">'
    return "\n".join([opening, *parts, "</svg>"])


def _short(name: str) -> str:
    """Return the end of a long name, which distinguishes files better than the beginning."""
    return name if len(name) <= LABEL_CHARACTERS else "…" + name[1 - LABEL_CHARACTERS :]


def _scale(low: float, high: float) -> tuple[float, float, float]:
    """Return start, end and step of an axis from `low` to `high` with about five round steps."""
    spread = (high - low) or max(1.0, abs(high) * 0.1)
    power = 10.0 ** math.floor(math.log10(spread / 5))
    step = next(power * factor for factor in (1, 2, 5, 10) if power * factor >= spread / 5)
    start, end = math.floor(low / step) * step, math.ceil(high / step) * step
    return start, end if end > start else start + step, step


def _ticks(start: float, end: float, step: float) -> list[float]:
    return [round(start + number * step, 10) for number in range(round((end - start) / step) + 1)]
