"""Additive attention scores v . tanh(q + k) for all queries and keys, in bounded memory.

B sentences, Q queries each, S source length, A features, N heads; b sentences and q queries of a chunk.

The plain computation makes tensors of B x Q x S x A numbers, the largest of the model for large batches, and needs them
again in the backward pass. This kernel computes a chunk at a time in one small buffer that stays in cache. The backward
pass computes the chunks again, because writing new memory takes longer than computing the numbers.

tanh(x) = 2 sigmoid(2x) - 1 turns the score into 2 v . sigmoid(2x) - sum(v), because torch's sigmoid is several times as
fast as its tanh on a CPU. The derivative of v . tanh(x) is 4 v sigmoid(2x) (1 - sigmoid(2x)).
"""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import Tensor
from torch.autograd.function import FunctionCtx, once_differentiable

_CHUNK_ELEMENTS = 262_144
"""Size of the buffer on a CPU: one megabyte of float32."""
_CHUNK_ELEMENTS_GPU = 33_554_432
"""Size of the buffer on other devices, where few large operations are faster than many small ones."""


def additive_scores(
    queries: Tensor,
    keys: Tensor,
    vector: Tensor,
    *,
    coverage: Tensor | None,
    coverage_weight: Tensor | None,
) -> Tensor:
    """Return v . tanh(q + k + w c) [B, N, Q, S], float32 or float64; differentiable once.

    Args:
        queries: q [B, Q, A], of any float type. Sums and tanh are computed in float32 or float64.
        keys: k [B, S, A].
        vector: v [N, A/N]. Head n sums the n-th part of the features.
        coverage: c [B, Q, S]. None: no coverage.
        coverage_weight: w [A], given together with `coverage`.
    """
    dtype = torch.promote_types(vector.dtype, torch.float32)
    if coverage is not None and coverage_weight is not None:
        coverage, coverage_weight = coverage.to(dtype), coverage_weight.to(dtype)
    with torch.autocast(queries.device.type, enabled=False):
        scores: Tensor = _AdditiveScores.apply(  # type: ignore[no-untyped-call]
            queries.to(dtype), keys, vector.to(dtype), coverage, coverage_weight
        )
    return scores


class _AdditiveScores(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: FunctionCtx,
        queries: Tensor,
        keys: Tensor,
        vector: Tensor,
        coverage: Tensor | None,
        coverage_weight: Tensor | None,
    ) -> Tensor:
        covered = () if coverage is None or coverage_weight is None else (coverage, coverage_weight)
        ctx.save_for_backward(queries, keys, vector, *covered)
        heads, size = vector.shape
        scores = queries.new_empty(len(queries), heads, queries.shape[1], keys.shape[1])  # [B, N, Q, S]
        for rows, columns, hidden in _chunks(queries, keys, *covered):  # hidden: [b, q, S, A]
            features = hidden.view(-1, heads * size)  # [b * q * S, A]
            chunk = scores[rows, :, columns]  # [b, N, q, S]
            for head in range(heads):
                product = torch.mv(features[:, head * size : (head + 1) * size], vector[head])  # [b * q * S]
                chunk[:, head] = product.view(hidden.shape[:3])  # [b, q, S]
        return scores.mul_(2).sub_(vector.sum(1).view(-1, 1, 1))

    @staticmethod
    @once_differentiable
    def backward(ctx: FunctionCtx, *grads: Tensor) -> tuple[Tensor | None, ...]:
        queries, keys, vector, *covered = ctx.saved_tensors  # type: ignore[attr-defined]
        heads, size = vector.shape
        slope = 4 * vector.view(-1)  # [A]
        grad_queries, grad_keys = torch.empty_like(queries), torch.zeros_like(keys, dtype=queries.dtype)
        grad_vector = -grads[0].sum((0, 2, 3)).unsqueeze(1).repeat(1, size)  # [N, A/N]
        grad_covered = [torch.zeros_like(tensor) for tensor in covered]
        ones = queries.new_ones(1, 1, 1)
        for rows, columns, hidden in _chunks(queries, keys, *covered):  # hidden: [b, q, S, A]
            sentences, count, length, _ = hidden.shape
            grad = grads[0][rows, :, columns].permute(0, 2, 3, 1).contiguous()  # [b, q, S, N]
            by_head = hidden.view(-1, heads, size)  # [b * q * S, N, A/N]
            for head in range(heads):
                grad_vector[head] += 2 * torch.mv(by_head[:, head].t(), grad.view(-1, heads)[:, head])  # [A/N]
            # In place: from here on, `hidden` holds grad * sigmoid(2x) (1 - sigmoid(2x)).
            torch.ops.aten.sigmoid_backward.grad_input(grad.view(-1, heads, 1), by_head, grad_input=by_head)
            grad_queries[rows, columns] = hidden.sum(2)  # [b, q, A]
            # A product with ones is a sum over the queries that needs no memory for its result.
            summed = grad_keys[rows].view(sentences, 1, -1)  # [b, 1, S * A]
            summed.baddbmm_(ones.expand(sentences, 1, count), hidden.view(sentences, count, -1))
            if covered:
                features = hidden.view(-1, heads * size)  # [b * q * S, A]
                grad_covered[0][rows, columns] = torch.mv(features, slope * covered[1]).view(sentences, count, length)
                grad_covered[1] += slope * torch.mv(features.t(), covered[0][rows, columns].reshape(-1))  # [A]
        grads_of_coverage: list[Tensor] | list[None] = grad_covered or [None, None]
        return grad_queries.mul_(slope), grad_keys.mul_(slope).to(keys.dtype), grad_vector, *grads_of_coverage


def _chunks(
    queries: Tensor, keys: Tensor, coverage: Tensor | None = None, coverage_weight: Tensor | None = None
) -> Iterator[tuple[slice, slice, Tensor]]:
    """Yield chunks: a slice of sentences, a slice of queries, and sigmoid(2 (q + k + w c)) [b, q, S, A] of them.

    All chunks share one buffer. A chunk holds as many sentences as fit into it, or some queries of a sentence that does
    not fit.
    """
    sentences, count, size = queries.shape
    limit = _CHUNK_ELEMENTS if queries.device.type == "cpu" else _CHUNK_ELEMENTS_GPU
    per_query = max(1, keys.shape[1] * size)
    height = min(count, max(1, limit // per_query))
    width = min(sentences, max(1, limit // (per_query * max(1, height))))
    buffer = queries.new_empty(width * height * per_query)
    doubled = 2 * queries  # [B, Q, A]
    for start in range(0, sentences, width):
        rows = slice(start, min(start + width, sentences))
        for first in range(0, count, height):
            columns = slice(first, min(first + height, count))
            shape = (rows.stop - start, columns.stop - first, keys.shape[1], size)
            hidden = buffer[: shape[0] * shape[1] * per_query].view(shape)  # [b, q, S, A]
            torch.add(doubled[rows, columns].unsqueeze(2), keys[rows].unsqueeze(1), alpha=2, out=hidden)
            if coverage is not None and coverage_weight is not None:
                hidden.addcmul_(coverage[rows, columns].unsqueeze(-1), coverage_weight, value=2)
            yield rows, columns, hidden.sigmoid_()
