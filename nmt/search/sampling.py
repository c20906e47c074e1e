"""Ancestral sampling: translations drawn from the model's distribution.

B sentences, K samples of each, R = B x K rows, S source length, V vocabulary.

Each sample has a random stream of its own, made of its sentence's seed and its number: what is drawn does not depend
on the sentences beside it, or on any generator's state.
"""

from __future__ import annotations

import math

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional as F

from nmt.data.shuffle import hash64, uniform
from nmt.data.special_tokens import BOS, EOS
from nmt.search.interface import MemoryT, StateT, StepModel, TokenHypothesis, select_rows, to_device, to_host
from nmt.search.length_normalization import LengthNormalization
from nmt.search.processed_model import ProcessedModel, TopK


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
    plain = ProcessedModel(model, shapers=(), chooser=TopK(), prefix=None, coverage=None)
    drawn = _drawn(plain, source, lengths, samples=samples, limits=to_host(max_lengths), seeds=seeds, with_end=False)
    return [[ids for ids, _ in several] for several in drawn]


@torch.inference_mode()
def sample_hypotheses(
    model: ProcessedModel[MemoryT, StateT],
    source: Tensor,
    lengths: Tensor,
    *,
    samples: int,
    max_lengths: Tensor,
    seeds: NDArray[np.uint64],
    normalization: LengthNormalization,
) -> list[list[TokenHypothesis]]:
    """Draw translations from shaped probabilities; their scores are those of the model itself.

    Args:
        model: Its shapers may hold temperature, top-k, top-p, blocking and so on.
        source: Source ids [B, S] with EOS, padded to the right.
        lengths: Their lengths [B].
        samples: K, for each sentence.
        max_lengths: Longest sample of each sentence [B] in pieces; EOS is put to one that is still going on.
        seeds: Another seed of a sentence, other samples of it [B].
        normalization: Makes the score; it has no influence on what is drawn.

    Returns:
        For each sentence K hypotheses in the order of their numbers, equal ones among them.
    """
    limits = to_host(max_lengths)
    drawn = _drawn(model, source, lengths, samples=samples, limits=limits, seeds=seeds, with_end=True)
    return [[_hypothesis(ids, values, normalization) for ids, values in several] for several in drawn]


def _hypothesis(ids: list[int], values: list[float], normalization: LengthNormalization) -> TokenHypothesis:
    """Return a sample of pieces `ids`, with EOS at the end if it ended by itself."""
    finished = ids[-1:] == [EOS]
    total = float(np.cumsum(values)[-1])
    score = float(normalization.score(total, len(values)))
    return TokenHypothesis(ids[:-1] if finished else ids, total, score, values, finished)


def _drawn(
    model: ProcessedModel[MemoryT, StateT],
    source: Tensor,
    lengths: Tensor,
    *,
    samples: int,
    limits: NDArray[np.int64],
    seeds: NDArray[np.uint64],
    with_end: bool,
) -> list[list[tuple[list[int], list[float]]]]:
    """Return the pieces of each sample, and what the model gives them.

    With `with_end`, EOS is among the pieces where it was drawn, and its log-probability is always the last one, at the
    limit too; without it EOS is left out.
    """
    count = len(lengths)
    memory = model.encode(source, lengths)
    rows = np.repeat(np.arange(count), samples)
    first = model.init_state(memory)
    state = first.select(to_device(rows, source.device)) if samples > 1 else first
    streams = hash64(hash64(seeds, 0)[rows] + np.tile(np.arange(samples, dtype=np.uint64), count), 0)
    drawn: list[list[tuple[list[int], list[float]]]] = [[([], []) for _ in range(samples)] for _ in range(count)]
    open_samples = np.ones((count, samples), np.bool_)
    sentences: NDArray[np.int64] = np.arange(count)
    ids = torch.full((len(rows),), BOS, dtype=torch.int64, device=source.device)
    for step in range(int(limits.max(initial=0)) + with_end):
        output = model.step(ids, state, memory)
        here = (sentences[:, None] * samples + np.arange(samples)).reshape(-1)
        chosen = draw(output.log_probs, hash64(streams[here] + np.uint64(step), 1))
        ended = to_host(chosen == EOS).reshape(-1, samples)
        at_limit = np.repeat(limits[sentences] <= step, samples)
        if at_limit.any():
            chosen = torch.where(torch.from_numpy(at_limit).to(source.device), EOS, chosen)
        values = to_host(output.own.gather(1, chosen.unsqueeze(1))).reshape(-1, samples)
        pieces = to_host(chosen).reshape(-1, samples)
        for place, sentence in enumerate(sentences.tolist()):
            for number in np.flatnonzero(open_samples[sentence]).tolist():
                piece = int(pieces[place, number])
                found, log_probs = drawn[sentence][number]
                if piece != EOS or (with_end and ended[place, number]):
                    found.append(piece)
                log_probs.append(float(values[place, number]))
                open_samples[sentence, number] = piece != EOS
        stay = np.flatnonzero(open_samples[sentences].any(1) & (limits[sentences] + with_end > step + 1))
        if not len(stay):
            break
        kept_rows = (stay[:, None] * samples + np.arange(samples)).reshape(-1)
        state = select_rows(output.state, kept_rows, of=len(pieces) * samples, device=source.device)
        memory = select_rows(memory, stay, of=len(pieces), device=source.device)
        ids = to_device(pieces.reshape(-1)[kept_rows], source.device)
        sentences = sentences[stay]
    return drawn


def draw(log_probs: Tensor, keys: NDArray[np.uint64]) -> Tensor:
    """Return a piece for each row [R], drawn by its probability: argmax(log p + g), g with a Gumbel distribution.

    A sum of probabilities passes a random number at another piece as soon as rounding moves any of its thousands of
    steps; a greatest value is another one only where the two greatest are as close as that (Maddison et al. 2014). So
    samples do not depend on the batch they are drawn in. First a block of pieces is drawn, then a piece of the block:
    that takes about 2 sqrt(V) random numbers instead of V.

    Args:
        log_probs: Of the next piece [R, V]; those before EOS are never drawn.
        keys: What the random numbers of each row are made of [R].
    """
    real = log_probs[:, EOS:]
    size = math.isqrt(real.shape[1] - 1) + 1
    blocks = -(-real.shape[1] // size)
    padded = F.pad(real, (0, blocks * size - real.shape[1]), value=-math.inf).view(-1, blocks, size)
    block = (padded.logsumexp(2) + _gumbel(keys, blocks, 0).to(real.device)).argmax(1)
    inside = padded[torch.arange(len(padded), device=real.device), block]
    return block * size + (inside + _gumbel(keys, size, 1).to(real.device)).argmax(1) + EOS


def _gumbel(keys: NDArray[np.uint64], count: int, stage: int) -> Tensor:
    """Return random-looking numbers [R, count] with a standard Gumbel distribution."""
    chances = uniform(hash64(keys, stage)[:, None] + np.arange(count, dtype=np.uint64), 1)
    return torch.from_numpy(-np.log(-np.log(np.maximum(chances, np.finfo(np.float64).tiny))))
