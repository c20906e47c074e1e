"""The most probable continuations of the hypotheses of a sentence.

B sentences, K rows (hypotheses) each, R = B x K rows in all, V vocabulary, C continuations wanted.
"""

from __future__ import annotations

from typing import Generic

import torch
from torch import Tensor

from nmt.data.special_tokens import EOS
from nmt.search.interface import Continuations, MemoryT, StateT, StepModel, TopKModel, TopKOutput

BLOCK = 64


def as_top_k_model(model: StepModel[MemoryT, StateT]) -> TopKModel[MemoryT, StateT]:
    """Return `model` itself, if it finds the best continuations on its own, else in a form that does."""
    return model if isinstance(model, TopKModel) else _TopKModel(model)


class _TopKModel(Generic[MemoryT, StateT]):
    """A model that is asked for all log-probabilities, and the best among them."""

    def __init__(self, model: StepModel[MemoryT, StateT]) -> None:
        self._model = model

    def continue_best(
        self, ids: Tensor, state: StateT, memory: MemoryT, totals: Tensor, count: int
    ) -> TopKOutput[StateT]:
        output = self._model.step(ids, state, memory)
        log_probs = output.log_probs
        return TopKOutput(top_k_continuations(log_probs, totals, count), log_probs[:, EOS], output.state)


def top_k_continuations(log_probs: Tensor, totals: Tensor, count: int) -> Continuations:
    """Return the C continuations of each sentence with the greatest total + log-probability, best first.

    PAD, UNK and BOS are never generated: they stand before EOS in every vocabulary and are not looked at. What they
    would have is lost, not shared out among the others.

    The choice among equal values depends on the sentence alone, so not on its neighbours.

    On a processor ``topk`` over all K x V continuations takes longer than the network. The best C must lie in those C
    blocks of 64 pieces whose maxima are the greatest, and a maximum is cheap.

    Args:
        log_probs: [R, V].
        totals: [B, K].
        count: C; fewer come back if there are fewer.
    """
    sentences, rows = totals.shape
    size = log_probs.shape[1] - EOS
    real = log_probs[:, EOS:]
    whole = size // BLOCK * BLOCK
    maxima = real[:, :whole].view(len(log_probs), size // BLOCK, BLOCK).amax(2)
    if whole < size:
        maxima = torch.cat([maxima, real[:, whole:].amax(1, keepdim=True)], dim=1)
    blocks = maxima.shape[1]
    by_block = (maxima.view(sentences, rows, blocks) + totals.unsqueeze(2)).view(sentences, rows * blocks)
    chosen = by_block.topk(min(count, rows * blocks), dim=1).indices.unsqueeze(2)
    columns = chosen % blocks * BLOCK + torch.arange(BLOCK, device=log_probs.device)
    row = torch.div(chosen, blocks, rounding_mode="floor")
    real_columns = columns.clamp(max=size - 1)
    places = (row * log_probs.shape[1] + EOS + real_columns).flatten(1)
    values = log_probs.view(sentences, -1).gather(1, places)
    values = values.masked_fill((columns >= size).flatten(1), -torch.inf)
    sums = values + totals.gather(1, row.squeeze(2)).repeat_interleave(BLOCK, dim=1)
    best = sums.topk(min(count, rows * size), dim=1).indices
    place = places.gather(1, best)
    found = torch.div(place, log_probs.shape[1], rounding_mode="floor")
    return Continuations(values.gather(1, best), found, place % log_probs.shape[1])
