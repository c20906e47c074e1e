"""Learning curves of one or several runs: one panel per quantity, one colour per run."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, NamedTuple

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import FuncFormatter, LogLocator, MaxNLocator, NullLocator

from nmt.plots.canvas import FAINT_INK, INK, ImageFormat, plot_style, render
from nmt.plots.run_records import RunRecords, Series

PANEL_SIZE = (4.2, 2.9)
"""Width and height in inches."""
MAX_COLUMNS = 3
LEGEND_SIZE = 9
"""Points."""
CHARACTERS_PER_INCH = 17
"""Of legend text."""
HANDLE_CHARACTERS = 8
"""Width of the line segment in front of a legend name, in characters."""
COLOURS = ("#0b61a4", "#d1495b", "#2a9d6f", "#e08e0b", "#7a5195", "#3fb1ce", "#8c564b", "#5b6770")
DASHES = ("-", "--", ":", "-.")
"""One for each cycle through the colours."""
TRAINING_ALPHA = 0.6
WARNING_MARKER: dict[str, Any] = {"marker": "X", "markersize": 7, "markeredgecolor": "white", "linestyle": "none"}
WARNING_TEXT: dict[str, Any] = {"fontsize": 7, "horizontalalignment": "center"}


class Quantity(NamedTuple):
    """The contents of a panel."""

    title: str
    key: str
    """Its key in `metrics.jsonl`."""
    logarithmic: bool
    marks_highest: bool
    """Whether the validation with the highest value is marked."""


QUANTITIES = {
    "loss": Quantity("loss (nats per token)", "loss", False, False),
    "perplexity": Quantity("perplexity", "perplexity", True, False),
    "bleu": Quantity("BLEU (validation)", "bleu", False, True),
    "chrf": Quantity("chrF (validation)", "chrf", False, True),
    "learning_rate": Quantity("learning rate", "learning_rate", False, False),
    "speed": Quantity("target tokens per second", "target_tokens_per_second", False, False),
    "gradient_norm": Quantity("gradient norm", "gradient_norm", False, False),
}
DEFAULT_QUANTITIES = ("loss", "perplexity", "bleu", "learning_rate", "speed")


def recorded_quantities(runs: Sequence[RunRecords], names: Sequence[str]) -> list[str]:
    """Return the quantities of `names` that at least one run recorded."""
    return [name for name in names if any(QUANTITIES[name].key in {**run.train, **run.valid} for run in runs)]


def draw_curves(
    runs: Sequence[RunRecords], names: Sequence[str], *, families: Sequence[str], format: ImageFormat
) -> bytes:
    """Draw one panel for each quantity of `names`.

    Args:
        runs: Records of the runs. The legend shows their names.
        names: Keys of `QUANTITIES`. At least one run must have recorded each.
        families: Font families that cover the characters of the runs' names.
        format: Image format.

    Returns:
        The bytes of an image file.
    """
    columns = min(MAX_COLUMNS, len(names))
    rows = math.ceil(len(names) / columns)
    with plot_style(families):
        figure = Figure(figsize=(PANEL_SIZE[0] * columns, PANEL_SIZE[1] * rows + 0.4), layout="constrained")
        grid = figure.subplots(rows, columns, squeeze=False).flatten().tolist()
        warned = [name for name in names if any(_validation_warnings(run, QUANTITIES[name].key) for run in runs)]
        for axes, name in zip(grid, names, strict=False):
            _draw_panel(axes, runs, QUANTITIES[name])
            _mark_warnings(axes, runs, QUANTITIES[name].key, named=name in warned[:1])
        for axes in grid[len(names) :]:
            axes.set_axis_off()
        handles = _legend(runs, names)
        ncols = _legend_columns(handles, figure.get_figwidth())
        figure.legend(handles=handles, loc="outside upper left", ncols=ncols, frameon=False, fontsize=LEGEND_SIZE)
        return render(figure, format=format)


def _draw_panel(axes: Axes, runs: Sequence[RunRecords], quantity: Quantity) -> None:
    for number, run in enumerate(runs):
        colour, dash = _line_style(number)
        train, valid = run.train.get(quantity.key), run.valid.get(quantity.key)
        if train is not None:
            # A line through a single point would be invisible.
            marker = "." if len(train.updates) == 1 else ""
            axes.plot(*train, color=colour, linestyle=dash, linewidth=1.1, alpha=TRAINING_ALPHA, marker=marker)
        if valid is not None:
            axes.plot(*valid, color=colour, linestyle=dash, linewidth=1.6, marker="o", markersize=3)
            if quantity.marks_highest:
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


def _number(value: float, position: int | None) -> str:
    return f"{value:,.10g}"


def _line_style(number: int) -> tuple[str, str]:
    return COLOURS[number % len(COLOURS)], DASHES[number // len(COLOURS) % len(DASHES)]


def _mark_highest(axes: Axes, series: Series, colour: str) -> None:
    value = max(series.values)
    update = series.updates[series.values.index(value)]
    circle: dict[str, Any] = {"marker": "o", "markersize": 7, "fillstyle": "none", "linestyle": "none"}
    axes.plot([update], [value], label=f"best {value:.1f}", color=colour, **circle)
    axes.legend(loc="lower right", fontsize=8, frameon=False, labelcolor="linecolor")


def _mark_warnings(axes: Axes, runs: Sequence[RunRecords], key: str, *, named: bool) -> None:
    """Mark the validations that caused warnings with crosses, and with the names of the warnings if `named`."""
    for number, run in enumerate(runs):
        colour, _ = _line_style(number)
        for update, value, names in _validation_warnings(run, key):
            axes.plot([update], [value], color=colour, **WARNING_MARKER)
            if named:
                axes.annotate(names, (update, value), (0, 6), textcoords="offset points", color=colour, **WARNING_TEXT)


def _validation_warnings(run: RunRecords, key: str) -> list[tuple[int, float, str]]:
    """Return each validation that caused warnings: update, value of the quantity, names of the warnings."""
    validations = zip(*run.valid.get(key, ((), ())), strict=True)
    names = {
        update: ", ".join(warning.name for warning in run.warnings if warning.update == update)
        for update, _ in run.warnings
    }
    return [(update, value, names[update]) for update, value in validations if update in names]


def _legend(runs: Sequence[RunRecords], names: Sequence[str]) -> list[Line2D]:
    """Return legend entries for the colours, for training and validation if both are shown, and for the crosses."""
    handles = []
    for number, run in enumerate(runs):
        colour, dash = _line_style(number)
        handles.append(Line2D([], [], color=colour, linestyle=dash, linewidth=2, label=run.name))
    keys = [QUANTITIES[name].key for name in names]
    if any(key in run.train and key in run.valid for run in runs for key in keys):
        handles.append(Line2D([], [], color=INK, linewidth=1.1, alpha=TRAINING_ALPHA, label="training"))
        handles.append(Line2D([], [], color=INK, linewidth=1.6, marker="o", markersize=3, label="validation"))
    if any(_validation_warnings(run, key) for run in runs for key in keys):
        handles.append(Line2D([], [], color=INK, label="warning", **WARNING_MARKER))
    return handles


def _legend_columns(handles: Sequence[Line2D], inches: float) -> int:
    """Return the number of columns: one per name if all fit in a row, else the number that always fits."""
    widths = [len(str(handle.get_label())) + HANDLE_CHARACTERS for handle in handles]
    available = inches * CHARACTERS_PER_INCH
    return len(widths) if sum(widths) <= available else max(1, int(available / max(widths)))
