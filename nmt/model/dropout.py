"""Dropout whose masks cost little on a processor.

``torch``'s own dropout draws one random number for each feature, which on a CPU takes longer than the layer around
it. Here one 64-bit draw serves eight features, so that probabilities are multiples of 1/256; the kept features are
scaled by the exact inverse, so that the expectation is unchanged (Srivastava et al. 2014).
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

_LEVELS = 256


def keep_mask(shape: torch.Size | tuple[int, ...], probability: float, *, dtype: torch.dtype) -> Tensor:
    """Draw a mask on the CPU: 0 with `probability` (rounded to 1/256), else the inverse of the kept share."""
    count = 1
    for size in shape:
        count *= size
    threshold = min(max(round(probability * _LEVELS), 1), _LEVELS - 1)
    words = torch.empty((count + 7) // 8, dtype=torch.int64).random_(-(2**63), None)
    kept = words.view(torch.uint8)[:count].view(shape) >= threshold
    return kept.to(dtype).mul_(_LEVELS / (_LEVELS - threshold))


class Dropout(nn.Module):
    """Zero features with `probability` while training; `per_row` drops whole vectors (the last dimension together)."""

    def __init__(self, probability: float, *, per_row: bool = False) -> None:
        super().__init__()
        self.probability = probability
        self.per_row = per_row

    def forward(self, values: Tensor) -> Tensor:
        """Return `values`, of any shape, with some features (or rows) zeroed and the others scaled up."""
        if not self.training or self.probability == 0.0:
            return values
        shape = (*values.shape[:-1], 1) if self.per_row else values.shape
        if values.device.type == "cpu":
            return values * keep_mask(shape, self.probability, dtype=values.dtype)
        return (
            values * F.dropout(values.new_ones(shape), self.probability)
            if self.per_row
            else F.dropout(values, self.probability)
        )

    def extra_repr(self) -> str:
        return f"{self.probability}, per_row={self.per_row}"
