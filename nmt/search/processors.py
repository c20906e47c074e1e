"""Logits processors: changes of the log-probabilities of the next piece.

B sentences, R rows, t pieces so far, n pieces of an n-gram, V vocabulary, W = V - EOS pieces that can be generated.
"""

from __future__ import annotations

import torch
from torch import Tensor

from nmt.data.special_tokens import EOS, PAD
from nmt.search.processed_model import Stateless


class MinimumLength(Stateless):
    """Forbids EOS before a minimum number of pieces."""

    only_masks = True

    def __init__(self, lengths: Tensor) -> None:
        """Take the fewest pieces of each sentence [B] without EOS; at most its length limit."""
        self._lengths = lengths

    def initial_state(self) -> Tensor:
        """Return the minimum length of each sentence [B], which follows its rows."""
        return self._lengths

    def process(self, log_probs: Tensor, pieces: Tensor, state: Tensor | None) -> Tensor:
        """Mask EOS in rows that are too short."""
        assert state is not None
        processed = log_probs.clone()  # [R, V]
        processed[:, EOS].masked_fill_(state > pieces.shape[1], -torch.inf)
        return processed


class NgramBlocking(Stateless):
    """Forbids n-grams that occur in the hypothesis already (Paulus et al. 2018)."""

    only_masks = True

    def __init__(self, size: int) -> None:
        """Take n, at least 1."""
        self._size = size

    def process(self, log_probs: Tensor, pieces: Tensor, state: Tensor | None) -> Tensor:
        """Mask every piece that would complete a repeated n-gram."""
        start = pieces.shape[1] - self._size + 1
        if start < 1:
            return log_probs
        ngrams = pieces.unfold(1, self._size, 1)  # [R, start, n]
        last = pieces[:, start:].unsqueeze(1)  # [R, 1, n - 1]
        repeated = (ngrams[:, :, :-1] == last).all(2)  # [R, start]
        # PAD is never generated, so masking it has no effect.
        return log_probs.scatter(1, torch.where(repeated, ngrams[:, :, -1], PAD), -torch.inf)  # [R, V]


class RepetitionPenalty(Stateless):
    """Makes pieces that occur in the hypothesis already less probable (Keskar et al. 2019, section 4.1).

    The paper divides logits by theta, which would make a piece with a negative logit more probable. Log-probabilities
    are never above zero: here they are multiplied by theta, and normalized again.
    """

    only_masks = False

    def __init__(self, theta: float) -> None:
        """Take theta, above 1; 1.2 in the paper."""
        self._theta = theta

    def process(self, log_probs: Tensor, pieces: Tensor, state: Tensor | None) -> Tensor:
        """Penalize the pieces of each row."""
        penalized = log_probs.scatter(1, pieces, log_probs.gather(1, pieces) * self._theta)  # [R, V]
        return torch.log_softmax(penalized, dim=1)


class Temperature(Stateless):
    """Raises the probabilities to the power 1/T: below 1 a sharper distribution, above 1 a flatter one."""

    only_masks = False

    def __init__(self, temperature: float) -> None:
        """Take T, above 0."""
        self._temperature = temperature

    def process(self, log_probs: Tensor, pieces: Tensor, state: Tensor | None) -> Tensor:
        """Divide the log-probabilities by the temperature, and normalize."""
        return torch.log_softmax(log_probs / self._temperature, dim=1)  # [R, V]


class TopKFilter(Stateless):
    """Keeps the k most probable pieces (Fan et al. 2018), and all that are as probable as the last of them."""

    only_masks = True

    def __init__(self, count: int) -> None:
        """Take k, at least 1."""
        self._count = count

    def process(self, log_probs: Tensor, pieces: Tensor, state: Tensor | None) -> Tensor:
        """Mask all other pieces. PAD, UNK and BOS do not count."""
        generated = log_probs[:, EOS:]  # [R, W]
        threshold = generated.topk(min(self._count, generated.shape[1]), dim=1).values[:, -1:]  # [R, 1]
        return log_probs.masked_fill(log_probs < threshold, -torch.inf)


class TopPFilter(Stateless):
    """Keeps the nucleus: the fewest, most probable pieces with total probability p (Holtzman et al. 2020)."""

    only_masks = True

    def __init__(self, probability: float) -> None:
        """Take p, above 0 and below 1."""
        self._probability = probability

    def process(self, log_probs: Tensor, pieces: Tensor, state: Tensor | None) -> Tensor:
        """Mask all other pieces. Probabilities are normalized without masked pieces, PAD, UNK and BOS."""
        descending = log_probs[:, EOS:].sort(dim=1, descending=True).values  # [R, W]
        cumulative = torch.softmax(descending.double(), dim=1).cumsum(1)  # [R, W]
        # The piece that passes p is kept: those before it have less than p.
        last = (cumulative < self._probability).sum(1, keepdim=True).clamp_max(cumulative.shape[1] - 1)  # [R, 1]
        return log_probs.masked_fill(log_probs < descending.gather(1, last), -torch.inf)
