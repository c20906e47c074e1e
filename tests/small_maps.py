"""Small attention maps for tests."""

from __future__ import annotations

import numpy as np

from nmt.inference.attention_map import END, AttentionMap, Units


def small_map(*source: str, weights: list[list[float]] | None = None) -> AttentionMap:
    units = Units([*source, END], frozenset([len(source)]))
    values = np.eye(len(units.texts)) if weights is None else np.array(weights)
    return AttentionMap(units, units, values.astype(np.float32))
