"""Diverse beam search (Vijayakumar et al. 2018): groups of hypotheses that avoid each other's pieces.

B sentences, G groups, K rows of each group, R = B x G x K rows, C continuations, V vocabulary, b beams of one group.

The beam of a sentence is divided into groups. At each step the groups select one after the other. A piece that n
hypotheses of earlier groups have just selected gets a penalty of `strength` x n (Hamming diversity). The penalty
affects the selection, not the scores. The first group is a plain beam search of its size.

Inside a group another selector works on the penalized log-probabilities: top-k, or the one for required phrases.

Beam search treats each group as a sentence of its own, so stopping and keeping are those of a plain search.
`merge_groups` merges the hypotheses of the groups.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from nmt.search.interface import Continuations, TokenHypothesis
from nmt.search.processed_model import Selector

OWN_COLUMNS = 2
"""The sentence and the group of a row; the state of the inner selector follows in the other columns."""


class DiverseBeamSelector:
    """Selects continuations in a batch where each sentence is repeated G times in a row."""

    def __init__(
        self, selector: Selector, *, sentences: int, groups: int, strength: float, device: torch.device
    ) -> None:
        """Wrap a selector.

        Args:
            selector: Selects inside each group; made for the same batch of repeated sentences.
            sentences: B.
            groups: G.
            strength: The penalty, at least 0.
            device: The device of the model.
        """
        self._selector = selector
        self._sentences = sentences
        self._groups = groups
        self._strength = strength
        self._device = device

    def initial_state(self) -> Tensor:
        """Return the sentence and the group of each beam, then the state of the inner selector [B * G, 2 + ...]."""
        beam = torch.arange(self._sentences * self._groups, device=self._device)  # [B * G]
        sentence = torch.div(beam, self._groups, rounding_mode="floor")  # [B * G]
        own = torch.stack([sentence, beam % self._groups], dim=1)  # [B * G, 2]
        inner = self._selector.initial_state()
        return own if inner is None else torch.cat([own, inner], dim=1)

    def advance(self, state: Tensor, ids: Tensor) -> Tensor:
        """Return the state after `ids`; no row changes its group."""
        if state.shape[1] == OWN_COLUMNS:
            return state
        return torch.cat([state[:, :OWN_COLUMNS], self._selector.advance(state[:, OWN_COLUMNS:], ids)], dim=1)

    def select(
        self, log_probs: Tensor, totals: Tensor, count: int, pieces: Tensor, state: Tensor | None
    ) -> Continuations:
        """Select for the first group of all sentences, then for the second, and so on."""
        assert state is not None
        beams, rows = totals.shape
        vocabulary = log_probs.shape[1]
        sentence, group = state[::rows, :OWN_COLUMNS].unbind(1)  # [beams] each
        by_beam = log_probs.view(beams, rows, vocabulary)  # [beams, K, V]
        counts = log_probs.new_zeros(self._sentences, vocabulary)  # [B, V]: how often each piece was selected
        parts, order = [], []
        for number in range(self._groups):
            members = (group == number).nonzero().squeeze(1)  # [b]
            if not len(members):  # all beams of this group are done
                continue
            penalty = self._strength * counts[sentence[members]]  # [b, V]
            penalized = (by_beam[members] - penalty.unsqueeze(1)).flatten(0, 1)  # [b * K, V]
            row = (members.unsqueeze(1) * rows + torch.arange(rows, device=members.device)).flatten()  # [b * K]
            selected = self._selector.select(penalized, totals[members], count, pieces[row], state[row, OWN_COLUMNS:])
            columns = selected.rows * vocabulary + selected.pieces  # [b, C]
            values = by_beam[members].flatten(1).gather(1, columns)  # [b, C], without the penalty
            values = values.masked_fill(selected.log_probs == -torch.inf, -torch.inf)
            # A finished beam may or may not have left the batch yet, which must make no difference.
            real = torch.isfinite(totals[members].gather(1, selected.rows) + values).to(counts.dtype)  # [b, C]
            counts.index_put_((sentence[members].unsqueeze(1).expand_as(real), selected.pieces), real, accumulate=True)
            parts.append(selected._replace(log_probs=values))
            order.append(members)
        back = torch.cat(order).argsort()  # [beams]
        return Continuations(
            torch.cat([part.log_probs for part in parts])[back],  # [beams, C]
            torch.cat([part.rows for part in parts])[back],
            torch.cat([part.pieces for part in parts])[back],
        )


def merge_groups(
    hypotheses: Sequence[Sequence[TokenHypothesis]], *, groups: int, n_best: int
) -> list[list[TokenHypothesis]]:
    """Return the n best different hypotheses of each sentence from those of each of its groups.

    Unfinished hypotheses are returned only for a sentence without finished ones.
    """
    merged = []
    for start in range(0, len(hypotheses), groups):
        every = [hypothesis for group in hypotheses[start : start + groups] for hypothesis in group]
        every.sort(key=lambda hypothesis: -hypothesis.score)
        finished = [hypothesis for hypothesis in every if hypothesis.finished] or every
        different = {tuple(hypothesis.ids): hypothesis for hypothesis in reversed(finished)}
        merged.append(sorted(different.values(), key=lambda hypothesis: -hypothesis.score)[:n_best])
    return merged
