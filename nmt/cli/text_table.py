"""Tables of plain text, which can be piped and pasted."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

MARGIN = "  "


def table(rows: Iterable[Sequence[str]]) -> Iterator[str]:
    """Rows in columns: the first to the left, the others to the right. Wide characters count as two."""
    from rich.cells import cell_len

    cells = [list(row) for row in rows]
    widths = [max(map(cell_len, column)) for column in zip(*cells, strict=True)]
    for first, *others in cells:
        padded = [" " * (width - cell_len(cell)) + cell for cell, width in zip(others, widths[1:], strict=True)]
        yield MARGIN.join([first + " " * (widths[0] - cell_len(first)), *padded]).rstrip()
