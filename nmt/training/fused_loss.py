"""Label-smoothed cross-entropy, fused with the output layer.   N positions, O output size, V vocabulary.

With target t, smoothing e and logits z = W s + b the loss of a position is (Szegedy et al. 2016, with the
smoothing mass spread over the whole vocabulary)

    loss = (1 - e) * (lse(z) - z_t) + e * (lse(z) - mean(z)).

The textbook computes all N x V float logits, their log-softmax and again as many gradients. Here a chunk of
positions at a time goes through product, softmax and both backward products while it is in cache; only the
probabilities of one chunk exist at once. The smoothing terms need no pass of their own: the sum of a position's
logits is s . (sum of W's rows) + sum(b), and their gradient is the same for every vocabulary entry.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor
from torch.autograd.function import FunctionCtx
from torch.nn import functional as F

from nmt.device import plans_shapes_slowly
from nmt.model.layers import fill, round_up

_CHUNK_ELEMENTS = 4_000_000
"""Logits held at once on a processor."""
_CHUNK_ELEMENTS_GPU = 64_000_000
"""Elsewhere, where few large operations are faster than many small ones."""


class LossSums(NamedTuple):
    """Sums over the positions of a batch."""

    loss: Tensor
    """Label-smoothed loss, differentiable."""
    negative_log_likelihood: Tensor
    """-log p(target), detached: its mean is the logged loss, its exponential the perplexity."""


class _FusedLoss(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: FunctionCtx,
        states: Tensor,
        weight: Tensor,
        bias: Tensor,
        targets: Tensor,
        smoothing: float,
        dtype: torch.dtype,
    ) -> tuple[Tensor, Tensor]:
        vocabulary = weight.shape[0]
        share = smoothing / vocabulary
        inputs, matrix, offset = states.to(dtype), weight.to(dtype), bias.to(dtype)
        row_sum, bias_sum = weight.sum(0), bias.sum()
        grad_states = torch.empty_like(inputs)
        grad_weight = torch.zeros_like(weight)
        grad_bias = torch.zeros_like(bias)
        nll = weight.new_zeros(())
        loss = weight.new_zeros(())
        limit = _CHUNK_ELEMENTS if states.device.type == "cpu" else _CHUNK_ELEMENTS_GPU
        rows = chunk_rows(len(targets), limit=limit // vocabulary, device=states.device, dtype=dtype)
        ones = inputs.new_ones(1, rows)
        for start in range(0, len(targets), rows):
            count = min(rows, len(targets) - start)
            part = fill(inputs[start : start + rows], rows)
            target = F.pad(targets[start : start + rows], (0, rows - count)).unsqueeze(1)
            logits = torch.addmm(offset, part, matrix.t())
            picked = logits.gather(1, target).to(weight.dtype)
            probs = torch.softmax(logits, dim=-1)
            # Clamped so that a target of probability zero costs much instead of infinitely much.
            right = probs.gather(1, target)
            log_prob = right.to(weight.dtype).clamp_min(1e-37).log_()
            mean_logit = (part.to(weight.dtype) @ row_sum + bias_sum).unsqueeze(1) / vocabulary
            nll -= log_prob[:count].sum()
            loss += (-(1 - smoothing) * log_prob + smoothing * (picked - log_prob - mean_logit))[:count].sum()
            probs.scatter_(1, target, right - (1 - smoothing))
            probs[count:] = 0
            grad_states[start : start + rows] = torch.addmm(row_sum.to(dtype), probs, matrix, beta=-share)[:count]
            grad_weight += probs.t() @ part
            grad_bias += (ones @ probs).squeeze(0)
        grad_weight -= share * inputs.sum(0, dtype=weight.dtype)
        grad_bias -= share * len(targets)
        ctx.save_for_backward(grad_states, grad_weight, grad_bias)
        return loss, nll

    @staticmethod
    def backward(ctx: FunctionCtx, *grads: Tensor) -> tuple[Tensor | None, ...]:
        grad_states, grad_weight, grad_bias = ctx.saved_tensors  # type: ignore[attr-defined]
        scale = grads[0]
        return grad_states * scale.to(grad_states.dtype), grad_weight * scale, grad_bias * scale, None, None, None


def fused_loss(
    states: Tensor, weight: Tensor, bias: Tensor, targets: Tensor, *, smoothing: float, dtype: torch.dtype
) -> LossSums:
    """Sum the loss of `states` [N, O] against `targets` [N] under the output layer `weight` [V, O], `bias` [V].

    Args:
        states: Attentional states of real positions only (no padding).
        weight: Output matrix.
        bias: Output bias.
        targets: Ids of the right pieces.
        smoothing: Probability spread evenly over the vocabulary.
        dtype: Of the matrix products: bfloat16, float32 or float64. Gradients are summed in the weights' own.
    """
    loss, nll = _FusedLoss.apply(states, weight, bias, targets, smoothing, dtype)  # type: ignore[no-untyped-call]
    return LossSums(loss, nll.detach())


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
