"""Attention as a picture."""

from __future__ import annotations

import warnings

from nmt.plots.fonts import BASE_FAMILY
from nmt.plots.heatmap import draw_heatmap
from small_maps import small_map


def test_odd_and_many_labels_make_pictures() -> None:
    for source in (["$x^2$", "<b>", "_", "x" * 200, "\u0301"], [], [f"w{number}" for number in range(40)]):
        for format in ("png", "svg"):
            with warnings.catch_warnings():
                warnings.simplefilter("error")
                assert draw_heatmap(small_map(*source), families=[BASE_FAMILY], title="5$ & 6$", format=format)
