"""Tables of plain text."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from rich.cells import cell_len

from nmt.terminal import on_one_line

MARGIN = "  "


def table(rows: Iterable[Sequence[str]]) -> Iterator[str]:
    """Yield the lines of a table: first column left-aligned, others right-aligned. Wide characters count as two."""
    cells = [[on_one_line(cell) for cell in row] for row in rows]
    widths = [max(map(cell_len, column)) for column in zip(*cells, strict=True)]
    for first, *others in cells:
        padded = [" " * (width - cell_len(cell)) + cell for cell, width in zip(others, widths[1:], strict=True)]
        yield MARGIN.join([first + " " * (widths[0] - cell_len(first)), *padded]).rstrip()
