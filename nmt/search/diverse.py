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

import math
from collections.abc import Sequence

import numpy as np

from nmt.arrays import Array, add_at, from_host, gather, namespace, to_host
from nmt.search.interface import Continuations, TokenHypothesis
from nmt.search.processed_model import Selector

OWN_COLUMNS = 2
"""The sentence and the group of a row; the state of the inner selector follows in the other columns."""


class DiverseBeamSelector:
    """Selects continuations in a batch where each sentence is repeated G times in a row."""

    def __init__(self, selector: Selector, *, sentences: int, groups: int, strength: float, like: Array) -> None:
        """Wrap a selector.

        Args:
            selector: Selects inside each group; made for the same batch of repeated sentences.
            sentences: B.
            groups: G.
            strength: The penalty, at least 0.
            like: An array of the model.
        """
        self._selector = selector
        self._sentences = sentences
        self._groups = groups
        self._strength = strength
        self._like = like

    def initial_state(self) -> Array:
        """Return the sentence and the group of each beam, then the state of the inner selector [B * G, 2 + ...]."""
        sentence, group = np.divmod(np.arange(self._sentences * self._groups), self._groups)  # [B * G] each
        own = from_host(np.stack([sentence, group], axis=1), self._like)  # [B * G, 2]
        inner = self._selector.initial_state()
        return own if inner is None else namespace(own).concat([own, inner], axis=1)

    def advance(self, state: Array, ids: Array) -> Array:
        """Return the state after `ids`; no row changes its group."""
        if state.shape[1] == OWN_COLUMNS:
            return state
        inner = self._selector.advance(state[:, OWN_COLUMNS:], ids)
        return namespace(state).concat([state[:, :OWN_COLUMNS], inner], axis=1)

    def select(self, log_probs: Array, totals: Array, count: int, pieces: Array, state: Array | None) -> Continuations:
        """Select for the first group of all sentences, then for the second, and so on."""
        assert state is not None
        xp = namespace(log_probs)
        beams, rows = totals.shape
        vocabulary = log_probs.shape[1]
        sentence = state[::rows, 0]  # [beams]
        group = to_host(state[::rows, 1])  # [beams]
        by_beam = xp.reshape(log_probs, (beams, rows, vocabulary))  # [beams, K, V]
        shape = self._sentences, vocabulary
        counts = xp.zeros(shape, dtype=log_probs.dtype, device=log_probs.device)  # [B, V]: of selected pieces
        parts, order = [], []
        for number in range(self._groups):
            (found,) = np.nonzero(group == number)  # [b]
            if not len(found):  # all beams of this group are done
                continue
            members = from_host(found, log_probs)  # [b]
            row = from_host((found[:, np.newaxis] * rows + np.arange(rows)).reshape(-1), log_probs)  # [b * K]
            own = by_beam[members]  # [b, K, V]
            penalty = self._strength * counts[sentence[members]]  # [b, V]
            penalized = xp.reshape(own - penalty[:, None], (-1, vocabulary))  # [b * K, V]
            selected = self._selector.select(penalized, totals[members], count, pieces[row], state[row, OWN_COLUMNS:])
            columns = selected.rows * vocabulary + selected.pieces  # [b, C]
            values = gather(xp.reshape(own, (len(found), -1)), columns)  # [b, C]: not penalized
            values = xp.where(selected.log_probs == -math.inf, -math.inf, values)  # [b, C]
            # A finished beam may or may not have left the batch yet, which must make no difference.
            sums = gather(totals[members], selected.rows) + values  # [b, C]
            add_at(counts, sentence[members][:, None], selected.pieces, xp.astype(xp.isfinite(sums), counts.dtype))
            parts.append(selected._replace(log_probs=values))
            order.append(found)
        back = from_host(np.argsort(np.concatenate(order)), log_probs)  # [beams]
        return Continuations(
            xp.concat([part.log_probs for part in parts])[back],  # [beams, C]
            xp.concat([part.rows for part in parts])[back],
            xp.concat([part.pieces for part in parts])[back],
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
