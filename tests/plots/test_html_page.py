"""Attention as an HTML page."""

from __future__ import annotations

import re

from nmt.plots.html_page import HtmlEntry, attention_page
from small_maps import small_map


def test_a_page_escapes_what_it_shows() -> None:
    hostile = "<script>alert('&')</script>\""
    entry = HtmlEntry(1, hostile, hostile, small_map(hostile), hostile)
    text = "".join(attention_page([entry], source_language='"><i>', target_language="de"))
    assert "<script" not in text
    assert "<i>" not in text
    assert "&lt;script&gt;" in text


def test_a_page_has_a_cell_for_each_weight_and_numbers_for_the_visible_ones() -> None:
    attention = small_map("a", "b", weights=[[0.7, 0.3, 0.0], [0.004, 0.006, 0.99], [0.25, 0.5, 0.25]])
    text = "".join(
        attention_page([HtmlEntry(7, "a b", "a b", attention, "")], source_language="en", target_language="de")
    )
    cells = re.findall(r'<td(?: style="--w: ([\d.]+)" title="([^"]*)")?></td>', text.split("<tbody")[1])
    assert [weight for weight, _ in cells] == ["0.70", "0.30", "", "", "0.01", "0.99", "0.25", "0.50", "0.25"]
    assert cells[1][1] == "a ← b: 0.30"
    assert text.count('class="end"') == 2
