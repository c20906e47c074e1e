"""Batched beam search.   B sentences, K beam size, R rows (k hypotheses for each live sentence), V vocabulary.

The textbook search: at each step all live hypotheses of a sentence are continued with all pieces, and the K best
continuations by log-probability stay. Those that continue with EOS have ended and leave the beam; of these the n best
by score are kept. With K = 1 this is greedy search.

It is exact: a sentence is done when no live hypothesis could still beat the worst of the n kept ones, however it went
on (see `Normalization.upper_bound`), so stopping early never changes the result, and the best hypothesis does not
depend on how many are asked for. The stopping rule "fast" gives that up: there a sentence is done when no live
hypothesis has, as it is now, a better score than the worst of the n kept ones.

At the length limit only EOS can follow. A hypothesis that is cut there is given only if its sentence has no other; the
log-probability of EOS counts, so that all scores mean the same.

Equal values: the hypothesis that ended earlier, then the one that continues the better row, then the smaller piece.

The network's part stays on its device; the book-keeping, a few numbers for each row, is done on the host for all
sentences at once, with one transfer a step.
"""

from __future__ import annotations

from typing import Literal, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from nmt.data.special_tokens import BOS, EOS
from nmt.errors import CheckpointError
from nmt.search.history import FloatArray, History, IntArray
from nmt.search.interface import (
    DONE_SHARE,
    Continuations,
    MemoryT,
    StateT,
    StepModel,
    TokenHypothesis,
    select_rows,
    to_device,
    to_host,
)
from nmt.search.length_normalization import LengthNormalization
from nmt.search.top_k import as_top_k_model

Stopping = Literal["exact", "fast"]


@torch.inference_mode()
def beam_search(
    model: StepModel[MemoryT, StateT],
    source: Tensor,
    lengths: Tensor,
    *,
    beam_size: int,
    n_best: int,
    max_lengths: Tensor,
    normalization: LengthNormalization,
    stopping: Stopping = "exact",
) -> list[list[TokenHypothesis]]:
    """Translate a batch.

    Args:
        model: What gives the log-probabilities.
        source: Source ids [B, S] with EOS, padded to the right.
        lengths: Their lengths [B].
        beam_size: K, hypotheses followed at each step.
        n_best: Hypotheses wanted for each sentence, at most K.
        max_lengths: Longest hypothesis of each sentence [B] in pieces, EOS not counted.
        normalization: Makes scores out of log-probabilities.
        stopping: When a sentence is done, see above.

    Returns:
        For each sentence its hypotheses, best first: `n_best`, or fewer where fewer ended within the limit; at least 1.
    """
    assert 1 <= n_best <= beam_size
    memory = model.encode(source, lengths)
    state = model.init_state(memory)
    beams = _Beams(
        max_lengths=to_host(max_lengths),
        beam_size=beam_size,
        n_best=n_best,
        normalization=normalization,
        stopping=stopping,
    )
    ids = torch.full_like(lengths, BOS)
    steps = as_top_k_model(model)
    while True:
        behind = torch.from_numpy(beams.behind()).to(source.device)
        output = steps.continue_best(ids, state, memory, behind, beam_size)
        before = beams.count
        move = beams.advance(output.continuations, output.eos, output.bonus)
        if not beams.count:
            return beams.history.hypotheses()
        memory = select_rows(memory, move.sentences, of=before, device=source.device)
        state = select_rows(output.state, move.rows, of=len(ids), device=source.device)
        ids = to_device(move.ids, source.device)


class _Transition(NamedTuple):
    """What follows from a step for those sentences that stay in the batch."""

    ids: IntArray
    """The pieces to feed next, one for each new row."""
    rows: IntArray
    """The row that each new row continues."""
    sentences: IntArray
    """Which sentences stay, counted in the batch as it was."""


