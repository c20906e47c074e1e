"""Tables in Markdown."""

from __future__ import annotations

from collections.abc import Sequence


def table(columns: Sequence[str], rows: Sequence[Sequence[str]], *, texts: int) -> str:
    """Return a table whose first `texts` columns are text and whose others are numbers."""
    marks = ["---"] * texts + ["---:"] * (len(columns) - texts)
    return "".join(f"| {' | '.join(cells)} |\n" for cells in (columns, marks, *rows))


def number(value: float | None, decimals: int) -> str:
    """Return a number, or a dash for None."""
    return "-" if value is None else f"{value:,.{decimals}f}"
