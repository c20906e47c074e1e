"""How many positions go through the output layer at a time."""

from __future__ import annotations

import torch

from nmt.device import plans_shapes_slowly
from nmt.model.linear import round_up


def chunk_rows(positions: int, *, limit: int, device: torch.device, dtype: torch.dtype) -> int:
    """Return how many positions each chunk has: the same for all, the last one filled up.

    Args:
        positions: Of the whole batch.
        limit: Positions that a chunk should have at most; where shapes are rounded, up to an eighth more.
        device: Where the products are made.
        dtype: Of the products.
    """
    chunks = max(1, -(-positions // max(1, limit)))
    rows = max(1, -(-positions // chunks))
    return round_up(rows) if plans_shapes_slowly(device, dtype) else rows
