"""Attention as a heat map: one row per target unit, one column per source unit, as in Bahdanau et al. (2015)."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.collections import QuadMesh
from matplotlib.figure import Figure
from rich.cells import cell_len

from nmt.data.tokenizer import WORD_START
from nmt.inference.attention_map import AttentionMap
from nmt.plots.canvas import FAINT_INK, ImageFormat, plot_style, render
from nmt.plots.fonts import VIEWER_FAMILY

CELL = 0.25
"""Inches."""
BAR_WIDTH, BAR_HEIGHT, BAR_GAP = 0.13, 1.5, 0.25
"""Size of the colour bar and its distance from the map, in inches."""
MAX_LABEL_LENGTH = 28
WIDE_CHARACTER = 4.0
"""Points by which a wide character without a font is wider than matplotlib measures it."""


def draw_heatmap(attention: AttentionMap, *, families: Sequence[str], title: str, format: ImageFormat) -> bytes:
    """Draw the attention of one line.

    Args:
        attention: Weights and their units.
        families: Font families that cover the characters of the units.
        title: Text above the map. May be empty.
        format: Image format.

    Returns:
        The bytes of an image file.
    """
    rows, columns = attention.weights.shape
    width, height = columns * CELL, rows * CELL
    with plot_style(families):
        figure = Figure(figsize=(width, height))
        axes = figure.add_axes((0.0, 0.0, 1.0, 1.0))
        mesh = _draw_cells(axes, attention)
        _draw_labels(axes, attention, viewer_fonts=VIEWER_FAMILY in families)
        bar_height = min(BAR_HEIGHT, height)
        bar = figure.add_axes(
            (1 + BAR_GAP / width, 1 - bar_height / height, BAR_WIDTH / width, bar_height / height)  # right of the map
        )
        figure.colorbar(mesh, cax=bar, ticks=[0, 0.5, 1])
        bar.set_ylabel("attention weight", fontsize=8)
        bar.tick_params(labelsize=8, length=2, color=FAINT_INK)
        bar.spines["outline"].set_visible(False)
        if title:
            axes.set_title(title, loc="left", fontsize=10, fontweight="bold", pad=4)
        return render(figure, format=format)


def _draw_cells(axes: Axes, attention: AttentionMap) -> QuadMesh:
    """Draw the cells as shapes instead of an image, so that an SVG is sharp at every size."""
    weights = np.clip(attention.weights, 0.0, 1.0)
    mesh = axes.pcolormesh(weights, cmap="Blues", vmin=0.0, vmax=1.0, edgecolors="white", linewidth=0.8)
    axes.invert_yaxis()
    axes.set_xlim(0, weights.shape[1])
    for spine in axes.spines.values():
        spine.set_linewidth(0.6)
    return mesh


def _draw_labels(axes: Axes, attention: AttentionMap, *, viewer_fonts: bool) -> None:
    """Draw the units along both axes.

    Args:
        axes: Where the cells are.
        attention: The units.
        viewer_fonts: Whether the viewer selects fonts. Wide characters then need more space than matplotlib measures.
    """
    axes.xaxis.tick_top()
    axes.xaxis.set_label_position("top")
    sources, targets = ([short_label(text) for text in one.texts] for one in (attention.source, attention.target))
    axes.set_xticks(np.arange(attention.weights.shape[1]) + 0.5, sources)
    axes.set_yticks(np.arange(attention.weights.shape[0]) + 0.5, targets)
    axes.tick_params(length=0, pad=3)
    for text in axes.get_xticklabels():
        text.set(rotation=55, ha="left", va="bottom", rotation_mode="anchor")
    for units, labels in ((attention.source, axes.get_xticklabels()), (attention.target, axes.get_yticklabels())):
        for position in units.ends:
            labels[position].set_color(FAINT_INK)
    for set_label, name, shown in ((axes.set_xlabel, "source", sources), (axes.set_ylabel, "translation", targets)):
        wide = max(cell_len(one) - len(one) for one in shown) if viewer_fonts else 0
        set_label(name, fontsize=8, labelpad=6 + WIDE_CHARACTER * wide)


def short_label(text: str) -> str:
    """Return the label of a unit: cut to `MAX_LABEL_LENGTH`, with "_" for the subword model's space symbol."""
    text = text.replace(WORD_START, "_")
    return text if len(text) <= MAX_LABEL_LENGTH else text[: MAX_LABEL_LENGTH - 1] + "…"
