"""Models for the tests of search and inference: small, exact, and nothing to do with the real network."""

from __future__ import annotations

import functools
import itertools
from typing import NamedTuple

import torch
from torch import Tensor

from nmt.search import LengthNormalization

BOS, EOS = 2, 3


class FakeMemory(NamedTuple):
    seeds: Tensor  # [B], one number for each source sentence

    def select(self, rows: Tensor) -> FakeMemory:
        return FakeMemory(self.seeds[rows])


class FakeState(NamedTuple):
    prefixes: Tensor  # [R], one number for each prefix

    def select(self, rows: Tensor) -> FakeState:
        return FakeState(self.prefixes[rows])


class FakeOutput(NamedTuple):
    log_probs: Tensor
    state: FakeState
    weights: Tensor | None


class HashModel:
    """Log-probabilities that depend on the source sentence and the whole prefix, and are the same to the last bit
    whatever else is in the batch.

    `levels` limits the logits to so few values that there are many ties.
    """

    def __init__(
        self, *, size: int, seed: int, eos_bias: float = 0.0, sharpness: float = 3.0, levels: int | None = None
    ):
        generator = torch.Generator().manual_seed(seed)
        self.frequencies = torch.rand(size, generator=generator, dtype=torch.float64) * 100
        self.phases = torch.rand(size, generator=generator, dtype=torch.float64) * 7
        self.sharpness, self.eos_bias, self.levels = sharpness, eos_bias, levels
        self.steps = 0
        self.rows = 0

    @staticmethod
    def mix(number: Tensor, value: Tensor) -> Tensor:
        return (number * 48271 + value * 69621 + 12345) % 2147483647

    def encode(self, source: Tensor, lengths: Tensor) -> FakeMemory:
        seeds = torch.zeros(len(source), dtype=torch.int64)
        for position in range(source.shape[1]):
            mixed = self.mix(seeds, source[:, position])
            seeds = torch.where(position < lengths, mixed, seeds)
        return FakeMemory(seeds)

    def init_state(self, memory: FakeMemory) -> FakeState:
        return FakeState(torch.zeros_like(memory.seeds))

    def step(self, ids: Tensor, state: FakeState, memory: FakeMemory) -> FakeOutput:
        self.steps += 1
        self.rows += len(ids)
        prefixes = self.mix(state.prefixes, ids)
        sentence = memory.seeds.repeat_interleave(len(ids) // len(memory.seeds))
        number = self.mix(sentence, prefixes).double() / 2147483647
        logits = torch.sin(number.unsqueeze(1) * self.frequencies + self.phases) * self.sharpness
        logits[:, EOS] += self.eos_bias
        if self.levels is not None:
            logits = torch.round(logits * self.levels / self.sharpness)
        return FakeOutput(torch.log_softmax(logits, dim=1).float(), FakeState(prefixes), None)


class FixedModel(HashModel):
    """Log-probabilities that depend on the last piece alone: `log_probs` [V, V]."""

    def __init__(self, log_probs: Tensor):
        super().__init__(size=1, seed=0)
        self.log_probs = log_probs

    def step(self, ids: Tensor, state: FakeState, memory: FakeMemory) -> FakeOutput:
        self.steps += 1
        self.rows += len(ids)
        return FakeOutput(self.log_probs[ids], state, None)


def sources(*sentences: list[int]) -> tuple[Tensor, Tensor]:
    """A padded batch and its lengths."""
    lengths = torch.tensor([len(ids) + 1 for ids in sentences])
    source = torch.zeros(len(sentences), int(lengths.max()), dtype=torch.int64)
    for row, ids in enumerate(sentences):
        source[row, : len(ids) + 1] = torch.tensor([*ids, EOS])
    return source, lengths


def next_log_probs(model: HashModel, sentence: list[int], prefix: tuple[int, ...]) -> list[float]:
    """The log-probabilities after a prefix, by feeding it from the start."""
    memory = model.encode(*sources(sentence))
    state = model.init_state(memory)
    for piece in (BOS, *prefix):
        output = model.step(torch.tensor([piece]), state, memory)
        state = output.state
    return output.log_probs[0].tolist()


@functools.cache
def _next_log_probs(model: HashModel, sentence: tuple[int, ...], prefix: tuple[int, ...]) -> list[float]:
    return next_log_probs(model, list(sentence), prefix)


def every_output(model: HashModel, sentence: list[int], size: int, longest: int) -> dict[tuple[int, ...], float]:
    """The log-probability of every possible output of at most `longest` pieces, all of one length at once."""
    memory = model.encode(*sources(sentence))
    state = model.init_state(memory)
    found = {}
    prefixes: list[tuple[int, ...]] = [()]
    totals = [0.0]
    for length in range(longest + 1):
        last = torch.tensor([prefix[-1] if prefix else BOS for prefix in prefixes])
        output = model.step(last, state, memory)
        log_probs = output.log_probs.tolist()
        found.update({prefix: total + row[EOS] for prefix, total, row in zip(prefixes, totals, log_probs, strict=True)})
        if length < longest:
            pieces = range(EOS + 1, size)
            totals = [total + row[piece] for total, row in zip(totals, log_probs, strict=True) for piece in pieces]
            state = output.state.select(torch.arange(len(prefixes)).repeat_interleave(len(pieces)))
            prefixes = [(*prefix, piece) for prefix in prefixes for piece in pieces]
    return found


def plain_beam_search(
    model: HashModel,
    sentence: list[int],
    *,
    size: int,
    beam_size: int,
    longest: int,
    normalization: LengthNormalization,
) -> list[tuple[float, tuple[int, ...], bool]]:
    """Beam search as in a textbook, one sentence, one hypothesis at a time, never stopping before the limit."""
    live: list[tuple[float, tuple[int, ...]]] = [(0.0, ())]
    ended = []
    for length in itertools.count():
        after = {prefix: _next_log_probs(model, tuple(sentence), prefix) for _, prefix in live}
        candidates = [
            (total + after[prefix][piece], prefix, piece) for total, prefix in live for piece in range(EOS, size)
        ]
        candidates.sort(key=lambda candidate: -candidate[0])
        beam = candidates[:beam_size]
        before = live
        live = []
        for total, prefix, piece in beam:
            if piece == EOS:
                ended.append((float(normalization.score(total, length + 1)), prefix, True))
            else:
                live.append((total, (*prefix, piece)))
        if not live or length == longest:
            break
    if not ended:
        for total, prefix in before:
            score = float(normalization.score(total + after[prefix][EOS], length + 1))
            ended.append((score, prefix, False))
    return sorted(ended, key=lambda hypothesis: -hypothesis[0])
