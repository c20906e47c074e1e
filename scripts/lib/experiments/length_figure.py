"""The figure: BLEU by the length of the source, a line for each system, a band from the lowest to the highest seed."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from nmt.plots.canvas import FAINT_INK, ImageFormat, plot_style, render
from nmt.plots.fonts import BASE_FAMILY

SIZE = (6.4, 3.9)
"""Inches."""
COLOURS = ("#5b6770", "#d1495b", "#0b61a4")
"""Of the systems, from the first to the last."""
MARKERS = ("s", "^", "o")


class Point(NamedTuple):
    """The sentences of one bucket of lengths."""

    words: float
    """Their mean length."""
    length: str
    """What the bucket is called."""
    sentences: int
    mean: float
    """BLEU: the mean over seeds, the lowest and the highest."""
    min: float
    max: float


class Line(NamedTuple):
    """One system."""

    title: str
    points: list[Point]


def draw(lines: Sequence[Line], *, seeds: int, format: ImageFormat) -> bytes:
    """Draw the figure.

    Args:
        lines: The systems.
        seeds: Runs of each, for the caption.
        format: Of the picture.
    """
    with plot_style([BASE_FAMILY]):
        figure = Figure(figsize=SIZE, layout="constrained")
        axes = figure.subplots()
        for line, colour, marker in zip(lines, COLOURS, MARKERS, strict=False):
            _draw_line(axes, line, colour, marker)
        _label(axes, lines, seeds)
        figure.legend(loc="outside lower center", ncols=len(lines), frameon=False, fontsize=9)
        return render(figure, format=format)


def _draw_line(axes: Axes, line: Line, colour: str, marker: str) -> None:
    words = [point.words for point in line.points]
    lowest, highest = [point.min for point in line.points], [point.max for point in line.points]
    axes.fill_between(words, lowest, highest, color=colour, alpha=0.18, linewidth=0)
    means = [point.mean for point in line.points]
    axes.plot(words, means, color=colour, marker=marker, markersize=4.5, linewidth=1.8, label=line.title)


def _label(axes: Axes, lines: Sequence[Line], seeds: int) -> None:
    several = f"; mean, lowest and highest of {seeds} seeds" if seeds > 1 else ""
    axes.set_title(f"BLEU by length of the source{several}", loc="left", fontsize=10, fontweight="bold")
    axes.set_xlabel("words of the source, and how many sentences; each group at its mean length", fontsize=8)
    axes.set_ylabel("BLEU", fontsize=9)
    points = lines[0].points
    axes.set_xticks(
        [point.words for point in points],
        [f"{point.length}\n({point.sentences:,})" for point in points],
    )
    axes.set_ylim(0, min(100.0, 1.15 * max(point.max for line in lines for point in line.points) + 1))
    axes.set_xlim(left=0)
    axes.grid(axis="y", color="#e6eaee", linewidth=0.7)
    axes.set_axisbelow(True)
    axes.tick_params(labelsize=8, length=2, color=FAINT_INK)
    for side in ("top", "right"):
        axes.spines[side].set_visible(False)
