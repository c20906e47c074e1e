"""Scheduled sampling: some inputs of the decoder are its own predictions (Bengio et al. 2015).

B sentences, T target length, S source length, N positions, O output size, V vocabulary.

A decoder that is trained on reference inputs only never meets its own mistakes. Bengio et al. predict the inputs during
decoding. Here, as in Mihaylova & Martins (2019), a first pass over the reference predicts all positions at once:

    first pass    y^_t = the best piece of p(. | y_<t, x), or sampled from it; no gradient
    second pass   log p(y_t | u_<t, x), where u_t = y^_t with the probability of the update, else y_t

This works with every kind of decoder and costs one more pass. Dropout is on in the first pass: without dropout, a model
predicts memorized training text far better than new text.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from nmt.config.schema import ScheduledSamplingConfig
from nmt.data.shuffle import hash64, make_key, uniform
from nmt.data.special_tokens import EOS
from nmt.device import autocast
from nmt.model import Seq2Seq
from nmt.model.layers import linear
from nmt.model.memory import Memory
from nmt.training.batch_tensors import TensorBatch

_CHUNK_ELEMENTS = 4_000_000
"""Number of logits in memory at once."""
_FIRST_TEXT_PIECE = EOS + 1
"""The pieces before this one (PAD, UNK, BOS, EOS) are never predicted."""


class MixedInput(NamedTuple):
    """Decoder inputs, partly from the reference and partly predicted."""

    pieces: Tensor
    """[B, T]"""
    num_predicted: int
    """Number of predicted pieces among them."""


class ScheduledSampler:
    """Replaces reference pieces by predictions, at random with the probability of the update."""

    def __init__(self, *, model: Seq2Seq, options: ScheduledSamplingConfig, seed: int, dtype: torch.dtype) -> None:
        """Prepare sampling.

        Args:
            model: Predicts the pieces.
            options: The scheduled_sampling section.
            seed: Seed of positions and samples.
            dtype: Number format of matrix products.
        """
        self.model = model
        self.options = options
        self.seed = seed
        self.dtype = dtype
        self._steepness = inverse_sigmoid_steepness(options.ramp_updates)

    def probability(self, update: int) -> float:
        """Return the probability of a prediction at `update`, counted from 1."""
        options = self.options
        done = update - options.start_updates
        if done <= 0:
            return 0.0
        if options.ramp_updates == 0:
            return options.probability
        if options.ramp == "linear":
            return options.probability * min(1.0, done / options.ramp_updates)
        k = self._steepness
        return options.probability / (1 + k * math.exp(-done / k))

    @torch.no_grad()
    def mix(self, batch: TensorBatch, memory: Memory, update: int) -> MixedInput:
        """Return the target input of `batch` with some pieces predicted. BOS and padding stay.

        The positions and the samples depend on seed, update and sentence pair only, not on the rest of the batch.

        Args:
            batch: The batch.
            memory: Its encoded sources.
            update: Number of the update, counted from 1.
        """
        probability = self.probability(update)
        if probability == 0:
            return MixedInput(batch.target_input, 0)
        pairs = _pair_hashes(batch)  # [B]
        replaced = _random_numbers(pairs, batch, make_key(self.seed, 6, update)) < probability  # [B, T]
        replaced[:, 0] = False  # BOS
        replaced &= batch.target_mask.cpu().numpy()
        rows, positions = np.nonzero(replaced)  # [N] each
        if not len(rows):
            return MixedInput(batch.target_input, 0)
        numbers = _random_numbers(pairs, batch, make_key(self.seed, 7, update))[rows, positions]  # [N]
        device = batch.target_input.device
        row, position = torch.from_numpy(rows).to(device), torch.from_numpy(positions).to(device)
        # A separate autocast context: it caches casts of weights, and those made here have no gradient.
        with autocast(device, self.dtype):
            states, _ = self.model.decode(batch.target_input, memory)  # [B, T, O]
        pieces = batch.target_input.clone()
        pieces[row, position] = self._predict(states[row, position - 1], torch.from_numpy(numbers).to(device))
        return MixedInput(pieces, len(rows))

    def _predict(self, states: Tensor, numbers: Tensor) -> Tensor:
        """Return the next pieces [N] after `states` [N, O].

        Args:
            states: Inputs of the output layer.
            numbers: Random numbers in [0, 1) that select the sampled pieces [N].
        """
        weight, bias = (
            values[_FIRST_TEXT_PIECE:].to(self.dtype)
            for values in (self.model.output.joint_weight(), self.model.output.bias)
        )
        predicted = []
        rows = max(1, _CHUNK_ELEMENTS // len(weight))
        for start in range(0, len(states), rows):
            chunk = slice(start, start + rows)
            logits = linear(states[chunk].to(self.dtype), weight, bias)  # [n, V']
            if self.options.choice == "argmax":
                predicted.append(logits.argmax(1))
            else:
                # Inverse transform sampling, in float64.
                sums = torch.softmax(logits.double(), dim=1).cumsum(1)  # [n, V']
                thresholds = numbers[chunk].unsqueeze(1) * sums[:, -1:]  # [n, 1]
                sampled = torch.searchsorted(sums, thresholds, right=True).squeeze(1)  # [n]
                predicted.append(sampled.clamp_max(len(weight) - 1))
        return torch.cat(predicted) + _FIRST_TEXT_PIECE


def inverse_sigmoid_steepness(updates: int) -> float:
    """Return the k for which 1 / (1 + k exp(-i / k)) is one half at i = `updates` / 2: k ln k = `updates` / 2.

    The function is 1 / (k + 1) at i = 0, and k / (k + 1) at i = `updates`.
    """
    low, high = 1.0, max(2.0, updates / 2 + 1)
    for _ in range(60):
        middle = (low + high) / 2
        low, high = (middle, high) if middle * math.log(middle) < updates / 2 else (low, middle)
    return high


def _pair_hashes(batch: TensorBatch) -> NDArray[np.uint64]:
    """Return a hash of the pieces of each pair [B]."""
    total = np.zeros(len(batch.source), dtype=np.uint64)
    target_lengths = batch.target_mask.sum(1)
    for key, (ids, lengths) in enumerate(((batch.source, batch.source_lengths), (batch.target_output, target_lengths))):
        positions = np.arange(ids.shape[1])
        hashes = hash64(ids.cpu().numpy() + (positions << 32), make_key(key))  # [B, S] or [B, T]
        hashes[positions >= lengths.cpu().numpy()[:, None]] = 0
        total += hashes.sum(1, dtype=np.uint64)
    return total


def _random_numbers(pairs: NDArray[np.uint64], batch: TensorBatch, key: int) -> NDArray[np.float64]:
    """Return pseudorandom numbers in [0, 1) [B, T] that depend on the hash of each pair [B], the position and `key`."""
    positions = np.arange(batch.target_input.shape[1], dtype=np.uint64)
    return uniform(hash64(pairs, key)[:, None] + positions, key)  # [B, T]
