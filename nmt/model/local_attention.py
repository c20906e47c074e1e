"""Local attention: a window over the source around a center p (Luong et al. 2015, section 3.2).

B sentences, Q queries each, S source length, N heads, P = B * N problems (a sentence and a head each), H query size,
D half-width.

Source positions are counted from 0. The length of a sentence includes EOS, which has a state like the other positions.
A window holds the positions s with |s - p| <= D, and attention is a softmax over these alone. Scores outside the window
are masked, not skipped: each query has its own center, and one product over all positions is faster than gathering
windows.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor, nn

from nmt.model.layers import Linear


class Windows(NamedTuple):
    """The windows of some queries."""

    visible: Tensor
    """True at the real positions within the window [P, Q, S]; at least one for each query."""
    gaussian: Tensor | None
    """Factors of the weights [P, Q, S], float32; None: 1."""


class MonotonicWindow(nn.Module):
    """Local-m: the center is the target position, p = t.

    A target position more than D behind the end of the source would have an empty window, for which the paper has no
    rule. Here the window then stays at the last source position: p = min(t, length - 1 + D).
    """

    def __init__(self, *, half_width: int) -> None:
        super().__init__()
        self.half_width = half_width

    def forward(self, queries: Tensor, mask: Tensor, positions: Tensor | None) -> Windows:
        """Return the windows of queries at `positions` [B, Q]; real source positions are True in `mask` [B, S]."""
        assert positions is not None
        last = mask.sum(1, keepdim=True) - 1  # [B, 1]
        centers = torch.minimum(positions, last + self.half_width)  # [B, Q]
        distances = _distances(centers, mask)  # [B, Q, S]
        return Windows((distances.abs() <= self.half_width) & mask.unsqueeze(1), None)


class PredictiveWindow(nn.Module):
    """Local-p: the center is p = length * sigmoid(v . tanh(W q)) (Luong et al. 2015, eq. 9).

    The weights are multiplied by the Gaussian exp(-(s - p)^2 / (2 sigma^2)) with sigma = D/2 (eq. 10). As in the paper,
    they are not normalized afterwards, so they sum to less than 1. The Gaussian gives p its gradient. Each head has its
    own vector v, and so its own center.
    """

    def __init__(self, *, query_size: int, heads: int, half_width: int) -> None:
        super().__init__()
        self.half_width = half_width
        self.heads = heads
        self.projection = Linear(query_size, query_size, bias=False)
        self.vector = Linear(query_size, heads, bias=False)

    def forward(self, queries: Tensor, mask: Tensor, positions: Tensor | None) -> Windows:
        """Return the windows of `queries` [B, Q, H]; real source positions are True in `mask` [B, S]."""
        logits = self.vector(torch.tanh(self.projection(queries))).float()  # [B, Q, N]
        centers = torch.sigmoid(logits) * mask.sum(1).view(-1, 1, 1)  # [B, Q, N]
        if self.heads > 1:
            mask = mask.repeat_interleave(self.heads, dim=0)  # [P, S]
        distances = _distances(centers.transpose(1, 2).flatten(0, 1), mask)  # [P, Q, S]
        visible = (distances.abs() <= self.half_width) & mask.unsqueeze(1)  # [P, Q, S]
        return Windows(visible, torch.exp(distances.square() * (-2 / self.half_width**2)))


def _distances(centers: Tensor, mask: Tensor) -> Tensor:
    """Return s - p [P, Q, S] for centers p [P, Q]."""
    return torch.arange(mask.shape[-1], device=mask.device) - centers.unsqueeze(-1)  # [P, Q, S]
