"""Finds the most probable continuations of the hypotheses of each sentence.

B sentences, K rows (hypotheses) per sentence, R = B x K rows, V vocabulary, C continuations, W = V - EOS pieces that
can be generated, in N blocks of 64.
"""

from __future__ import annotations

from typing import Generic

import torch
from torch import Tensor

from nmt.data.special_tokens import EOS
from nmt.search.interface import Continuations, MemoryT, StateT, StepModel, TopKModel, TopKOutput

BLOCK_SIZE = 64


def as_top_k_model(model: StepModel[MemoryT, StateT]) -> TopKModel[MemoryT, StateT]:
    """Return `model` if it finds the best continuations itself, else a wrapper that does."""
    return model if isinstance(model, TopKModel) else _TopKModel(model)


class _TopKModel(Generic[MemoryT, StateT]):
    """Computes all log-probabilities of a model, and finds the best among them."""

    def __init__(self, model: StepModel[MemoryT, StateT]) -> None:
        self._model = model

    def step_top_k(self, ids: Tensor, state: StateT, memory: MemoryT, totals: Tensor, count: int) -> TopKOutput[StateT]:
        output = self._model.step(ids, state, memory)
        log_probs = output.log_probs
        return TopKOutput(top_k_continuations(log_probs, totals, count), log_probs[:, EOS], output.state)


def top_k_continuations(log_probs: Tensor, totals: Tensor, count: int) -> Continuations:
    """Return the C continuations of each sentence with the greatest total + log-probability, best first.

    PAD, UNK and BOS are never generated: their ids are below EOS in every vocabulary, and are skipped. Their
    probability is not redistributed.

    The choice among equal values depends on the sentence alone, not on the batch.

    On a CPU ``topk`` over all K x V continuations takes longer than the network. The best C continuations lie in the C
    blocks of 64 pieces with the greatest maxima, and maxima are cheap.

    Args:
        log_probs: [R, V].
        totals: [B, K].
        count: C; fewer are returned if fewer exist.
    """
    sentences, rows = totals.shape
    size = log_probs.shape[1] - EOS
    generated = log_probs[:, EOS:]  # [R, W]
    whole = size // BLOCK_SIZE * BLOCK_SIZE
    maxima = generated[:, :whole].view(len(log_probs), size // BLOCK_SIZE, BLOCK_SIZE).amax(2)  # [R, N or N - 1]
    if whole < size:
        maxima = torch.cat([maxima, generated[:, whole:].amax(1, keepdim=True)], dim=1)  # [R, N]
    blocks = maxima.shape[1]
    by_block = (maxima.view(sentences, rows, blocks) + totals.unsqueeze(2)).view(sentences, rows * blocks)  # [B, K * N]
    best_blocks = by_block.topk(min(count, rows * blocks), dim=1).indices.unsqueeze(2)  # [B, C, 1]
    offsets = torch.arange(BLOCK_SIZE, device=log_probs.device)  # [64]
    pieces = best_blocks % blocks * BLOCK_SIZE + offsets  # [B, C, 64], counted from EOS
    row = torch.div(best_blocks, blocks, rounding_mode="floor")  # [B, C, 1]
    columns = (row * log_probs.shape[1] + EOS + pieces.clamp(max=size - 1)).flatten(1)  # [B, C * 64], in [0, K * V)
    values = log_probs.view(sentences, -1).gather(1, columns)  # [B, C * 64]
    values = values.masked_fill((pieces >= size).flatten(1), -torch.inf)  # the last block may be incomplete
    sums = values + totals.gather(1, row.squeeze(2)).repeat_interleave(BLOCK_SIZE, dim=1)  # [B, C * 64]
    best = sums.topk(min(count, rows * size), dim=1).indices  # [B, C]
    column = columns.gather(1, best)  # [B, C]
    best_rows = torch.div(column, log_probs.shape[1], rounding_mode="floor")  # [B, C]
    return Continuations(values.gather(1, best), best_rows, column % log_probs.shape[1])
