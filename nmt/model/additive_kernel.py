"""v . tanh(q + k) for all queries and keys, without ever holding it all.

B sentences, Q queries each, S source length, A features, N heads.

The textbook makes B x Q x S x A numbers, several times over and again in the backward pass; for large batches this
is the largest tensor of the model. Here a chunk at a time is made in one small buffer that stays in cache, and made
again in the backward pass instead of being kept: new memory costs more time than the numbers in it.

tanh(x) = 2 sigmoid(2x) - 1 turns the score into 2 v . sigmoid(2x) - sum(v); on processors, torch's sigmoid is several
times as fast as its tanh. The derivative of v . tanh(x) is 4 v sigmoid(2x) (1 - sigmoid(2x)).
"""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import Tensor
from torch.autograd.function import FunctionCtx, once_differentiable

_CHUNK_ELEMENTS = 262_144
"""Numbers held at once on a processor: a megabyte of float32."""
_CHUNK_ELEMENTS_GPU = 33_554_432
"""Elsewhere, where few large operations are faster than many small ones."""


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
        queries: q [B, Q, A], of any float type; sums and tanh are computed in float32 at least.
        keys: k [B, S, A].
        vector: v [N, A/N]: head n sums the n-th share of the features.
        coverage: c [B, Q, S], or None for none.
        coverage_weight: w [A], where there is coverage.
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
        heads, share = vector.shape
        scores = queries.new_empty(len(queries), heads, queries.shape[1], keys.shape[1])
        for rows, columns, hidden in _chunks(queries, keys, *covered):
            features = hidden.view(-1, heads * share)
            part = scores[rows, :, columns]
            for head in range(heads):
                product = torch.mv(features[:, head * share : (head + 1) * share], vector[head])
                part[:, head] = product.view(hidden.shape[:3])
        return scores.mul_(2).sub_(vector.sum(1).view(-1, 1, 1))

    @staticmethod
    @once_differentiable
    def backward(ctx: FunctionCtx, *grads: Tensor) -> tuple[Tensor | None, ...]:
        queries, keys, vector, *covered = ctx.saved_tensors  # type: ignore[attr-defined]
        heads, share = vector.shape
        slope = 4 * vector.view(-1)
        grad_queries, grad_keys = torch.empty_like(queries), torch.zeros_like(keys, dtype=queries.dtype)
        grad_vector = -grads[0].sum((0, 2, 3)).unsqueeze(1).repeat(1, share)
        grad_covered = [torch.zeros_like(tensor) for tensor in covered]
        ones = queries.new_ones(1, 1, 1)
        for rows, columns, hidden in _chunks(queries, keys, *covered):
            sentences, count, length, size = hidden.shape
            grad = grads[0][rows, :, columns].permute(0, 2, 3, 1).contiguous()
            by_head = hidden.view(-1, heads, share)
            for head in range(heads):
                grad_vector[head] += 2 * torch.mv(by_head[:, head].t(), grad.view(-1, heads)[:, head])
            torch.ops.aten.sigmoid_backward.grad_input(grad.view(-1, heads, 1), by_head, grad_input=by_head)
            grad_queries[rows, columns] = hidden.sum(2)
            # A product with ones is a sum that needs no memory of its own.
            summed, parts = grad_keys[rows].view(sentences, 1, -1), hidden.view(sentences, count, -1)
            summed.baddbmm_(ones.expand(sentences, 1, count), parts)
            if covered:
                features = hidden.view(-1, size)
                grad_covered[0][rows, columns] = torch.mv(features, slope * covered[1]).view(sentences, count, length)
                grad_covered[1] += slope * torch.mv(features.t(), covered[0][rows, columns].reshape(-1))
        rest: list[Tensor] | list[None] = grad_covered or [None, None]
        return grad_queries.mul_(slope), grad_keys.mul_(slope).to(keys.dtype), grad_vector, *rest


def _chunks(
    queries: Tensor, keys: Tensor, coverage: Tensor | None = None, coverage_weight: Tensor | None = None
) -> Iterator[tuple[slice, slice, Tensor]]:
    """Yield sentences, queries, and sigmoid(2 (q + k + w c)) [b, q, S, A] of them, in a buffer that is used again.

    A chunk is as many sentences as fit, or some of the queries of one that does not.
    """
    sentences, count, size = queries.shape
    limit = _CHUNK_ELEMENTS if queries.device.type == "cpu" else _CHUNK_ELEMENTS_GPU
    per_query = max(1, keys.shape[1] * size)
    height = min(count, max(1, limit // per_query))
    width = min(sentences, max(1, limit // (per_query * max(1, height))))
    buffer = queries.new_empty(width * height * per_query)
    doubled = 2 * queries
    for start in range(0, sentences, width):
        rows = slice(start, min(start + width, sentences))
        for first in range(0, count, height):
            columns = slice(first, min(first + height, count))
            shape = (rows.stop - start, columns.stop - first, keys.shape[1], size)
            hidden = buffer[: shape[0] * shape[1] * per_query].view(shape)
            torch.add(doubled[rows, columns].unsqueeze(2), keys[rows].unsqueeze(1), alpha=2, out=hidden)
            if coverage is not None and coverage_weight is not None:
                hidden.addcmul_(coverage[rows, columns].unsqueeze(-1), coverage_weight, value=2)
            yield rows, columns, hidden.sigmoid_()
