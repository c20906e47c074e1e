"""Log-probabilities of given pieces, fused with the output layer.   N positions, O output size, V vocabulary.

The textbook holds N x V float log-probabilities, and their gradient. Here a chunk of positions at a time goes through
the product and the softmax; the backward pass makes them again, chunk by chunk. Unlike `loss.py` the result is a
number for each position, of which any function can be made.
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.autograd.function import FunctionCtx

from nmt.model.layers import fill
from nmt.training.fused_loss import chunk_rows

_CHUNK_ELEMENTS = 4_000_000
"""Logits held at once."""


class _PickedLogProbs(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: FunctionCtx, states: Tensor, weight: Tensor, bias: Tensor, targets: Tensor, dtype: torch.dtype
    ) -> Tensor:
        inputs, matrix, offset = states.to(dtype), weight.to(dtype), bias.to(dtype)
        normalizers, picked = weight.new_empty(len(targets)), weight.new_empty(len(targets))
        rows = _rows(targets, matrix)
        for start in range(0, len(targets), rows):
            part = slice(start, start + rows)
            logits = _logits(inputs[part], matrix, offset, rows).to(weight.dtype)
            normalizers[part] = logits.logsumexp(1)
            picked[part] = logits.gather(1, targets[part].unsqueeze(1)).squeeze(1)
        ctx.save_for_backward(inputs, matrix, offset, targets, normalizers)
        return picked - normalizers

    @staticmethod
    def backward(ctx: FunctionCtx, *grads: Tensor) -> tuple[Tensor | None, ...]:
        inputs, matrix, offset, targets, normalizers = ctx.saved_tensors  # type: ignore[attr-defined]
        (grad,) = grads
        grad_states = torch.empty_like(inputs)
        grad_weight, grad_bias = grad.new_zeros(matrix.shape), grad.new_zeros(offset.shape)
        rows = _rows(targets, matrix)
        for start in range(0, len(targets), rows):
            part = slice(start, start + rows)
            logits = _logits(inputs[part], matrix, offset, rows).to(grad.dtype)
            # d log p(t) / d z = onehot(t) - p
            slope = logits.sub_(normalizers[part].unsqueeze(1)).exp_().mul_(-grad[part].unsqueeze(1))
            slope.scatter_add_(1, targets[part].unsqueeze(1), grad[part].unsqueeze(1))
            rounded = fill(slope.to(inputs.dtype), rows)
            grad_states[part] = (rounded @ matrix)[: len(slope)]
            grad_weight += rounded.t() @ fill(inputs[part], rows)
            grad_bias += slope.sum(0)
        return grad_states, grad_weight, grad_bias, None, None


def _rows(targets: Tensor, matrix: Tensor) -> int:
    limit = _CHUNK_ELEMENTS // len(matrix)
    return chunk_rows(len(targets), limit=limit, device=matrix.device, dtype=matrix.dtype)


def _logits(states: Tensor, matrix: Tensor, offset: Tensor, rows: int) -> Tensor:
    return torch.addmm(offset, fill(states, rows), matrix.t())[: len(states)]


def picked_log_probs(states: Tensor, weight: Tensor, bias: Tensor, targets: Tensor, *, dtype: torch.dtype) -> Tensor:
    """Return log p(target) [N] of `targets` [N] at `states` [N, O] under the output layer `weight` [V, O], `bias` [V].

    Args:
        states: Of real positions only (no padding).
        weight: Output matrix.
        bias: Output bias.
        targets: Ids of the pieces.
        dtype: Of the matrix products: bfloat16, float32 or float64. Sums are in the weights' own.
    """
    log_probs: Tensor = _PickedLogProbs.apply(states, weight, bias, targets, dtype)  # type: ignore[no-untyped-call]
    return log_probs
