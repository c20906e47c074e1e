"""The most probable continuations of the hypotheses of a sentence.

B sentences, K rows (hypotheses) each, R = B x K rows in all, V vocabulary, C continuations wanted.
"""

from __future__ import annotations

import torch
from torch import Tensor

from nmt.data.tokenizer import EOS
from nmt.search.interface import BestOutput, Continuations, MemoryT, SelectiveModel, StateT, StepModel

BLOCK = 64


def continue_best(
    model: StepModel[MemoryT, StateT], ids: Tensor, state: StateT, memory: MemoryT, totals: Tensor, count: int
) -> BestOutput[StateT]:
    """Feed one piece to each row, and return the best continuations of each sentence.

    Args:
        model: Asked for just those, if it is a `SelectiveModel`; else for all log-probabilities.
        ids: The last pieces [R].
        state: The rows' state.
        memory: The sentences.
        totals: The log-probability of each hypothesis so far [B, K], or its difference to that of the sentence's best
            one; -inf: no hypothesis.
        count: C.
    """
    if isinstance(model, SelectiveModel):
        best: BestOutput[StateT] = model.continue_best(ids, state, memory, totals, count)
        return best
    output = model.step(ids, state, memory)
    return BestOutput(best_continuations(output.log_probs, totals, count), output.log_probs[:, EOS], output.state)


def best_continuations(log_probs: Tensor, totals: Tensor, count: int) -> Continuations:
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
