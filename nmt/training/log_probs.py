"""Log-probabilities of target pieces, fused with the output layer.

N positions, n positions of a chunk, O output size, V vocabulary.

The plain computation holds N x V log-probabilities and their gradients. Here a chunk of positions goes through the
product and the softmax at a time, and the backward pass computes the chunk again. Unlike `fused_loss.py`, the result is
one number for each position, and any function of the numbers can be differentiated.
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.autograd.function import FunctionCtx

from nmt.model.layers import fill
from nmt.training.fused_loss import chunk_rows

_CHUNK_ELEMENTS = 4_000_000
"""Number of logits in memory at once."""


class _TargetLogProbs(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: FunctionCtx, states: Tensor, weight: Tensor, bias: Tensor, targets: Tensor, dtype: torch.dtype
    ) -> Tensor:
        inputs, matrix, offset = states.to(dtype), weight.to(dtype), bias.to(dtype)
        normalizers, target_logits = weight.new_empty(len(targets)), weight.new_empty(len(targets))
        rows = _rows(targets, matrix)
        for start in range(0, len(targets), rows):
            chunk = slice(start, start + rows)
            logits = _logits(inputs[chunk], matrix, offset, rows).to(weight.dtype)  # [n, V]
            normalizers[chunk] = logits.logsumexp(1)  # [n]
            target_logits[chunk] = logits.gather(1, targets[chunk].unsqueeze(1)).squeeze(1)  # [n]
        ctx.save_for_backward(inputs, matrix, offset, targets, normalizers)
        return target_logits - normalizers

    @staticmethod
    def backward(ctx: FunctionCtx, *grads: Tensor) -> tuple[Tensor | None, ...]:
        inputs, matrix, offset, targets, normalizers = ctx.saved_tensors  # type: ignore[attr-defined]
        (grad,) = grads
        grad_states = torch.empty_like(inputs)
        grad_weight, grad_bias = grad.new_zeros(matrix.shape), grad.new_zeros(offset.shape)
        rows = _rows(targets, matrix)
        for start in range(0, len(targets), rows):
            chunk = slice(start, start + rows)
            logits = _logits(inputs[chunk], matrix, offset, rows).to(grad.dtype)  # [n, V]
            # d log p(t) / d z = onehot(t) - p
            grad_logits = logits.sub_(normalizers[chunk].unsqueeze(1)).exp_().mul_(-grad[chunk].unsqueeze(1))
            grad_logits.scatter_add_(1, targets[chunk].unsqueeze(1), grad[chunk].unsqueeze(1))
            filled = fill(grad_logits.to(inputs.dtype), rows)  # [rows, V]
            grad_states[chunk] = (filled @ matrix)[: len(grad_logits)]  # [n, O]
            grad_weight += filled.t() @ fill(inputs[chunk], rows)  # [V, O]
            grad_bias += grad_logits.sum(0)  # [V]
        return grad_states, grad_weight, grad_bias, None, None


def _rows(targets: Tensor, matrix: Tensor) -> int:
    limit = _CHUNK_ELEMENTS // len(matrix)
    return chunk_rows(len(targets), limit=limit, device=matrix.device, dtype=matrix.dtype)


def _logits(states: Tensor, matrix: Tensor, offset: Tensor, rows: int) -> Tensor:
    return torch.addmm(offset, fill(states, rows), matrix.t())[: len(states)]  # [n, V]


def target_log_probs(states: Tensor, weight: Tensor, bias: Tensor, targets: Tensor, *, dtype: torch.dtype) -> Tensor:
    """Return log p(target) of each position [N].

    Args:
        states: Inputs of the output layer at real positions [N, O].
        weight: Output matrix [V, O].
        bias: Output bias [V].
        targets: Ids of the target pieces [N].
        dtype: Number format of the matrix products: bfloat16, float32 or float64. Sums are in the format of
            the weights.
    """
    log_probs: Tensor = _TargetLogProbs.apply(states, weight, bias, targets, dtype)  # type: ignore[no-untyped-call]
    return log_probs
