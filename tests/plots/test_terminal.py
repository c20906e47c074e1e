"""Attention as text: shape and alignment of the map."""

from __future__ import annotations

from rich.cells import cell_len

from nmt.plots.terminal import text_heatmap
from small_maps import small_map


def test_text_maps_stay_within_the_screen_and_lose_nothing() -> None:
    attention = small_map(*(f"word{number}" for number in range(30)))
    wide = text_heatmap(attention, width=None)
    narrow = text_heatmap(attention, width=40)
    assert max(line.cell_len for line in wide) > 60
    assert max(line.cell_len for line in narrow) <= 40
    assert "".join(line.plain for line in narrow).count("█") == "".join(line.plain for line in wide).count("█") == 62


def test_text_maps_keep_their_columns_with_wide_and_combining_characters() -> None:
    lines = [line.plain for line in text_heatmap(small_map("你好", "e\u0301a", "[bold]"), width=None)]
    rows = lines[-4:]
    margin = cell_len("[bold] ")
    for place, row in enumerate(rows):
        filled = row.index("█")
        assert cell_len(row[:filled]) == margin + 2 * place
    assert "[bold]" in rows[2]
    assert cell_len(lines[-6][: lines[-6].index("你")]) == margin
