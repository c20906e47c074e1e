"""Learning curves of one or several runs: a panel for each quantity, a colour for each run."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, NamedTuple

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import FuncFormatter, LogLocator, MaxNLocator, NullLocator

from nmt.plots.canvas import FAINT_INK, INK, ImageFormat, render, style
from nmt.plots.run_records import RunRecords, Series

PANEL = (4.2, 2.9)
"""Inches."""
COLUMNS = 3
LEGEND_SIZE = 9
"""Points."""
CHARACTERS_PER_INCH, LINE_CHARACTERS = 17, 8
"""Of the legend: letters, and as how many of them the piece of line before a name counts."""
COLOURS = ("#0b61a4", "#d1495b", "#2a9d6f", "#e08e0b", "#7a5195", "#3fb1ce", "#8c564b", "#5b6770")
DASHES = ("-", "--", ":", "-.")
"""Each for one round through the colours."""
TRAINING_ALPHA = 0.6
CROSS: dict[str, Any] = {"marker": "X", "markersize": 7, "markeredgecolor": "white", "linestyle": "none"}
NAMES: dict[str, Any] = {"fontsize": 7, "horizontalalignment": "center"}


class Quantity(NamedTuple):
    """What a panel shows."""

    title: str
    key: str
    """Its name in the records."""
    logarithmic: bool
    marked: bool
    """Whether the highest validation, which is the best, is marked."""


QUANTITIES = {
    "loss": Quantity("loss (nats a piece)", "loss", False, False),
    "perplexity": Quantity("perplexity", "perplexity", True, False),
    "bleu": Quantity("BLEU (validation)", "bleu", False, True),
    "chrf": Quantity("chrF (validation)", "chrf", False, True),
    "learning_rate": Quantity("learning rate", "learning_rate", False, False),
    "speed": Quantity("target tokens/s", "target_tokens_per_second", False, False),
    "gradient_norm": Quantity("gradient norm", "gradient_norm", False, False),
}
USUAL = ("loss", "perplexity", "bleu", "learning_rate", "speed")


def present(runs: Sequence[RunRecords], names: Sequence[str]) -> list[str]:
    """Return those of the quantities `names` that any run has."""
    return [name for name in names if any(QUANTITIES[name].key in {**run.train, **run.valid} for run in runs)]


def curves(runs: Sequence[RunRecords], names: Sequence[str], *, families: Sequence[str], format: ImageFormat) -> bytes:
    """Draw the quantities `names` of runs, each of which some run has.

    Args:
        runs: Their records; their names are the legend.
        names: Keys of QUANTITIES.
        families: Fonts that have the characters of the runs' names.
        format: Of the picture.
    """
    columns = min(COLUMNS, len(names))
    rows = math.ceil(len(names) / columns)
    with style(families):
        figure = Figure(figsize=(PANEL[0] * columns, PANEL[1] * rows + 0.4), layout="constrained")
        grid = figure.subplots(rows, columns, squeeze=False).flatten().tolist()
        warned = [name for name in names if any(_warned(run, QUANTITIES[name].key) for run in runs)]
        for axes, name in zip(grid, names, strict=False):
            _panel(axes, runs, QUANTITIES[name])
            _mark_warnings(axes, runs, QUANTITIES[name].key, named=name in warned[:1])
        for axes in grid[len(names) :]:
            axes.set_axis_off()
        handles = _legend(runs, names)
        ncols = _legend_columns(handles, figure.get_figwidth())
        figure.legend(handles=handles, loc="outside upper left", ncols=ncols, frameon=False, fontsize=LEGEND_SIZE)
        return render(figure, format=format)


def _panel(axes: Axes, runs: Sequence[RunRecords], quantity: Quantity) -> None:
    for number, run in enumerate(runs):
        colour, dash = _look(number)
        train, valid = run.train.get(quantity.key), run.valid.get(quantity.key)
        if train is not None:
            # A first report alone would be a line of one point, which cannot be seen.
            marker = "." if len(train.updates) == 1 else ""
            axes.plot(*train, color=colour, linestyle=dash, linewidth=1.1, alpha=TRAINING_ALPHA, marker=marker)
        if valid is not None:
            axes.plot(*valid, color=colour, linestyle=dash, linewidth=1.6, marker="o", markersize=3)
            if quantity.marked:
                _mark_highest(axes, valid, colour)
    axes.set_title(quantity.title, loc="left", fontsize=10, fontweight="bold")
    axes.set_xlabel("update", fontsize=8)
    if quantity.logarithmic:
        axes.set_yscale("log")
        axes.yaxis.set_major_locator(LogLocator(subs=(1.0, 2.0, 5.0)))
        axes.yaxis.set_minor_locator(NullLocator())
    axes.yaxis.set_major_formatter(FuncFormatter(_number))
    axes.xaxis.set_major_locator(MaxNLocator(5, integer=True))
    axes.xaxis.set_major_formatter(FuncFormatter(_number))
    axes.set_xlim(left=0)
    axes.grid(color="#e6eaee", linewidth=0.7)
    axes.set_axisbelow(True)
    axes.tick_params(labelsize=8, length=2, color=FAINT_INK)
    for side in ("top", "right"):
        axes.spines[side].set_visible(False)


def _number(value: float, place: int | None) -> str:
    return f"{value:,.10g}"


def _look(number: int) -> tuple[str, str]:
    return COLOURS[number % len(COLOURS)], DASHES[number // len(COLOURS) % len(DASHES)]


def _mark_highest(axes: Axes, series: Series, colour: str) -> None:
    value = max(series.values)
    update = series.updates[series.values.index(value)]
    look: dict[str, Any] = {"color": colour, "marker": "o", "markersize": 7, "fillstyle": "none", "linestyle": "none"}
    axes.plot([update], [value], label=f"best {value:.1f}", **look)
    axes.legend(loc="lower right", fontsize=8, frameon=False, labelcolor="linecolor")


def _mark_warnings(axes: Axes, runs: Sequence[RunRecords], key: str, *, named: bool) -> None:
    """Cross the validations at which training warned of something, `named` with what it was."""
    for number, run in enumerate(runs):
        colour, _ = _look(number)
        for update, value, names in _warned(run, key):
            axes.plot([update], [value], color=colour, **CROSS)
            if named:
                axes.annotate(names, (update, value), (0, 6), textcoords="offset points", color=colour, **NAMES)


def _warned(run: RunRecords, key: str) -> list[tuple[int, float, str]]:
    """Return the validations at which training warned of something: update, value of the quantity, names."""
    validations = zip(*run.valid.get(key, ((), ())), strict=True)
    names = {update: ", ".join(one.name for one in run.warnings if one.update == update) for update, _ in run.warnings}
    return [(update, value, names[update]) for update, value in validations if update in names]


def _legend(runs: Sequence[RunRecords], names: Sequence[str]) -> list[Line2D]:
    """Return what the colours mean, the two kinds of lines where there are both, and the crosses."""
    handles = []
    for number, run in enumerate(runs):
        colour, dash = _look(number)
        handles.append(Line2D([], [], color=colour, linestyle=dash, linewidth=2, label=run.name))
    keys = [QUANTITIES[name].key for name in names]
    if any(key in run.train and key in run.valid for run in runs for key in keys):
        handles.append(Line2D([], [], color=INK, linewidth=1.1, alpha=TRAINING_ALPHA, label="training"))
        handles.append(Line2D([], [], color=INK, linewidth=1.6, marker="o", markersize=3, label="validation"))
    if any(_warned(run, key) for run in runs for key in keys):
        handles.append(Line2D([], [], color=INK, label="warning", **CROSS))
    return handles


def _legend_columns(handles: Sequence[Line2D], inches: float) -> int:
    """Return how many columns fit: all names in one row, or as many of the longest as there is room for."""
    widths = [len(str(handle.get_label())) + LINE_CHARACTERS for handle in handles]
    room = inches * CHARACTERS_PER_INCH
    return len(widths) if sum(widths) <= room else max(1, int(room / max(widths)))
