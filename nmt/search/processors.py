"""Logits processors: changes of the log-probabilities of the next piece.

B sentences, R rows, t pieces so far, n pieces of an n-gram, V vocabulary, W = V - EOS pieces that can be generated.
"""

from __future__ import annotations

import math

from nmt.arrays import Array, gather, kth_greatest, log_softmax, namespace, put
from nmt.data.special_tokens import EOS, PAD
from nmt.search.processed_model import Stateless


class MinimumLength(Stateless):
    """Forbids EOS before a minimum number of pieces."""

    only_masks = True

    def __init__(self, lengths: Array) -> None:
        """Take the fewest pieces of each sentence [B] without EOS; at most its length limit."""
        self._lengths = lengths

    def initial_state(self) -> Array:
        """Return the minimum length of each sentence [B], which follows its rows."""
        return self._lengths

    def process(self, log_probs: Array, pieces: Array, state: Array | None) -> Array:
        """Mask EOS in rows that are too short."""
        assert state is not None
        # PAD is never generated, so masking it has no effect.
        masked = namespace(state).where(state > pieces.shape[1], EOS, PAD)  # [R]
        return put(log_probs, masked[:, None], -math.inf)  # [R, V]


class NgramBlocking(Stateless):
    """Forbids n-grams that occur in the hypothesis already (Paulus et al. 2018)."""

    only_masks = True

    def __init__(self, size: int) -> None:
        """Take n, at least 1."""
        self._size = size

    def process(self, log_probs: Array, pieces: Array, state: Array | None) -> Array:
        """Mask every piece that would complete a repeated n-gram."""
        start = pieces.shape[1] - self._size + 1
        if start < 1:
            return log_probs
        xp = namespace(pieces)
        ngrams = xp.stack([pieces[:, n : n + start] for n in range(self._size)], axis=2)  # [R, start, n]
        last = pieces[:, None, start:]  # [R, 1, n - 1]
        repeated = xp.all(ngrams[:, :, :-1] == last, axis=2)  # [R, start]
        # PAD is never generated, so masking it has no effect.
        return put(log_probs, xp.where(repeated, ngrams[:, :, -1], PAD), -math.inf)  # [R, V]


class RepetitionPenalty(Stateless):
    """Makes pieces that occur in the hypothesis already less probable (Keskar et al. 2019, section 4.1).

    The paper divides logits by theta, which would make a piece with a negative logit more probable. Log-probabilities
    are never above zero: here they are multiplied by theta, and normalized again.
    """

    only_masks = False

    def __init__(self, theta: float) -> None:
        """Take theta, above 1; 1.2 in the paper."""
        self._theta = theta

    def process(self, log_probs: Array, pieces: Array, state: Array | None) -> Array:
        """Penalize the pieces of each row."""
        values = gather(log_probs, pieces)  # [R, t]
        return log_softmax(put(log_probs, pieces, values * self._theta))  # [R, V]


class Temperature(Stateless):
    """Raises the probabilities to the power 1/T: below 1 a sharper distribution, above 1 a flatter one."""

    only_masks = False

    def __init__(self, temperature: float) -> None:
        """Take T, above 0."""
        self._temperature = temperature

    def process(self, log_probs: Array, pieces: Array, state: Array | None) -> Array:
        """Divide the log-probabilities by the temperature, and normalize."""
        return log_softmax(log_probs / self._temperature)  # [R, V]


class TopKFilter(Stateless):
    """Keeps the k most probable pieces (Fan et al. 2018), and all that are as probable as the last of them."""

    only_masks = True

    def __init__(self, count: int) -> None:
        """Take k, at least 1."""
        self._count = count

    def process(self, log_probs: Array, pieces: Array, state: Array | None) -> Array:
        """Mask all other pieces. PAD, UNK and BOS do not count."""
        generated = log_probs[:, EOS:]  # [R, W]
        threshold = kth_greatest(generated, min(self._count, generated.shape[1]))  # [R, 1]
        return namespace(log_probs).where(log_probs < threshold, -math.inf, log_probs)  # [R, V]


class TopPFilter(Stateless):
    """Keeps the nucleus: the fewest, most probable pieces with total probability p (Holtzman et al. 2020)."""

    only_masks = True

    def __init__(self, probability: float) -> None:
        """Take p, above 0 and below 1."""
        self._probability = probability

    def process(self, log_probs: Array, pieces: Array, state: Array | None) -> Array:
        """Mask all other pieces. Probabilities are normalized without masked pieces, PAD, UNK and BOS."""
        xp = namespace(log_probs)
        descending = -xp.sort(-log_probs[:, EOS:], axis=1)  # [R, W]
        probabilities = xp.exp(log_softmax(xp.astype(descending, xp.float64)))  # [R, W]
        cumulative = xp.cumulative_sum(probabilities, axis=1)  # [R, W]
        # The piece that passes p is kept: those before it have less than p.
        before = xp.sum(xp.astype(cumulative < self._probability, xp.int64), axis=1, keepdims=True)  # [R, 1]
        last = xp.clip(before, max=cumulative.shape[1] - 1)  # [R, 1]
        return xp.where(log_probs < gather(descending, last), -math.inf, log_probs)  # [R, V]
