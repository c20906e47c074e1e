"""Translations that start with given pieces.

B sentences, R rows, t pieces so far, P pieces of the longest prefix, V vocabulary.

A prefix wins over all else: what is blocked or avoided may be in it.
"""

from __future__ import annotations

import torch
from torch import Tensor

from nmt.data.symbols import PAD


class Prefix:
    """The first pieces of each sentence of a batch."""

    def __init__(self, pieces: Tensor) -> None:
        """Take the pieces [B, P], PAD behind them."""
        self._pieces = pieces

    def start(self) -> Tensor:
        """Return the prefix of each sentence [B, P]."""
        return self._pieces

    def force(self, log_probs: Tensor, own: Tensor, pieces: Tensor, prefixes: Tensor) -> Tensor:
        """Bar all but the prefix's next piece, in rows that are still within it.

        Args:
            log_probs: Of the next piece, shaped [R, V].
            own: As the model gives them [R, V].
            pieces: What each row has so far [R, t].
            prefixes: Of the rows [R, P].
        """
        place = pieces.shape[1]
        if place >= prefixes.shape[1]:
            return log_probs
        following = prefixes[:, place : place + 1]
        forced = torch.full_like(log_probs, -torch.inf).scatter(1, following, own.gather(1, following))
        return torch.where(following == PAD, log_probs, forced)
