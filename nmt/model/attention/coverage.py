"""The loss that keeps attention from looking twice at the same place.

B sentences, T target length, S source length.
"""

from __future__ import annotations

from torch import Tensor


def coverage_loss(weights: Tensor, target_mask: Tensor) -> Tensor:
    """Sum min(a_ts, c_ts) over all real target positions t and source positions s (See et al. 2017, eq. 12).

    c_ts, the coverage, is the sum of the weights a_1s to a_(t-1)s. The loss of a target position lies between 0 and 1.

    Args:
        weights: Attention weights a [B, T, S], zero on source padding.
        target_mask: True at real target positions [B, T].
    """
    real = weights * target_mask.unsqueeze(-1)
    return real.minimum(real.cumsum(1) - real).sum()
