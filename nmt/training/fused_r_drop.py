"""The loss of R-Drop, fused with the output layer.

N positions, n positions of a chunk, O output size, V vocabulary.

Two passes over the same batch with different dropout give distributions p1 and p2 for each position (Wu et al. 2021,
eq. 1 to 3). The loss is half the paper's loss, so that loss and gradient have the scale of ordinary training:

    1/2 (l(p1) + l(p2)) + alpha/4 (KL(p1 || p2) + KL(p2 || p1)),

where l is the label-smoothed cross-entropy of `fused_loss.py`. As there, a chunk of positions goes through the forward
and backward computation before the next chunk, so the distributions of one chunk exist at a time. With d = log p1 -
log p2, the gradient of both divergences with respect to the logits of p1 is p1 (d - KL(p1 || p2)) + p1 - p2.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor
from torch.autograd.function import FunctionCtx

from nmt.model.layers import fill
from nmt.training.fused_loss import chunk_rows

_CHUNK_ELEMENTS = 2_000_000
"""Number of logits of one pass in memory at once on a CPU."""
_CHUNK_ELEMENTS_GPU = 32_000_000
"""The same on other devices, where few large operations are faster than many small ones."""


class RDropSums(NamedTuple):
    """Sums over the positions of a batch."""

    loss: Tensor
    """Differentiable."""
    negative_log_likelihood: Tensor
    """-log p(target), mean of both passes, detached."""
    divergence: Tensor
    """Mean of the two Kullback-Leibler divergences, detached."""


class _LogitsChunk(NamedTuple):
    """The loss of a chunk and its gradient."""

    loss: Tensor
    negative_log_likelihood: Tensor
    divergence: Tensor
    gradient: Tensor
    """With respect to the logits of both passes [2, n, V]."""


def _chunk(logits: Tensor, targets: Tensor, smoothing: float, alpha: float) -> _LogitsChunk:
    """Compute the loss of `logits` [2, n, V] against `targets` [n]."""
    log_probs = torch.log_softmax(logits, dim=-1)  # [2, n, V]
    probs = log_probs.exp()
    index = targets.view(1, -1, 1).expand(2, -1, 1)  # [2, n, 1]
    nll = -log_probs.gather(2, index).sum()
    uniform = -log_probs.mean(-1).sum()
    log_ratio = log_probs[0] - log_probs[1]  # [n, V]
    forward = (probs[0] * log_ratio).sum(-1, keepdim=True)  # KL(p1 || p2) [n, 1]
    reverse = -(probs[1] * log_ratio).sum(-1, keepdim=True)  # KL(p2 || p1) [n, 1]
    difference = probs[0] - probs[1]  # [n, V]
    of_divergence = torch.stack(
        [probs[0] * (log_ratio - forward) + difference, -probs[1] * (log_ratio + reverse) - difference]
    )  # [2, n, V]
    # The gradient of the cross-entropy, p - (smoothed target), in the memory of `probs`.
    gradient = probs.sub_(smoothing / logits.shape[-1])
    gradient.scatter_add_(2, index, gradient.new_full(index.shape, smoothing - 1))
    gradient.mul_(0.5).add_(of_divergence, alpha=alpha / 4)
    divergence = (forward.sum() + reverse.sum()) / 2
    loss = ((1 - smoothing) * nll + smoothing * uniform) / 2 + alpha / 2 * divergence
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
            flat = fill(inputs[:, start : start + rows], rows).reshape(-1, inputs.shape[-1])  # [2 * n, O]
            products = torch.addmm(offset, flat, matrix.t()).to(weight.dtype)  # [2 * n, V]
            logits = products.view(2, rows, len(weight))[:, :count]  # [2, count, V]
            chunk = _chunk(logits, targets[start : start + rows], smoothing, alpha)
            sums += torch.stack([chunk.loss, chunk.negative_log_likelihood, chunk.divergence])
            gradient = fill(chunk.gradient.to(dtype), rows).flatten(0, 1)  # [2 * n, V]
            grad_states[:, start : start + rows] = (gradient @ matrix).view(2, rows, -1)[:, :count]
            grad_weight += gradient.t() @ flat  # [V, O]
            grad_bias += chunk.gradient.sum((0, 1))  # [V]
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
    """Compute the summed loss of two passes over the same targets, and its gradients in the same pass.

    Args:
        states: Inputs of the output layer at real positions, of both passes [2, N, O].
        weight: Output matrix [V, O].
        bias: Output bias [V].
        targets: Ids of the target pieces [N].
        smoothing: Probability mass spread evenly over the vocabulary.
        alpha: Weight of the divergence.
        dtype: Number format of the matrix products: bfloat16, float32 or float64. Everything else is in the format of
            the weights.
    """
    loss, nll, divergence = _RDropLoss.apply(  # type: ignore[no-untyped-call]
        states, weight, bias, targets, smoothing, alpha, dtype
    )
    return RDropSums(loss, nll.detach(), divergence.detach())
