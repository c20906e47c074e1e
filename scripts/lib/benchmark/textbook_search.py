"""Textbook beam search: all log-probabilities, one `topk`, hypotheses as Python lists.   B sentences, K beam size.

The memory is repeated for each hypothesis, and a sentence that is done stays in the batch until the last one is.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch

from benchmark.textbook import PAD, DecoderState, TextbookModel
from nmt.data.special_tokens import BOS, EOS


@torch.no_grad()
def beam_search(
    model: TextbookModel,
    sentences: Sequence[Sequence[int]],
    *,
    beam_size: int,
    max_lengths: Sequence[int],
    device: torch.device,
) -> list[list[int]]:
    """Translate a batch of sentences (ids without EOS); return the best hypothesis of each.

    Hypotheses are compared by their log-probability per piece, those that did not end within the limit too.
    """
    count = len(sentences)
    width = max(map(len, sentences)) + 1
    source = torch.tensor([[*ids, EOS] + [PAD] * (width - len(ids) - 1) for ids in sentences], device=device)
    memory, mask, state = model.encode(source, torch.tensor([len(ids) + 1 for ids in sentences]))
    memory, mask = memory.repeat_interleave(beam_size, 0), mask.repeat_interleave(beam_size, 0)
    state = select(state, torch.arange(count, device=device).repeat_interleave(beam_size))
    ids = torch.full((count * beam_size,), BOS, device=device)
    totals = torch.full((count, beam_size), float("-inf"), device=device)
    totals[:, 0] = 0.0
    live: list[list[list[int]]] = [[[] for _ in range(beam_size)] for _ in sentences]
    ended: list[list[tuple[float, list[int]]]] = [[] for _ in sentences]
    done = [False] * count
    for length in range(1, max(max_lengths) + 1):
        outputs, state = model.step(ids, state, memory, mask)
        log_probs = torch.log_softmax(model.output(outputs), dim=1)
        size = log_probs.shape[1]
        scores = (totals.view(-1, 1) + log_probs).view(count, -1)
        totals, chosen = scores.topk(beam_size, dim=1)
        values, parents = totals.tolist(), (chosen // size).tolist()
        pieces = (chosen % size).tolist()
        for sentence in range(count):
            if done[sentence]:
                continue
            grown = []
            for place in range(beam_size):
                hypothesis = [*live[sentence][parents[sentence][place]], pieces[sentence][place]]
                grown.append(hypothesis)
                if pieces[sentence][place] == EOS:
                    ended[sentence].append((values[sentence][place] / length, hypothesis[:-1]))
                    totals[sentence, place] = float("-inf")
                elif length == max_lengths[sentence]:
                    ended[sentence].append((values[sentence][place] / length, hypothesis))
            live[sentence] = grown
            done[sentence] = length == max_lengths[sentence] or len(ended[sentence]) >= beam_size
        if all(done):
            break
        rows = (chosen // size + torch.arange(count, device=device).unsqueeze(1) * beam_size).view(-1)
        state = select(state, rows)
        ids = (chosen % size).view(-1)
    return [max(hypotheses)[1] for hypotheses in ended]


def select(state: DecoderState, rows: torch.Tensor) -> DecoderState:
    """Return the state of `rows`."""
    return DecoderState([h[rows] for h in state.hidden], [c[rows] for c in state.cell], state.feed[rows])
