"""Batched beam search.

B sentences, b sentences still in the batch, K beam size, k live rows per sentence (1 at first, then K), R = b x k rows,
C continuations, n hypotheses per sentence, S source length, V vocabulary.

The textbook search: at each step all live hypotheses of a sentence are continued with all pieces, and the K best
continuations by log-probability stay. Those that end with EOS leave the beam, and the n best of them by score are kept.
With K = 1 this is greedy search.

It is exact: a sentence is done when no live hypothesis can still beat the worst of the n kept ones with any
continuation. More pieces can only lower its log-probability, and the divisor of its score is greatest at the length
limit. So stopping early never changes the result, and the best hypothesis does not depend on n. The stopping rule
"fast" gives that up: a sentence is done when no live hypothesis, as it is now, has a better score than the worst of the
n kept ones.

At the length limit only EOS can follow. A hypothesis that is ended there is returned only if its sentence has no other.
The log-probability of EOS counts, so that all scores are comparable.

Ties: first the hypothesis that ended earlier, then the one that continues the better row, then the smaller id.

The network's part stays on its device. The bookkeeping, a few numbers per row, is done on the host for all sentences at
once, with a few small transfers per step.
"""

from __future__ import annotations

from typing import Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

from nmt.arrays import Array, from_host, inference, namespace, to_host
from nmt.data.special_tokens import BOS, EOS
from nmt.errors import CheckpointError
from nmt.search.history import FloatArray, History, IntArray
from nmt.search.interface import (
    DROP_SHARE,
    Continuations,
    MemoryT,
    StateT,
    StepModel,
    TokenHypothesis,
    select_rows,
)
from nmt.search.length_normalization import LengthNormalization
from nmt.search.top_k import as_top_k_model

Stopping = Literal["exact", "fast"]

LOWEST = np.finfo(np.float64).min


def beam_search(
    model: StepModel[MemoryT, StateT],
    source: Array,
    lengths: Array,
    *,
    beam_size: int,
    n_best: int,
    max_lengths: Array,
    normalization: LengthNormalization,
    stopping: Stopping = "exact",
) -> list[list[TokenHypothesis]]:
    """Translate a batch.

    Args:
        model: Gives the log-probabilities.
        source: Source ids [B, S] with EOS, padded to the right.
        lengths: Source lengths [B].
        beam_size: K.
        n_best: Hypotheses to return for each sentence, at most K.
        max_lengths: Length limit of each sentence [B] in pieces, without EOS.
        normalization: Computes scores from log-probabilities.
        stopping: When a sentence is done, see above.

    Returns:
        The hypotheses of each sentence, best first: at least one, fewer than `n_best` if fewer ended within the limit.
    """
    assert 1 <= n_best <= beam_size
    beams = _Beams(
        max_lengths=to_host(max_lengths),
        beam_size=beam_size,
        n_best=n_best,
        normalization=normalization,
        stopping=stopping,
    )
    top_k_model = as_top_k_model(model)
    with inference(source):
        memory = model.encode(source, lengths)
        state = model.init_state(memory)
        ids = namespace(source).full_like(lengths, BOS)  # [R]
        while True:
            relative_scores = from_host(beams.relative_scores(), source)  # [b, k]
            output = top_k_model.step_top_k(ids, state, memory, relative_scores, beam_size)
            transition = beams.advance(output.continuations, output.eos, output.bonus)
            if not beams.count:
                return beams.history.hypotheses()
            if transition.sentences is not None:
                memory = memory.select(from_host(transition.sentences, source))
            state = select_rows(output.state, transition.rows, of=len(ids), like=source)
            ids = from_host(transition.ids, source)


class _Transition(NamedTuple):
    """The batch of the next step, given the batch of this one."""

    ids: IntArray
    """The pieces to feed, one for each new row [R']."""
    rows: IntArray
    """The row that each new row continues [R']."""
    sentences: IntArray | None
    """The indices of the sentences that stay [b']. None: all stay."""


