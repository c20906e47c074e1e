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
    """Zero features with `probability` while training.

    `per_row` drops whole vectors (the last dimension together). `variational` drops the same features at every
    position of a sequence (the last but one dimension; Gal & Ghahramani 2016).
    """

    def __init__(self, probability: float, *, per_row: bool = False, variational: bool = False) -> None:
        super().__init__()
        self.probability = probability
        self.per_row = per_row
        self.variational = variational

    def forward(self, values: Tensor) -> Tensor:
        """Return `values`, of any shape, with some features (or rows) zeroed and the others scaled up."""
        if not self.training or self.probability == 0.0:
            return values
        if values.device.type != "cpu" and not self.per_row and not self.variational:
            return F.dropout(values, self.probability)
        kept = self.mask(values, values.shape)
        assert kept is not None
        return values * kept

    def mask(self, values: Tensor, shape: tuple[int, ...]) -> Tensor | None:
        """Draw what values of `shape`, with device and type of `values`, are to be multiplied by.

        Returns:
            A mask that broadcasts to `shape`; None when nothing is dropped.
        """
        if not self.training or self.probability == 0.0:
            return None
        if self.per_row:
            shape = (*shape[:-1], 1)
        if self.variational and len(shape) > 2:
            shape = (*shape[:-2], 1, shape[-1])
        if values.device.type == "cpu":
            return keep_mask(shape, self.probability, dtype=values.dtype)
        return F.dropout(values.new_ones(shape), self.probability)

    def extra_repr(self) -> str:
        return f"{self.probability}, per_row={self.per_row}, variational={self.variational}"
