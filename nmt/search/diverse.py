"""Diverse beam search (Vijayakumar et al. 2018): groups of hypotheses that keep away from each other.

B sentences, G groups, K rows of each group, R = B x G x K rows, V vocabulary.

The beam of a sentence is cut into groups. At each step the groups choose one after the other, and each pays, for a
piece that n hypotheses of the groups before it have just chosen, a penalty of `strength` x n (Hamming diversity). The
penalty decides what is chosen; it is not part of any score. The first group is a plain beam search of its size.

How a group chooses under its penalties is the business of another chooser: the best, or those that phrases require.

To beam search each group is a sentence of its own, so all that follows (stopping, keeping) is that of a plain search;
`merge_groups` puts the groups' hypotheses together.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from nmt.search.interface import Continuations, TokenHypothesis
from nmt.search.processed_model import Selector

OWN_STATES = 2
"""The sentence and the group of a row; behind them are the marks of the other chooser."""


class DiverseBeamSelector:
    """Chooses continuations for sentences of which each stands G times in a row in the batch."""

    def __init__(
        self, chooser: Selector, *, sentences: int, groups: int, strength: float, device: torch.device
    ) -> None:
        """Keep what is given.

        Args:
            chooser: Chooses for each group; made for sentences that stand G times in a row, as they do here.
            sentences: B.
            groups: G.
            strength: The penalty, at least 0.
            device: Of the model.
        """
        self._chooser = chooser
        self._sentences = sentences
        self._groups = groups
        self._strength = strength
        self._device = device

    def start(self) -> Tensor:
        """Return the sentence and the group of each row, and the marks of the other chooser [B x G, 2 + ...]."""
        number = torch.arange(self._sentences * self._groups, device=self._device)
        own = torch.stack([torch.div(number, self._groups, rounding_mode="floor"), number % self._groups], dim=1)
        others = self._chooser.start()
        return own if others is None else torch.cat([own, others], dim=1)

    def advance(self, marks: Tensor, ids: Tensor) -> Tensor:
        """Return the marks: no row changes its group."""
        if marks.shape[1] == OWN_STATES:
            return marks
        return torch.cat([marks[:, :OWN_STATES], self._chooser.advance(marks[:, OWN_STATES:], ids)], dim=1)

    def choose(
        self, log_probs: Tensor, totals: Tensor, count: int, pieces: Tensor, marks: Tensor | None
    ) -> Continuations:
        """Choose for the first group of all sentences, then for the second, and so on."""
        assert marks is not None
        beams, rows = totals.shape
        vocabulary = log_probs.shape[1]
        sentence, group = marks[::rows, :OWN_STATES].unbind(1)
        by_beam = log_probs.view(beams, rows, vocabulary)
        chosen = log_probs.new_zeros(self._sentences, vocabulary)  # how often each piece, at this step
        parts, order = [], []
        for number in range(self._groups):
            here = (group == number).nonzero().squeeze(1)
            if not len(here):  # all of this group are done
                continue
            penalty = self._strength * chosen[sentence[here]]
            penalized = (by_beam[here] - penalty.unsqueeze(1)).flatten(0, 1)
            row = (here.unsqueeze(1) * rows + torch.arange(rows, device=here.device)).flatten()
            found = self._chooser.choose(penalized, totals[here], count, pieces[row], marks[row, OWN_STATES:])
            values = by_beam[here].flatten(1).gather(1, found.rows * vocabulary + found.pieces)
            values = values.masked_fill(found.log_probs == -torch.inf, -torch.inf)
            # A beam that is done may still be in the batch, or not: it must make no difference.
            real = torch.isfinite(totals[here].gather(1, found.rows) + values).to(chosen.dtype)
            chosen.index_put_((sentence[here].unsqueeze(1).expand_as(real), found.pieces), real, accumulate=True)
            parts.append(found._replace(log_probs=values))
            order.append(here)
        back = torch.cat(order).argsort()
        return Continuations(
            torch.cat([part.log_probs for part in parts])[back],
            torch.cat([part.rows for part in parts])[back],
            torch.cat([part.pieces for part in parts])[back],
        )


def merge_groups(
    found: Sequence[Sequence[TokenHypothesis]], *, groups: int, n_best: int
) -> list[list[TokenHypothesis]]:
    """Return the n best different hypotheses of each sentence, given those of each of its groups.

    Hypotheses that were cut are taken only where there are no others.
    """
    merged = []
    for start in range(0, len(found), groups):
        every = [hypothesis for group in found[start : start + groups] for hypothesis in group]
        every.sort(key=lambda hypothesis: -hypothesis.score)
        ended = [hypothesis for hypothesis in every if hypothesis.finished] or every
        different = {tuple(hypothesis.ids): hypothesis for hypothesis in reversed(ended)}
        merged.append(sorted(different.values(), key=lambda hypothesis: -hypothesis.score)[:n_best])
    return merged
