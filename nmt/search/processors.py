"""Changes of the log-probabilities of the next piece, each a small thing of its own.

B sentences, R rows, t pieces so far, n pieces of an n-gram, V vocabulary.
"""

from __future__ import annotations

import torch
from torch import Tensor

from nmt.data.special_tokens import EOS, PAD
from nmt.search.processed_model import Stateless


class _PerSentence(Stateless):
    """A shaper whose marks are what it knows of each sentence."""

    def __init__(self, known: Tensor) -> None:
        self._known = known

    def start(self) -> Tensor:
        """Return what is known of each sentence."""
        return self._known


class MinimumLength(_PerSentence):
    """No EOS before a sentence has so many pieces."""

    keeps_values = True

    def __init__(self, lengths: Tensor) -> None:
        """Take the fewest pieces of each sentence [B], EOS not counted; at most its length limit."""
        super().__init__(lengths)

    def shape(self, log_probs: Tensor, pieces: Tensor, marks: Tensor | None) -> Tensor:
        """Bar EOS where it would come too early."""
        assert marks is not None
        shaped = log_probs.clone()
        shaped[:, EOS].masked_fill_(marks > pieces.shape[1], -torch.inf)
        return shaped


class NgramBlocking(Stateless):
    """No n pieces in a row appear twice in a translation (Paulus et al. 2018)."""

    keeps_values = True

    def __init__(self, size: int) -> None:
        """Take n, at least 1."""
        self._size = size

    def shape(self, log_probs: Tensor, pieces: Tensor, marks: Tensor | None) -> Tensor:
        """Bar every piece that would complete an n-gram that is there already."""
        before = pieces.shape[1] - self._size + 1
        if before < 1:
            return log_probs
        grams = pieces.unfold(1, self._size, 1)
        last = pieces[:, before:].unsqueeze(1)
        known = (grams[:, :, :-1] == last).all(2)
        # PAD is never generated, so barring it does nothing.
        return log_probs.scatter(1, torch.where(known, grams[:, :, -1], PAD), -torch.inf)


class RepetitionPenalty(Stateless):
    """Pieces that are there already become less probable (Keskar et al. 2019, section 4.1).

    The paper divides logits by theta; a logit below zero would become more probable so. Log-probabilities are logits,
    and never above zero: they are multiplied by theta, and normalised anew.
    """

    keeps_values = False

    def __init__(self, theta: float) -> None:
        """Take theta, above 1; 1.2 in the paper."""
        self._theta = theta

    def shape(self, log_probs: Tensor, pieces: Tensor, marks: Tensor | None) -> Tensor:
        """Make what each row has already less probable."""
        penalized = log_probs.scatter(1, pieces, log_probs.gather(1, pieces) * self._theta)
        return torch.log_softmax(penalized, dim=1)


class Temperature(Stateless):
    """p(w)^(1/T), normalised: below 1 sharper than the model, above 1 flatter."""

    keeps_values = False

    def __init__(self, temperature: float) -> None:
        """Take T, above 0."""
        self._temperature = temperature

    def shape(self, log_probs: Tensor, pieces: Tensor, marks: Tensor | None) -> Tensor:
        """Divide the log-probabilities by the temperature."""
        return torch.log_softmax(log_probs / self._temperature, dim=1)


class TopKFilter(Stateless):
    """None but the k most probable pieces (Fan et al. 2018); of equal ones at the border, all."""

    keeps_values = True

    def __init__(self, count: int) -> None:
        """Take k, at least 1."""
        self._count = count

    def shape(self, log_probs: Tensor, pieces: Tensor, marks: Tensor | None) -> Tensor:
        """Bar the others. PAD, UNK and BOS are not counted."""
        real = log_probs[:, EOS:]
        least = real.topk(min(self._count, real.shape[1]), dim=1).values[:, -1:]
        return log_probs.masked_fill(log_probs < least, -torch.inf)


class TopPFilter(Stateless):
    """None but the nucleus (Holtzman et al. 2020): the fewest, most probable pieces that have a share p together."""

    keeps_values = True

    def __init__(self, share: float) -> None:
        """Take p, above 0 and below 1."""
        self._share = share

    def shape(self, log_probs: Tensor, pieces: Tensor, marks: Tensor | None) -> Tensor:
        """Bar the others. What earlier shapers and PAD, UNK and BOS took away has no share."""
        descending = log_probs[:, EOS:].sort(dim=1, descending=True).values
        shares = torch.softmax(descending.double(), dim=1).cumsum(1)
        # The piece that passes the share is in: those before it did not have it yet.
        count = (shares < self._share).sum(1, keepdim=True).clamp_max(shares.shape[1] - 1)
        return log_probs.masked_fill(log_probs < descending.gather(1, count), -torch.inf)
