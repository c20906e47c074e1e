"""Label-smoothed cross-entropy, fused with the output layer.

N positions, n positions of a chunk, O output size, V vocabulary.

With target t, smoothing e, logits z = W s + b and lse = logsumexp, the loss of a position is

    loss = (1 - e) * (lse(z) - z_t) + e * (lse(z) - mean(z))

(Szegedy et al. 2016, section 7, with the smoothing mass spread over the whole vocabulary).

The plain computation holds N x V logits, their log-softmax and their gradients. Here a chunk of positions goes through
the product, the softmax and both backward products while it is in cache, and only the probabilities of one chunk exist
at a time. The smoothing terms need no additional pass: the sum of a position's logits is s . (sum of the rows of W) +
sum(b), and their gradient is the same for every vocabulary entry.
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
"""Number of logits in memory at once on a CPU."""
_CHUNK_ELEMENTS_GPU = 64_000_000
"""The same on other devices, where few large operations are faster than many small ones."""


class LossSums(NamedTuple):
    """Sums over the positions of a batch."""

    loss: Tensor
    """Label-smoothed loss, differentiable."""
    negative_log_likelihood: Tensor
    """-log p(target), detached. Its mean is the logged loss, whose exponential is the perplexity."""


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
        row_sum, bias_sum = weight.sum(0), bias.sum()  # [O], []
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
            chunk = fill(inputs[start : start + rows], rows)  # [n, O]
            target = F.pad(targets[start : start + rows], (0, rows - count)).unsqueeze(1)  # [n, 1]
            logits = torch.addmm(offset, chunk, matrix.t())  # [n, V]
            target_logit = logits.gather(1, target).to(weight.dtype)  # [n, 1]
            probs = torch.softmax(logits, dim=-1)  # [n, V]
            target_prob = probs.gather(1, target)  # [n, 1]
            # Clamped, so that the loss of a target with probability zero is finite.
            log_prob = target_prob.to(weight.dtype).clamp_min(1e-37).log_()
            mean_logit = (chunk.to(weight.dtype) @ row_sum + bias_sum).unsqueeze(1) / vocabulary  # [n, 1]
            nll -= log_prob[:count].sum()
            # lse(z) = z_t - log p(t)
            smoothed = -(1 - smoothing) * log_prob + smoothing * (target_logit - log_prob - mean_logit)  # [n, 1]
            loss += smoothed[:count].sum()
            # From here on, `probs` is the gradient of the logits without its constant part, -share.
            probs.scatter_(1, target, target_prob - (1 - smoothing))
            probs[count:] = 0
            grad_states[start : start + rows] = torch.addmm(row_sum.to(dtype), probs, matrix, beta=-share)[:count]
            grad_weight += probs.t() @ chunk  # [V, O]
            grad_bias += (ones @ probs).squeeze(0)  # [V]
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
    """Compute the summed loss of an output layer, and its gradients in the same pass.

    Args:
        states: Inputs of the output layer at real positions [N, O].
        weight: Output matrix [V, O].
        bias: Output bias [V].
        targets: Ids of the target pieces [N].
        smoothing: Probability mass spread evenly over the vocabulary.
        dtype: Number format of the matrix products: bfloat16, float32 or float64. Gradients are summed in the format of
            the weights.
    """
    loss, nll = _FusedLoss.apply(states, weight, bias, targets, smoothing, dtype)  # type: ignore[no-untyped-call]
    return LossSums(loss, nll.detach())


def chunk_rows(positions: int, *, limit: int, device: torch.device, dtype: torch.dtype) -> int:
    """Return the number of positions of each chunk, equal for all. The last chunk is filled up with zeros.

    Args:
        positions: Number of positions of the batch.
        limit: Maximum number of positions of a chunk; up to an eighth more where shapes are rounded up.
        device: Device of the products.
        dtype: Number format of the products.
    """
    chunks = max(1, -(-positions // max(1, limit)))
    rows = max(1, -(-positions // chunks))
    return round_up(rows) if plans_shapes_slowly(device, dtype) else rows