class _Beams:
    """The beams of the sentences in the batch: b of them, k hypotheses each, t pieces long."""

    def __init__(
        self,
        *,
        max_lengths: IntArray,
        beam_size: int,
        n_best: int,
        normalization: LengthNormalization,
        stopping: Stopping,
    ) -> None:
        self.history = History(sentences=len(max_lengths), beam_size=beam_size, n_best=n_best)
        self._beam_size = beam_size
        self._normalization = normalization
        self._stopping = stopping
        self._limits = max_lengths
        self._sentences: IntArray = np.arange(len(max_lengths))
        self._totals: FloatArray = np.zeros((len(max_lengths), 1))  # log-probabilities [b, k]; -inf: no hypothesis

    @property
    def count(self) -> int:
        """Number of sentences in the batch, b."""
        return len(self._sentences)

    def behind(self) -> NDArray[np.float32]:
        """Return how far each hypothesis is behind its sentence's best one [b, k]; -inf: no hypothesis.

        Differences and not sums, so that float32 is enough to tell continuations apart.
        """
        best = self._totals.max(axis=1, keepdims=True)
        differences: NDArray[np.float32] = (self._totals - np.where(best == -np.inf, 0.0, best)).astype(np.float32)
        return differences

    def advance(self, best: Continuations, eos: Tensor, bonus: Tensor | None) -> _Transition:
        """Continue all hypotheses by one piece.

        Args:
            best: The best continuations of each sentence, c of them.
            eos: The log-probability of EOS for each row [b * k].
            bonus: What is added to the score of a hypothesis of each row that ends now [b * k].
        """
        sentence = np.arange(self.count)[:, np.newaxis]
        log_probs, rows, pieces = to_host(best.log_probs), to_host(best.rows), to_host(best.pieces)
        candidates = self._totals[sentence, rows] + log_probs
        if np.isnan(candidates).any():
            raise CheckpointError("The model gives undefined probabilities (NaN): its weights are damaged.")
        order = sentence, np.lexsort((pieces, rows, -candidates), axis=1)[:, : self._beam_size]
        totals, parents, chosen = candidates[order], rows[order], pieces[order]
        values = (log_probs if best.own is None else to_host(best.own))[order]
        bonuses = None if bonus is None else to_host(bonus).reshape(self._totals.shape)

        ended = chosen == EOS
        if ended.any():
            self._end(
                self._sentences, np.where(ended, totals, -np.inf), values, parents, _at(bonuses, order[0], parents)
            )
        totals[ended] = -np.inf
        done = self._done(totals)
        cut = done & ~self.history.any_kept(self._sentences)
        if cut.any():
            self._cut(cut, to_host(eos), bonuses)
        self.history.add(self._sentences, rows=parents, pieces=chosen, log_probs=values)
        totals[done] = -np.inf
        return self._shrink(done, totals, parents, chosen)

    def _done(self, totals: FloatArray) -> NDArray[np.bool_]:
        """Return which sentences are done, whose live hypotheses now have the log-probabilities `totals` [b, k]."""
        best = totals.max(axis=1)
        limit_reached = self._limits <= self.history.steps
        length = self._limits + 1 if self._stopping == "exact" else self.history.steps + 1
        bound = self._normalization.upper_bound(best, length)
        return np.asarray((best == -np.inf) | limit_reached | (self.history.worst_kept(self._sentences) >= bound))

    def _cut(self, cut: NDArray[np.bool_], eos: FloatArray, bonuses: FloatArray | None) -> None:
        """End the hypotheses of the sentences `cut` [b] as they were before this step, with `eos` [b * k]."""
        totals = self._totals[cut]
        values = eos.reshape(self._totals.shape)[cut]
        rows = np.broadcast_to(np.arange(totals.shape[1]), totals.shape)
        bonus = 0.0 if bonuses is None else bonuses[cut]
        self._end(self._sentences[cut], totals + values, values, rows, bonus, finished=False)

    def _end(
        self,
        sentences: IntArray,
        totals: FloatArray,
        eos: FloatArray,
        rows: IntArray,
        bonus: FloatArray | float,
        finished: bool = True,
    ) -> None:
        """Hand hypotheses that end now to the history; `totals` [b, k] with EOS, -inf where there is none."""
        scores = self._normalization.score(totals, self.history.steps + 1) + bonus
        self.history.keep(sentences, score=scores, eos=eos, row=rows, finished=finished)

    def _shrink(self, done: NDArray[np.bool_], totals: FloatArray, parents: IntArray, chosen: IntArray) -> _Transition:
        """Let sentences that are `done` [b] leave, if they are many or the last ones."""
        stay: IntArray = np.arange(self.count)
        if done.sum() >= DONE_SHARE * self.count:
            stay = np.flatnonzero(~done)
        rows = stay[:, np.newaxis] * self._totals.shape[1] + parents[stay]
        self._sentences, self._limits, self._totals = self._sentences[stay], self._limits[stay], totals[stay]
        return _Transition(ids=chosen[stay].reshape(-1), rows=rows.reshape(-1), sentences=stay)


def _at(bonuses: FloatArray | None, sentences: IntArray, rows: IntArray) -> FloatArray | float:
    """Return the bonus [b, k] of these rows; 0 if there are none."""
    return 0.0 if bonuses is None else bonuses[sentences, rows]
