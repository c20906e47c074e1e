"""Ancestral sampling: translations drawn from the model's distribution.

B sentences, b sentences still in the batch, K samples per sentence, R = b x K rows, S source length, V vocabulary,
W = V - EOS pieces that can be generated, in N blocks of M pieces.

Each sample has its own random stream, derived from its sentence's seed and its number. So a sample does not depend on
the other sentences of the batch, or on the state of a generator.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from nmt.arrays import Array, from_host, gather, inference, logsumexp, namespace, to_host
from nmt.data.shuffle import hash64, uniform
from nmt.data.special_tokens import BOS, EOS
from nmt.errors import CheckpointError
from nmt.search.interface import MemoryT, StateT, StepModel, TokenHypothesis, select_rows
from nmt.search.length_normalization import LengthNormalization
from nmt.search.processed_model import ProcessedModel, TopK

DrawnSample = tuple[list[int], list[float]]
"""The pieces of a sample, and their log-probabilities under the model."""


def sample(
    model: StepModel[MemoryT, StateT],
    source: Array,
    lengths: Array,
    *,
    samples: int,
    max_lengths: Array,
    seeds: NDArray[np.uint64],
) -> list[list[list[int]]]:
    """Draw translations of a batch, piece by piece, each from its probability given the pieces before.

    PAD, UNK and BOS are never drawn; their probability is redistributed to the other pieces.

    Args:
        model: Gives the log-probabilities.
        source: Source ids [B, S] with EOS, padded to the right.
        lengths: Source lengths [B].
        samples: K.
        max_lengths: Length limit of each sentence [B] in pieces, without EOS; longer samples are truncated.
        seeds: The seed of each sentence [B].

    Returns:
        K samples for each sentence, with repetitions: their ids, without BOS and EOS.
    """
    plain = ProcessedModel(model, processors=(), selector=TopK(), prefix=None, coverage=None)
    with inference(source):
        drawn = _draw_samples(
            plain, source, lengths, samples=samples, limits=to_host(max_lengths), seeds=seeds, with_eos=False
        )
    return [[ids for ids, _ in row] for row in drawn]


def sample_hypotheses(
    model: ProcessedModel[MemoryT, StateT],
    source: Array,
    lengths: Array,
    *,
    samples: int,
    max_lengths: Array,
    seeds: NDArray[np.uint64],
    normalization: LengthNormalization,
) -> list[list[TokenHypothesis]]:
    """Draw translations from processed probabilities; their scores are those of the model itself.

    Args:
        model: Its processors may include temperature, top-k, top-p and blocking.
        source: Source ids [B, S] with EOS, padded to the right.
        lengths: Source lengths [B].
        samples: K.
        max_lengths: Length limit of each sentence [B] in pieces; EOS is forced there.
        seeds: The seed of each sentence [B].
        normalization: Computes the score; it does not affect the samples.

    Returns:
        K hypotheses for each sentence, in the order of their numbers, with repetitions.
    """
    limits = to_host(max_lengths)
    with inference(source):
        drawn = _draw_samples(model, source, lengths, samples=samples, limits=limits, seeds=seeds, with_eos=True)
    return [[_hypothesis(ids, values, normalization) for ids, values in row] for row in drawn]


def _hypothesis(ids: list[int], values: list[float], normalization: LengthNormalization) -> TokenHypothesis:
    """Return the hypothesis of a sample; its `ids` end with EOS if EOS was drawn."""
    finished = ids[-1:] == [EOS]
    total = float(np.cumsum(values)[-1])
    score = float(normalization.score(total, len(values)))
    return TokenHypothesis(ids[:-1] if finished else ids, total, score, values, finished)


def _draw_samples(
    model: ProcessedModel[MemoryT, StateT],
    source: Array,
    lengths: Array,
    *,
    samples: int,
    limits: NDArray[np.int64],
    seeds: NDArray[np.uint64],
    with_eos: bool,
) -> list[list[DrawnSample]]:
    """Return the samples of each sentence.

    With `with_eos`, the pieces include EOS where it was drawn, and the last log-probability is always that of EOS, at
    the length limit too. Otherwise EOS is left out.
    """
    count = len(lengths)
    memory = model.encode(source, lengths)
    rows = np.repeat(np.arange(count), samples)  # [R]
    first = model.init_state(memory)
    state = first.select(from_host(rows, source)) if samples > 1 else first
    streams = hash64(hash64(seeds, 0)[rows] + np.tile(np.arange(samples, dtype=np.uint64), count), 0)  # [B * K]
    drawn: list[list[DrawnSample]] = [[([], []) for _ in range(samples)] for _ in range(count)]
    live = np.ones((count, samples), np.bool_)  # [B, K]
    sentences: NDArray[np.int64] = np.arange(count)  # [b]
    ids = from_host(np.full(len(rows), BOS), source)  # [R]
    for step in range(int(limits.max(initial=0)) + with_eos):
        output = model.step(ids, state, memory)
        in_batch = (sentences[:, None] * samples + np.arange(samples)).reshape(-1)  # [R]
        pieces = to_host(draw(output.log_probs, hash64(streams[in_batch] + np.uint64(step), 1)))  # [R]
        pieces = pieces.reshape(-1, samples)  # [b, K]
        ended = pieces == EOS  # [b, K]
        pieces = np.where(limits[sentences, np.newaxis] <= step, EOS, pieces)  # [b, K]
        next_ids = from_host(pieces.reshape(-1, 1), source)  # [R, 1]
        log_probs = gather(output.model_log_probs, next_ids)  # [R, 1]
        values = to_host(log_probs).reshape(-1, samples)  # [b, K]
        if with_eos and np.isnan(values).any():  # training has its own check
            raise CheckpointError("The model computes undefined probabilities (NaN): its weights are damaged.")
        for place, sentence in enumerate(sentences.tolist()):
            for number in np.flatnonzero(live[sentence]).tolist():
                piece = int(pieces[place, number])
                sample_ids, sample_values = drawn[sentence][number]
                if piece != EOS or (with_eos and ended[place, number]):
                    sample_ids.append(piece)
                sample_values.append(float(values[place, number]))
                live[sentence, number] = piece != EOS
        kept = np.flatnonzero(live[sentences].any(1) & (limits[sentences] + with_eos > step + 1))  # [b']
        if not len(kept):
            break
        kept_rows = (kept[:, None] * samples + np.arange(samples)).reshape(-1)  # [b' * K]
        state = select_rows(output.state, kept_rows, of=len(pieces) * samples, like=source)
        memory = select_rows(memory, kept, of=len(pieces), like=source)
        ids = from_host(pieces.reshape(-1)[kept_rows], source)
        sentences = sentences[kept]
    return drawn


def draw(log_probs: Array, keys: NDArray[np.uint64]) -> Array:
    """Draw a piece for each row [R] by its probability: argmax(log p + g), g with a Gumbel distribution.

    Sampling by cumulative sums would pick another piece as soon as rounding moves any of thousands of sums. An argmax
    changes only if its two greatest values are that close (Maddison et al. 2014). So samples do not depend on the
    batch. First a block of pieces is drawn, then a piece of the block, which takes about 2 sqrt(V) random numbers
    instead of V.

    Args:
        log_probs: Of the next piece [R, V]; those before EOS are never drawn.
        keys: The random numbers of each row are derived from its key [R].
    """
    xp = namespace(log_probs)
    generated = log_probs[:, EOS:]  # [R, W]
    size = math.isqrt(generated.shape[1] - 1) + 1
    blocks = -(-generated.shape[1] // size)
    shape = (len(generated), blocks * size - generated.shape[1])
    padding = xp.full(shape, -math.inf, dtype=generated.dtype, device=generated.device)  # [R, N * M - W]
    padded = xp.reshape(xp.concat([generated, padding], axis=1), (-1, blocks, size))  # [R, N, M]
    block = xp.argmax(logsumexp(padded) + from_host(_gumbel(keys, blocks, 0), padded), axis=1)  # [R]
    inside = padded[xp.arange(len(padded), device=padded.device), block]  # [R, M]
    return block * size + xp.argmax(inside + from_host(_gumbel(keys, size, 1), padded), axis=1) + EOS  # [R]


def _gumbel(keys: NDArray[np.uint64], count: int, stage: int) -> NDArray[np.float64]:
    """Return pseudo-random numbers [R, count] with a standard Gumbel distribution."""
    uniforms = uniform(hash64(keys, stage)[:, None] + np.arange(count, dtype=np.uint64), 1)  # [R, count]
    return np.asarray(-np.log(-np.log(np.maximum(uniforms, np.finfo(np.float64).tiny))))
