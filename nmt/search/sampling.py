"""Ancestral sampling: translations drawn from the model's distribution.

B sentences, K samples of each, R = B x K rows, S source length, V vocabulary.

Each sample has a random stream of its own, made of its sentence's seed and its number: what is drawn does not depend
on the sentences beside it, or on any generator's state.
"""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from nmt.data.order import scramble, scramble_unit
from nmt.data.tokenizer import BOS, EOS
from nmt.search.interface import MemoryT, StateT, StepModel
from nmt.search.rows import pick, to_device, to_host


@torch.inference_mode()
def sample(
    model: StepModel[MemoryT, StateT],
    source: Tensor,
    lengths: Tensor,
    *,
    samples: int,
    max_lengths: Tensor,
    seeds: NDArray[np.uint64],
) -> list[list[list[int]]]:
    """Draw translations of a batch, piece by piece, each from its probability given those before.

    PAD, UNK and BOS are never drawn; the others share out what these would have.

    Args:
        model: What gives the log-probabilities.
        source: Source ids [B, S] with EOS, padded to the right.
        lengths: Their lengths [B].
        samples: K, for each sentence.
        max_lengths: Longest sample of each sentence [B] in pieces, EOS not counted; a longer one is cut off there.
        seeds: Another seed of a sentence, other samples of it [B].

    Returns:
        For each sentence K samples, equal ones among them: their pieces, without BOS and EOS.
    """
    count = len(lengths)
    memory = model.encode(source, lengths)
    rows = np.repeat(np.arange(count), samples)
    state = model.init_state(memory).select(to_device(rows, source.device))
    streams = scramble(scramble(seeds, 0)[rows] + np.tile(np.arange(samples, dtype=np.uint64), count), 0)
    limits = to_host(max_lengths)
    drawn: list[list[list[int]]] = [[[] for _ in range(samples)] for _ in range(count)]
    open_samples = np.ones((count, samples), np.bool_)
    sentences: NDArray[np.int64] = np.arange(count)
    ids = torch.full((len(rows),), BOS, dtype=torch.int64, device=source.device)
    for step in range(int(limits.max(initial=0))):
        output = model.step(ids, state, memory)
        here = (sentences[:, None] * samples + np.arange(samples)).reshape(-1)
        chances = torch.from_numpy(scramble_unit(streams[here] + np.uint64(step), 1)).to(source.device)
        pieces = to_host(draw(output.log_probs, chances)).reshape(-1, samples)
        for place, sentence in enumerate(sentences.tolist()):
            for number in np.flatnonzero(open_samples[sentence]).tolist():
                if pieces[place, number] == EOS:
                    open_samples[sentence, number] = False
                else:
                    drawn[sentence][number].append(int(pieces[place, number]))
        stay = np.flatnonzero(open_samples[sentences].any(1) & (limits[sentences] > step + 1))
        if not len(stay):
            break
        kept_rows = (stay[:, None] * samples + np.arange(samples)).reshape(-1)
        state = pick(output.state, kept_rows, of=len(pieces) * samples, device=source.device)
        memory = pick(memory, stay, of=len(pieces), device=source.device)
        ids = to_device(pieces.reshape(-1)[kept_rows], source.device)
        sentences = sentences[stay]
    return drawn


def draw(log_probs: Tensor, chances: Tensor) -> Tensor:
    """Return the pieces [R] at which the summed probabilities pass `chances` [R] (0 to 1, excluded).

    Args:
        log_probs: Of the next piece [R, V].
        chances: One number for each row, float64.
    """
    sums = log_probs[:, EOS:].double().exp().cumsum(1)
    places = torch.searchsorted(sums, chances.unsqueeze(1) * sums[:, -1:], right=True).squeeze(1)
    return places.clamp_max(sums.shape[1] - 1) + EOS
