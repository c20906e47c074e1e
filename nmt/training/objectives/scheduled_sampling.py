"""Scheduled sampling: the decoder learns to go on from what it writes itself (Bengio et al. 2015).

B sentences, T target length, N positions, O output size, V vocabulary.

A decoder that has only ever been fed the reference does not know its own mistakes. Here some of the pieces it is fed
are its own predictions. Bengio et al. predict them on the way; Mihaylova and Martins (2019) in a pass of their own,
which is fed the reference and predicts all positions at once:

    first pass    y^_t = best or drawn from p(. | y_<t, x), no gradient
    second pass   log p(y_t | u_<t, x), u_t = y^_t with the probability of the update, else y_t

This serves every decoder alike, and costs one more run of it. Its dropout is on: without it, a model predicts what it
has learnt by heart far better than what it will have to translate.
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
"""Logits held at once."""
_FIRST_TEXT_PIECE = EOS + 1
"""Before it are the pieces that no translation has inside: a translation that EOS has ended is fed no further."""


class MixedInput(NamedTuple):
    """What the decoder is fed."""

    pieces: Tensor
    """[B, T]"""
    own: int
    """How many of them it predicted itself."""


class ScheduledSampler:
    """Puts predictions in the place of reference pieces, each at random with the probability of the update."""

    def __init__(self, *, model: Seq2Seq, options: ScheduledSamplingConfig, seed: int, dtype: torch.dtype) -> None:
        """Prepare.

        Args:
            model: What predicts.
            options: How often, and what.
            seed: Another seed, other places and draws.
            dtype: Of matrix products.
        """
        self.model = model
        self.options = options
        self.seed = seed
        self.dtype = dtype
        self._steepness = half_way(options.ramp_updates)

    def probability(self, update: int) -> float:
        """Return the probability of a prediction at this update, counted from 1."""
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
    def feed(self, batch: TensorBatch, memory: Memory, update: int) -> MixedInput:
        """Return the target input with predictions in it; `memory` is that of the batch's sources.

        Which places, and what is drawn there, depends on seed, update and pair alone, not on the rest of the batch.
        BOS and padding stay.
        """
        probability = self.probability(update)
        if probability == 0:
            return MixedInput(batch.target_input, 0)
        pairs = _pair_numbers(batch)
        wanted = _chances(pairs, batch, make_key(self.seed, 6, update)) < probability
        wanted[:, 0] = False
        wanted &= batch.target_mask.cpu().numpy()
        rows, places = np.nonzero(wanted)
        if not len(rows):
            return MixedInput(batch.target_input, 0)
        draws = _chances(pairs, batch, make_key(self.seed, 7, update))[rows, places]
        device = batch.target_input.device
        row, place = torch.from_numpy(rows).to(device), torch.from_numpy(places).to(device)
        # A context of its own: autocast would keep the weights it has cast here, for the pass that needs gradients.
        with autocast(device, self.dtype):
            states, _ = self.model.decode(batch.target_input, memory)
        pieces = batch.target_input.clone()
        pieces[row, place] = self._predict(states[row, place - 1], torch.from_numpy(draws).to(device))
        return MixedInput(pieces, len(rows))

    def _predict(self, states: Tensor, chances: Tensor) -> Tensor:
        """Return the best pieces [N] after `states` [N, O], or those drawn at `chances` [N] (0 to 1, excluded)."""
        weight, bias = (
            values[_FIRST_TEXT_PIECE:].to(self.dtype)
            for values in (self.model.output.joint_weight(), self.model.output.bias)
        )
        predicted = []
        rows = max(1, _CHUNK_ELEMENTS // len(weight))
        for start in range(0, len(states), rows):
            part = slice(start, start + rows)
            logits = linear(states[part].to(self.dtype), weight, bias)
            if self.options.choice == "argmax":
                predicted.append(logits.argmax(1))
            else:
                sums = torch.softmax(logits.double(), dim=1).cumsum(1)
                places = torch.searchsorted(sums, chances[part].unsqueeze(1) * sums[:, -1:], right=True).squeeze(1)
                predicted.append(places.clamp_max(len(weight) - 1))
        return torch.cat(predicted) + _FIRST_TEXT_PIECE


def half_way(updates: int) -> float:
    """Return the k of 1 / (1 + k exp(-i / k)) whose value at i = `updates` / 2 is one half: k ln k = `updates` / 2.

    At 0 that is 1 / (k + 1), and k / (k + 1) at `updates`.
    """
    low, high = 1.0, max(2.0, updates / 2 + 1)
    for _ in range(60):
        middle = (low + high) / 2
        low, high = (middle, high) if middle * math.log(middle) < updates / 2 else (low, middle)
    return high


def _pair_numbers(batch: TensorBatch) -> NDArray[np.uint64]:
    """A number for each pair that tells it from others [B]: a hash of its pieces."""
    total = np.zeros(len(batch.source), dtype=np.uint64)
    target_lengths = batch.target_mask.sum(1)
    for key, (ids, lengths) in enumerate(((batch.source, batch.source_lengths), (batch.target_output, target_lengths))):
        places = np.arange(ids.shape[1])
        hashes = hash64(ids.cpu().numpy() + (places << 32), make_key(key))
        hashes[places >= lengths.cpu().numpy()[:, None]] = 0
        total += hashes.sum(1, dtype=np.uint64)
    return total


def _chances(pairs: NDArray[np.uint64], batch: TensorBatch, key: int) -> NDArray[np.float64]:
    """Random-looking numbers from 0 to 1 (1 excluded) [B, T], for `pairs` [B]."""
    places = np.arange(batch.target_input.shape[1], dtype=np.uint64)
    return uniform(hash64(pairs, key)[:, None] + places, key)
