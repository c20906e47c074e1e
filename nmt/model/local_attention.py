"""Local attention: a window over the source around a centre p (Luong et al. 2015, section 3.2).

B sentences, Q queries each, S source length, N heads, R = B x N rows, H query size, D half-width.

Source positions are counted from 0, and the length of a sentence is the number of its real positions, the end mark
among them: it has a state like the others, and attention may have to rest on it. A window holds the positions s with
|s - p| <= D; attention is a softmax over these alone. Scores outside are masked, not skipped: every sentence and
query has a centre of its own, and one product over all positions is faster than gathering from many places.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor, nn

from nmt.model.linear import Linear


class Windows(NamedTuple):
    """Where queries may look."""

    visible: Tensor
    """True at the real positions within the window [R, Q, S]; at least one for each query."""
    bell: Tensor | None
    """What the weights are multiplied by [R, Q, S], float32; None for nothing."""


class MonotonicWindow(nn.Module):
    """Local-m: the centre is the target position itself, p = t.

    A target that is longer than its source by more than D would leave an empty window, for which the paper has no rule;
    from there on the window stays at the last source position: p = min(t, length - 1 + D).
    """

    def __init__(self, *, half_width: int) -> None:
        super().__init__()
        self.half_width = half_width

    def forward(self, queries: Tensor, mask: Tensor, positions: Tensor | None) -> Windows:
        """Return the windows of queries at `positions` [B, Q]; real source positions are True in `mask` [B, S]."""
        assert positions is not None
        last = mask.sum(1, keepdim=True) - 1
        centres = torch.minimum(positions, last + self.half_width)
        distances = _distances(centres, mask)
        return Windows((distances.abs() <= self.half_width) & mask.unsqueeze(1), None)


class PredictiveWindow(nn.Module):
    """Local-p: the centre is p = length * sigmoid(v . tanh(W q)) (eq. 9).

    The weights are multiplied by a bell exp(-(s - p)^2 / (2 sigma^2)) with sigma = D/2 (eq. 10) and not normalised
    again, as in the paper: they sum to less than 1. It is through the bell that the gradient reaches p. Each head has a
    vector v, and so a centre, of its own.
    """

    def __init__(self, *, query_size: int, heads: int, half_width: int) -> None:
        super().__init__()
        self.half_width = half_width
        self.heads = heads
        self.projection = Linear(query_size, query_size, bias=False)
        self.vector = Linear(query_size, heads, bias=False)

    def forward(self, queries: Tensor, mask: Tensor, positions: Tensor | None) -> Windows:
        """Return the windows of `queries` [B, Q, H]; real source positions are True in `mask` [B, S]."""
        logits = self.vector(torch.tanh(self.projection(queries))).float()
        centres = torch.sigmoid(logits) * mask.sum(1).view(-1, 1, 1)
        if self.heads > 1:
            mask = mask.repeat_interleave(self.heads, dim=0)
        distances = _distances(centres.transpose(1, 2).flatten(0, 1), mask)
        visible = (distances.abs() <= self.half_width) & mask.unsqueeze(1)
        return Windows(visible, torch.exp(distances.square() * (-2 / self.half_width**2)))


def _distances(centres: Tensor, mask: Tensor) -> Tensor:
    """Return s - p [R, Q, S] for centres p [R, Q]."""
    return torch.arange(mask.shape[-1], device=mask.device) - centres.unsqueeze(-1)
