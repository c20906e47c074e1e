"""The loss of R-Drop, fused with the output layer.   N positions, O output size, V vocabulary.

Two passes over the same batch with different dropout give distributions p1 and p2 for each position (Wu et al. 2021,
eq. 1 to 3). Half the paper's loss, so that loss and gradient have the scale of plain training, is

    1/2 (l(p1) + l(p2)) + alpha/4 (KL(p1 || p2) + KL(p2 || p1)),

where l is the label-smoothed cross-entropy of `loss.py`. As there, a chunk of positions goes through everything,
both ways, before the next one: never more than one chunk of the two distributions exists. With d = log p1 - log p2 the
gradient of both divergences with respect to the logits of p1 is p1 (d - KL(p1 || p2)) + p1 - p2.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor
from torch.autograd.function import FunctionCtx

from nmt.model.layers import fill
from nmt.training.fused_loss import chunk_rows

_CHUNK_ELEMENTS = 2_000_000
"""Logits of one pass held at once on a processor."""
_CHUNK_ELEMENTS_GPU = 32_000_000
"""Elsewhere, where few large operations are faster than many small ones."""


class RDropSums(NamedTuple):
    """Sums over the positions of a batch."""

    loss: Tensor
    """Differentiable."""
    negative_log_likelihood: Tensor
    """-log p(target), the mean of both passes, detached."""
    divergence: Tensor
    """Mean of the two Kullback-Leibler divergences, detached."""


class _LogitsChunk(NamedTuple):
    """Sums of a chunk, and the gradient of its loss with respect to the logits of both passes [2, n, V]."""

    loss: Tensor
    negative_log_likelihood: Tensor
    divergence: Tensor
    gradient: Tensor


def _chunk(logits: Tensor, targets: Tensor, smoothing: float, alpha: float) -> _LogitsChunk:
    """Compute the loss of `logits` [2, n, V] against `targets` [n]."""
    log_probs = torch.log_softmax(logits, dim=-1)
    probs = log_probs.exp()
    index = targets.view(1, -1, 1).expand(2, -1, 1)
    nll = -log_probs.gather(2, index).sum()
    smooth = -log_probs.mean(-1).sum()
    difference = log_probs[0] - log_probs[1]
    first = (probs[0] * difference).sum(-1, keepdim=True)
    second = -(probs[1] * difference).sum(-1, keepdim=True)
    apart = probs[0] - probs[1]
    pull = torch.stack([probs[0] * (difference - first) + apart, -probs[1] * (difference + second) - apart])
    gradient = probs.sub_(smoothing / logits.shape[-1])
    gradient.scatter_add_(2, index, gradient.new_full(index.shape, smoothing - 1))
    gradient.mul_(0.5).add_(pull, alpha=alpha / 4)
    divergence = (first.sum() + second.sum()) / 2
    loss = ((1 - smoothing) * nll + smoothing * smooth) / 2 + alpha / 2 * divergence
    return _LogitsChunk(loss, nll / 2, divergence, gradient)


class _RDropLoss(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: FunctionCtx,
        states: Tensor,
        weight: Tensor,
        bias: Tensor,
        targets: Tensor,
        smoothing: float,
        alpha: float,
        dtype: torch.dtype,
    ) -> tuple[Tensor, Tensor, Tensor]:
        inputs, matrix, offset = states.to(dtype), weight.to(dtype), bias.to(dtype)
        grad_states = torch.empty_like(inputs)
        grad_weight = torch.zeros_like(weight)
        grad_bias = torch.zeros_like(bias)
        sums = weight.new_zeros(3)
        limit = _CHUNK_ELEMENTS if states.device.type == "cpu" else _CHUNK_ELEMENTS_GPU
        rows = chunk_rows(len(targets), limit=limit // len(weight), device=states.device, dtype=dtype)
        for start in range(0, len(targets), rows):
            count = min(rows, len(targets) - start)
            flat = fill(inputs[:, start : start + rows], rows).reshape(-1, inputs.shape[-1])
            logits = torch.addmm(offset, flat, matrix.t()).to(weight.dtype).view(2, rows, len(weight))[:, :count]
            chunk = _chunk(logits, targets[start : start + rows], smoothing, alpha)
            sums += torch.stack([chunk.loss, chunk.negative_log_likelihood, chunk.divergence])
            gradient = fill(chunk.gradient.to(dtype), rows).flatten(0, 1)
            grad_states[:, start : start + rows] = (gradient @ matrix).view(2, rows, -1)[:, :count]
            grad_weight += gradient.t() @ flat
            grad_bias += chunk.gradient.sum((0, 1))
        ctx.save_for_backward(grad_states, grad_weight, grad_bias)
        return sums[0].clone(), sums[1].clone(), sums[2].clone()

    @staticmethod
    def backward(ctx: FunctionCtx, *grads: Tensor) -> tuple[Tensor | None, ...]:
        grad_states, grad_weight, grad_bias = ctx.saved_tensors  # type: ignore[attr-defined]
        scale = grads[0]
        scaled = grad_states * scale.to(grad_states.dtype), grad_weight * scale, grad_bias * scale
        return *scaled, None, None, None, None


def r_drop_loss(
    states: Tensor,
    weight: Tensor,
    bias: Tensor,
    targets: Tensor,
    *,
    smoothing: float,
    alpha: float,
    dtype: torch.dtype,
) -> RDropSums:
    """Sum the loss of the states of two passes against the same targets.

    Args:
        states: Of real positions only [2, N, O].
        weight: Output matrix [V, O].
        bias: Output bias [V].
        targets: Ids of the right pieces [N].
        smoothing: Probability spread evenly over the vocabulary.
        alpha: Weight of the divergence.
        dtype: Of the matrix products: bfloat16, float32 or float64. All else is in the weights' own.
    """
    loss, nll, divergence = _RDropLoss.apply(  # type: ignore[no-untyped-call]
        states, weight, bias, targets, smoothing, alpha, dtype
    )
    return RDropSums(loss, nll.detach(), divergence.detach())
