"""Products of many positions with a matrix, in few shapes.   N positions, I inputs, O outputs.

oneDNN, which multiplies bf16 on processors, plans a kernel for every shape of operands that it meets. With AMX that
takes from 1 to 30 ms, on one core, and often longer than the product itself; and almost every batch has its own number
of positions. So there the number is rounded up to eight steps between one power of two and the next, with rows of
zeros, an eighth more work at most: then most kernels have been planned before.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from nmt.device import plans_shapes_slowly


def round_up(count: int) -> int:
    """Round to four binary digits, upwards: 8, 9, ... 15, 16, 18, ... 30, 32, 36, ..."""
    step = 1 << max(0, count.bit_length() - 4)
    return -(-count // step) * step


def fill(values: Tensor, rows: int) -> Tensor:
    """Return `values` [..., N, I] with zeros behind them, or themselves when there are `rows` already."""
    missing = rows - values.shape[-2]
    return F.pad(values, (0, 0, 0, missing)) if missing else values


def linear(inputs: Tensor, weight: Tensor, bias: Tensor | None = None) -> Tensor:
    """Return W x + b [..., O] of `inputs` [..., I], as `torch.nn.functional.linear` does.

    Args:
        inputs: x, of any number of positions.
        weight: W [O, I].
        bias: b [O], or None for none.
    """
    dtype = torch.bfloat16 if torch.is_autocast_enabled(inputs.device.type) else inputs.dtype
    if not plans_shapes_slowly(inputs.device, dtype):
        return F.linear(inputs, weight, bias)
    flat = inputs.reshape(-1, inputs.shape[-1])
    products = F.linear(fill(flat, round_up(len(flat))), weight, bias)
    return products[: len(flat)].view(*inputs.shape[:-1], len(weight))


class Linear(nn.Linear):
    """`torch.nn.Linear` by way of `linear`."""

    def forward(self, inputs: Tensor) -> Tensor:
        """Return W x + b [..., O] of `inputs` [..., I]."""
        return linear(inputs, self.weight, self.bias)
