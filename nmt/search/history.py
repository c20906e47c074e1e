"""Records the steps of beam search, and reads the hypotheses back.

B sentences, b sentences still in the batch, K beam size, k live rows per sentence, T steps, n hypotheses kept per
sentence, H hypotheses kept in all.

The arrays are small and stay on the host, in numpy: one operation for all sentences at once.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from nmt.search.interface import TokenHypothesis

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]

# The columns of an ended hypothesis: a row of the beam after `length` pieces, then EOS. All are exact in float64.
SCORE, EOS_LOG_PROB, LENGTH, ROW, FINISHED = range(5)


class History:
    """The pieces of each step with the rows that they continue, and the best ended hypotheses of each sentence."""

    def __init__(self, *, sentences: int, beam_size: int, n_best: int) -> None:
        self._shape = (sentences, beam_size)
        self._steps: list[tuple[IntArray, IntArray, FloatArray]] = []
        self._ended: FloatArray = np.full((sentences, n_best, 5), -np.inf)  # [B, n, 5]

    @property
    def steps(self) -> int:
        """Number of steps recorded."""
        return len(self._steps)

    def worst_kept(self, sentences: IntArray) -> FloatArray:
        """Return the score that a new hypothesis of each of `sentences` [b] must beat; -inf while there is room."""
        scores: FloatArray = self._ended[sentences, -1, SCORE]
        return scores

    def any_kept(self, sentences: IntArray) -> NDArray[np.bool_]:
        """Return which of `sentences` [b] have an ended hypothesis."""
        return np.asarray(self._ended[sentences, 0, SCORE] > -np.inf)

    def keep(
        self,
        sentences: IntArray,
        *,
        score: FloatArray,
        eos: FloatArray,
        row: IntArray,
        finished: bool,
    ) -> None:
        """Record hypotheses that end with EOS now, and keep the n best of each sentence; of equal ones the earlier.

        Args:
            sentences: [b].
            score: [b, k]; -inf where there is no hypothesis.
            eos: Log-probability of EOS [b, k].
            row: The row of the beam that ends [b, k].
            finished: False if the length limit ended them.
        """
        old, count = self._ended[sentences], self._ended.shape[1]  # [b, n, 5]
        every = np.empty((len(sentences), count + score.shape[1], 5))  # [b, n + k, 5]
        every[:, :count], new = old, every[:, count:]
        new[..., SCORE], new[..., EOS_LOG_PROB] = score, eos
        new[..., LENGTH], new[..., ROW], new[..., FINISHED] = self.steps, row, finished
        order = np.argsort(-every[..., SCORE], axis=1, kind="stable")[:, :count]  # [b, n]
        self._ended[sentences] = every[np.arange(len(sentences))[:, np.newaxis], order]

    def add(self, sentences: IntArray, *, rows: IntArray, pieces: IntArray, log_probs: FloatArray) -> None:
        """Record a step: `pieces` [b, k] continue the rows `rows` [b, k] of the beams of `sentences` [b]."""
        if rows.shape == self._shape:
            self._steps.append((rows, pieces, log_probs))
            return
        step = (
            np.zeros(self._shape, np.int64),
            np.zeros(self._shape, np.int64),
            np.zeros(self._shape, np.float64),
        )  # [B, K]
        for record, values in zip(step, (rows, pieces, log_probs), strict=True):
            record[sentences, : rows.shape[1]] = values
        self._steps.append(step)

    def hypotheses(self) -> list[list[TokenHypothesis]]:
        """Return the kept hypotheses of each sentence, best first, by following their rows back to the first step."""
        sentence, rank = np.nonzero(self._ended[..., SCORE] > -np.inf)  # [H] each
        ended = self._ended[sentence, rank]  # [H, 5]
        length, row = ended[:, LENGTH].astype(np.int64), ended[:, ROW].astype(np.int64)  # [H] each
        longest = int(length.max(initial=0))
        ids = np.zeros((len(sentence), longest), np.int64)  # [H, T]
        log_probs = np.zeros((len(sentence), longest), np.float64)  # [H, T]
        for step in reversed(range(longest)):
            rows, pieces, values = self._steps[step]
            ids[:, step], log_probs[:, step] = pieces[sentence, row], values[sentence, row]
            row = np.where(length > step, rows[sentence, row], row)
        hypotheses: list[list[TokenHypothesis]] = [[] for _ in range(self._shape[0])]
        for index, record in enumerate(ended):
            pieces_log_probs = np.append(log_probs[index, : length[index]], record[EOS_LOG_PROB])
            hypotheses[sentence[index]].append(
                TokenHypothesis(
                    ids=ids[index, : length[index]].tolist(),
                    # The order of addition is that of greedy search, so that the sums are equal to the bit.
                    log_probability=float(np.cumsum(pieces_log_probs)[-1]),
                    score=float(record[SCORE]),
                    piece_log_probabilities=pieces_log_probs.tolist(),
                    finished=bool(record[FINISHED]),
                )
            )
        return hypotheses
