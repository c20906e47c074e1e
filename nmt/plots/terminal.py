"""Attention as text: one row per target unit, two terminal columns per source unit.

The labels of the columns are vertical. Shades show the size of a weight without colours. On a terminal with colours,
the largest weight of each row is highlighted.
"""

from __future__ import annotations

import unicodedata
from itertools import zip_longest

from rich.cells import cell_len
from rich.style import Style
from rich.text import Text

from nmt.inference.attention_map import AttentionMap, Units
from nmt.terminal import on_one_line

CELL_WIDTH = 2
"""Terminal columns."""
MAX_LABEL_LENGTH = 16
SHADES = ((0.05, "·"), (0.15, "░"), (0.3, "▒"), (0.5, "▓"), (0.75, "█"))
"""The smallest weight of each shade, and its symbol."""
LEGEND = "  ".join(f"{CELL_WIDTH * shade} ≥ {smallest}" for smallest, shade in SHADES)

LARGEST = Style(color="cyan", bold=True)
OTHER = Style(color="blue")
FAINT = Style(dim=True)


def text_heatmap(attention: AttentionMap, *, width: int | None) -> list[Text]:
    """Return the lines of a heat map.

    Args:
        attention: Weights and their units.
        width: Width of the terminal in columns. A wider map is split into panels below each other, each with all
            rows. None never splits it.
    """
    margin = max(cell_len(_shorten(text)) for text in attention.target.texts) + 1
    columns = attention.weights.shape[1]
    panel_size = columns if width is None else max((width - margin) // CELL_WIDTH, 1)
    lines: list[Text] = []
    for first in range(0, columns, panel_size):
        if first:
            lines.append(Text())
        lines += _panel(attention, range(first, min(first + panel_size, columns)), margin)
    return lines


def _panel(attention: AttentionMap, columns: range, margin: int) -> list[Text]:
    """Return the lines of a map that shows only `columns`."""
    lines = [Text(" " * margin).append_text(row) for row in _vertical_labels(attention.source, columns)]
    for position, (text, weights) in enumerate(zip(attention.target.texts, attention.weights, strict=True)):
        shown = _shorten(text)
        label = " " * (margin - 1 - cell_len(shown)) + shown + " "
        row = Text(label, style=FAINT if position in attention.target.ends else "")
        largest = int(weights.argmax())
        for column in columns:
            row.append(CELL_WIDTH * _shade(float(weights[column])), style=LARGEST if column == largest else OTHER)
        row.rstrip()
        lines.append(row)
    return lines


def _vertical_labels(source: Units, columns: range) -> list[Text]:
    """Return vertical labels, aligned at the bottom."""
    labels = [_graphemes(_shorten(source.texts[column])) for column in columns]
    styles = [FAINT if column in source.ends else Style.null() for column in columns]
    rows = []
    for characters in reversed(list(zip_longest(*map(reversed, labels), fillvalue=""))):
        row = Text()
        for grapheme, style in zip(characters, styles, strict=True):
            row.append(grapheme + " " * (CELL_WIDTH - cell_len(grapheme)), style=style)
        row.rstrip()
        rows.append(row)
    return rows


def _graphemes(text: str) -> list[str]:
    """Split a text into characters, each with its combining marks."""
    graphemes: list[str] = []
    for character in text:
        if graphemes and unicodedata.category(character) in ("Mn", "Me", "Mc", "Cf"):
            graphemes[-1] += character
        else:
            graphemes.append(character)
    return graphemes


def _shade(weight: float) -> str:
    return next((shade for smallest, shade in reversed(SHADES) if weight >= smallest), " ")


def _shorten(text: str) -> str:
    text = on_one_line(text)
    graphemes = _graphemes(text)
    return text if len(graphemes) <= MAX_LABEL_LENGTH else "".join(graphemes[: MAX_LABEL_LENGTH - 1]) + "…"