class _Beams:
    """The beams of the sentences in the batch."""

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
        # A hypothesis has its greatest divisor at the length limit. The sum counts EOS.
        self._bound_divisors = normalization.divisor(max_lengths + 1)  # [b]
        self._sentences: IntArray = np.arange(len(max_lengths))  # [b], as numbers of the original batch
        self._index = self._sentences[:, np.newaxis]  # [b, 1]: 0 to b - 1
        self._totals: FloatArray = np.zeros((len(max_lengths), 1))  # log-probabilities [b, k]; -inf: no hypothesis
        self._best: FloatArray = np.zeros(len(max_lengths))  # the greatest of each sentence [b]

    @property
    def count(self) -> int:
        """Number of sentences in the batch, b."""
        return len(self._sentences)

    def relative_scores(self) -> NDArray[np.float32]:
        """Return the log-probability of each hypothesis minus its sentence's best one [b, k]; -inf: no hypothesis.

        For small differences float32 is precise enough to rank continuations; for sums it is not.
        """
        # A sentence without hypotheses has -inf everywhere, and -inf minus -inf would be NaN.
        best = np.maximum(self._best, LOWEST)[:, np.newaxis]  # [b, 1]
        differences: NDArray[np.float32] = (self._totals - best).astype(np.float32)
        return differences

    def advance(self, best: Continuations, eos: Array, bonus: Array | None) -> _Transition:
        """Continue all hypotheses by one piece.

        Args:
            best: The C best continuations of each sentence.
            eos: The log-probability of EOS for each row [R].
            bonus: Added to the score of a hypothesis of each row that ends now [R].
        """
        totals, parents, pieces, values = self._sorted(best)  # [b, K] each
        bonuses = None if bonus is None else to_host(bonus).reshape(self._totals.shape)  # [b, k]
        ended = pieces == EOS  # [b, K]
        if ended.any():
            added = 0.0 if bonuses is None else bonuses[self._index, parents]  # [b, K]
            self._end(self._sentences, np.where(ended, totals, -np.inf), values, parents, added)
            totals[ended] = -np.inf
        best_live = totals.max(axis=1)  # [b]
        done = self._done(best_live)  # [b]
        any_done = bool(done.any())
        if any_done:
            without_result = done & ~self.history.any_kept(self._sentences)  # [b]
            if without_result.any():
                self._force_end(without_result, to_host(eos), bonuses)
            totals[done] = best_live[done] = -np.inf
        self.history.add(self._sentences, rows=parents, pieces=pieces, log_probs=values)
        width = self._totals.shape[1]
        self._totals, self._best = totals, best_live
        kept = self._drop_finished(done) if any_done else None  # [b']
        if kept is not None:
            parents, pieces = parents[kept], pieces[kept]  # [b', K] each
        offsets = self._index * width if kept is None else kept[:, np.newaxis] * width  # [b', 1]
        return _Transition(pieces.reshape(-1), (offsets + parents).reshape(-1), kept)  # [b' * K] each

    def _sorted(self, best: Continuations) -> tuple[FloatArray, IntArray, IntArray, FloatArray]:
        """Return the total log-probability, row, piece and log-probability of the K best continuations [b, K] each."""
        log_probs, rows, pieces = to_host(best.log_probs), to_host(best.rows), to_host(best.pieces)  # [b, C] each
        values = log_probs if best.model_log_probs is None else to_host(best.model_log_probs)  # [b, C]
        totals = self._totals[self._index, rows] + log_probs  # [b, C]
        size = self._beam_size
        if totals.shape[1] > 1 and (totals[:, 1:] < totals[:, :-1]).all():  # sorted, without ties and NaN
            return totals[:, :size], rows[:, :size], pieces[:, :size], values[:, :size]
        if np.isnan(totals).any():
            raise CheckpointError("The model computes undefined probabilities (NaN): its weights are damaged.")
        order = self._index, np.lexsort((pieces, rows, -totals), axis=1)[:, :size]
        return totals[order], rows[order], pieces[order], values[order]

    def _done(self, best: FloatArray) -> NDArray[np.bool_]:
        """Return which sentences are done [b], given the log-probability of their best live hypotheses [b]."""
        steps = self.history.steps
        divisors = self._bound_divisors if self._stopping == "exact" else self._normalization.divisor(steps + 1)
        bound = best / divisors  # [b]: no continuation scores higher
        worst = self.history.worst_kept(self._sentences)  # [b]
        return np.asarray((best == -np.inf) | (self._limits <= steps) | (worst >= bound))

    def _force_end(self, which: NDArray[np.bool_], eos: FloatArray, bonuses: FloatArray | None) -> None:
        """End the hypotheses that the sentences `which` [b] had before this step, with `eos` [R]."""
        totals = self._totals[which]  # [b', k]
        values = eos.reshape(self._totals.shape)[which]  # [b', k]
        rows = np.broadcast_to(np.arange(totals.shape[1]), totals.shape)  # [b', k]
        bonus = 0.0 if bonuses is None else bonuses[which]
        self._end(self._sentences[which], totals + values, values, rows, bonus, finished=False)

    def _end(
        self,
        sentences: IntArray,
        totals: FloatArray,
        eos: FloatArray,
        rows: IntArray,
        bonus: FloatArray | float,
        finished: bool = True,
    ) -> None:
        """Record hypotheses that end now; `totals` [b, k] include EOS and are -inf where there is no hypothesis."""
        scores = self._normalization.score(totals, self.history.steps + 1) + bonus  # [b, k]
        self.history.keep(sentences, score=scores, eos=eos, row=rows, finished=finished)

    def _drop_finished(self, done: NDArray[np.bool_]) -> IntArray | None:
        """Remove the sentences that are `done` [b] from the batch, if they are many or the last ones.

        Returns:
            The sentences that stay [b']. None: all stay.
        """
        if done.sum() < DROP_SHARE * self.count:
            return None
        kept = np.flatnonzero(~done)  # [b']
        self._sentences, self._limits, self._totals = self._sentences[kept], self._limits[kept], self._totals[kept]
        self._best, self._bound_divisors = self._best[kept], self._bound_divisors[kept]
        self._index = self._index[: len(kept)]
        return kept
