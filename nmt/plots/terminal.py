"""Attention as text: a row for each target unit, two columns of the screen for each source unit.

The labels of the columns run downwards. Shades say how large a weight is, so nothing is lost where there are no
colours; on a screen that has them the largest weight of each row stands out.
"""

from __future__ import annotations

import unicodedata
from itertools import zip_longest

from rich.cells import cell_len
from rich.style import Style
from rich.text import Text

from nmt.inference.attention_map import AttentionMap, Units

CELL = 2
"""Columns of the screen."""
LONGEST_LABEL = 16
SHADES = ((0.05, "·"), (0.15, "░"), (0.3, "▒"), (0.5, "▓"), (0.75, "█"))
"""The least weight that each stands for."""
LEGEND = "  ".join(f"{CELL * shade} from {least}" for least, shade in SHADES)

LARGEST = Style(color="cyan", bold=True)
OTHER = Style(color="blue")
FAINT = Style(dim=True)


def text_map(attention: AttentionMap, *, width: int | None) -> list[Text]:
    """Return the lines of a heat map.

    Args:
        attention: The weights and what they are between.
        width: Columns of the screen. What does not fit goes into further maps below, each with all rows. None: all
            columns beside each other.
    """
    margin = max(cell_len(_shorten(text)) for text in attention.target.texts) + 1
    columns = attention.weights.shape[1]
    fitting = columns if width is None else max((width - margin) // CELL, 1)
    lines: list[Text] = []
    for first in range(0, columns, fitting):
        if first:
            lines.append(Text())
        lines += _panel(attention, range(first, min(first + fitting, columns)), margin)
    return lines


def _panel(attention: AttentionMap, columns: range, margin: int) -> list[Text]:
    """Return the lines of a map of some columns."""
    lines = [Text(" " * margin).append_text(row) for row in _downwards(attention.source, columns)]
    for place, (text, weights) in enumerate(zip(attention.target.texts, attention.weights, strict=True)):
        shown = _shorten(text)
        label = " " * (margin - 1 - cell_len(shown)) + shown + " "
        row = Text(label, style=FAINT if place in attention.target.ends else "")
        largest = int(weights.argmax())
        for column in columns:
            row.append(CELL * _shade(float(weights[column])), style=LARGEST if column == largest else OTHER)
        row.rstrip()
        lines.append(row)
    return lines


def _downwards(source: Units, columns: range) -> list[Text]:
    """Return labels that run downwards and end on the same line."""
    letters = [_letters(_shorten(source.texts[column])) for column in columns]
    styles = [FAINT if column in source.ends else Style.null() for column in columns]
    rows = []
    for across in reversed(list(zip_longest(*map(reversed, letters), fillvalue=""))):
        row = Text()
        for letter, style in zip(across, styles, strict=True):
            row.append(letter + " " * (CELL - cell_len(letter)), style=style)
        row.rstrip()
        rows.append(row)
    return rows


def _letters(text: str) -> list[str]:
    """Return the letters of a text, each with the marks that are set above or below it."""
    letters: list[str] = []
    for character in text:
        if letters and unicodedata.category(character) in ("Mn", "Me", "Mc", "Cf"):
            letters[-1] += character
        else:
            letters.append(character)
    return letters


def _shade(weight: float) -> str:
    return next((shade for least, shade in reversed(SHADES) if weight >= least), " ")


def _shorten(text: str) -> str:
    letters = _letters(text)
    return text if len(letters) <= LONGEST_LABEL else "".join(letters[: LONGEST_LABEL - 1]) + "…"
