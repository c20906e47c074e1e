"""The figure of a sweep: BLEU by the length of the source, a line for each variant, a band for the seeds."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import cycle
from typing import NamedTuple

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from nmt.plots.canvas import FAINT_INK, ImageFormat, plot_style, render
from nmt.plots.fonts import BASE_FAMILY

SIZE = (6.4, 3.9)
"""Inches."""
COLOURS = ("#5b6770", "#d1495b", "#0b61a4", "#3a7d44", "#b5651d", "#7a4fa3")
"""Of the variants, from the first to the last, then again from the first."""
MARKERS = ("s", "^", "o", "D", "v")


class Point(NamedTuple):
    """The sentences of one bucket of lengths."""

    words: float
    """Their mean length."""
    length: str
    """The name of the bucket."""
    sentences: int
    mean: float
    """BLEU: the mean over seeds. `min` and `max` are the lowest and the highest."""
    min: float
    max: float


class LengthCurve(NamedTuple):
    """One variant."""

    title: str
    points: list[Point]


def draw(lines: Sequence[LengthCurve], *, seeds: int, format: ImageFormat) -> bytes:
    """Draw the figure.

    Args:
        lines: The variants.
        seeds: Number of runs of each variant, for the title.
        format: Format of the figure.
    """
    with plot_style([BASE_FAMILY]):
        figure = Figure(figsize=SIZE, layout="constrained")
        axes = figure.subplots()
        for line, colour, marker in zip(lines, cycle(COLOURS), cycle(MARKERS), strict=False):
            _draw_line(axes, line, colour, marker)
        _label(axes, lines, seeds)
        figure.legend(loc="outside lower center", ncols=min(len(lines), 4), frameon=False, fontsize=9)
        return render(figure, format=format)


def _draw_line(axes: Axes, line: LengthCurve, colour: str, marker: str) -> None:
    words = [point.words for point in line.points]
    lowest, highest = [point.min for point in line.points], [point.max for point in line.points]
    axes.fill_between(words, lowest, highest, color=colour, alpha=0.18, linewidth=0)
    means = [point.mean for point in line.points]
    axes.plot(words, means, color=colour, marker=marker, markersize=4.5, linewidth=1.8, label=line.title)


def _label(axes: Axes, lines: Sequence[LengthCurve], seeds: int) -> None:
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
