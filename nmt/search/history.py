"""Records the steps of beam search, and reads the hypotheses back.

B sentences, b sentences still in the batch, K beam size, k live rows per sentence, T steps, n hypotheses kept per
sentence, H hypotheses kept in all.

The arrays are small and stay on the host, in numpy: one operation for all sentences at once.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from nmt.search.interface import TokenHypothesis

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]

# An ended hypothesis: a row of the beam after `length` pieces, then EOS.
ENDED = np.dtype(
    [
        ("score", np.float64),
        ("eos", np.float64),
        ("length", np.int64),
        ("row", np.int64),
        ("finished", np.bool_),
    ]
)


class History:
    """The pieces of each step with the rows that they continue, and the best ended hypotheses of each sentence."""

    def __init__(self, *, sentences: int, beam_size: int, n_best: int) -> None:
        self._shape = (sentences, beam_size)
        self._steps: list[tuple[IntArray, IntArray, FloatArray]] = []
        self._ended: NDArray[Any] = np.zeros((sentences, n_best), dtype=ENDED)  # [B, n]
        self._ended["score"] = -np.inf

    @property
    def steps(self) -> int:
        """Number of steps recorded."""
        return len(self._steps)

    def worst_kept(self, sentences: IntArray) -> FloatArray:
        """Return the score that a new hypothesis of each of `sentences` [b] must beat; -inf while there is room."""
        scores: FloatArray = self._ended["score"][sentences, -1]
        return scores

    def any_kept(self, sentences: IntArray) -> NDArray[np.bool_]:
        """Return which of `sentences` [b] have an ended hypothesis."""
        return np.asarray(self._ended["score"][sentences, 0] > -np.inf)

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
        new = np.empty(score.shape, dtype=ENDED)  # [b, k]
        new["score"], new["eos"] = score, eos
        new["length"], new["row"], new["finished"] = self.steps, row, finished
        every = np.concatenate([self._ended[sentences], new], axis=1)  # [b, n + k]
        order = np.argsort(-every["score"], axis=1, kind="stable")[:, : self._ended.shape[1]]  # [b, n]
        self._ended[sentences] = np.take_along_axis(every, order, axis=1)

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
        sentence, rank = np.nonzero(self._ended["score"] > -np.inf)  # [H] each
        ended = self._ended[sentence, rank]  # [H]
        length, row = ended["length"], ended["row"].copy()
        longest = int(length.max(initial=0))
        ids = np.zeros((len(sentence), longest), np.int64)  # [H, T]
        log_probs = np.zeros((len(sentence), longest), np.float64)  # [H, T]
        for step in reversed(range(longest)):
            rows, pieces, values = self._steps[step]
            ids[:, step], log_probs[:, step] = pieces[sentence, row], values[sentence, row]
            row = np.where(length > step, rows[sentence, row], row)
        hypotheses: list[list[TokenHypothesis]] = [[] for _ in range(self._shape[0])]
        for index, record in enumerate(ended):
            pieces_log_probs = np.append(log_probs[index, : length[index]], record["eos"])
            hypotheses[sentence[index]].append(
                TokenHypothesis(
                    ids=ids[index, : length[index]].tolist(),
                    # The order of addition is that of greedy search, so that the sums are equal to the bit.
                    log_probability=float(np.cumsum(pieces_log_probs)[-1]),
                    score=float(record["score"]),
                    piece_log_probabilities=pieces_log_probs.tolist(),
                    finished=bool(record["finished"]),
                )
            )
        return hypotheses
