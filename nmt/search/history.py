"""What beam search has done, step by step, and the hypotheses that can be read back from it.

B sentences, K beam size, T steps, n hypotheses kept for each sentence.

Everything here is small and lives on the host, in numpy: one operation for all sentences at once.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from nmt.search.interface import TokenHypothesis

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]

# An ended hypothesis: a row of the beam after `length` pieces, and EOS.
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
    """The pieces chosen at each step and the rows they follow; and the best ended hypotheses of each sentence."""

    def __init__(self, *, sentences: int, beam_size: int, n_best: int) -> None:
        self._shape = (sentences, beam_size)
        self._steps: list[tuple[IntArray, IntArray, FloatArray]] = []
        self._ended: NDArray[Any] = np.zeros((sentences, n_best), dtype=ENDED)
        self._ended["score"] = -np.inf

    @property
    def steps(self) -> int:
        """Number of steps recorded."""
        return len(self._steps)

    def worst_kept(self, sentences: IntArray) -> FloatArray:
        """Return the score that a new hypothesis of each of `sentences` must beat; -inf while there is room."""
        scores: FloatArray = self._ended["score"][sentences, -1]
        return scores

    def any_kept(self, sentences: IntArray) -> NDArray[np.bool_]:
        """Return which of `sentences` have an ended hypothesis."""
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
        """Record hypotheses that end with EOS now, at most as many for each sentence as are wanted: the best ones.

        Of equal ones the earlier is kept.

        Args:
            sentences: [b].
            score: [b, k]; -inf where there is no hypothesis.
            eos: Log-probability of EOS [b, k].
            row: Row of the beam that the hypothesis follows [b, k].
            finished: Whether they ended by themselves.
        """
        new = np.empty(score.shape, dtype=ENDED)
        new["score"], new["eos"] = score, eos
        new["length"], new["row"], new["finished"] = self.steps, row, finished
        every = np.concatenate([self._ended[sentences], new], axis=1)
        order = np.argsort(-every["score"], axis=1, kind="stable")[:, : self._ended.shape[1]]
        self._ended[sentences] = np.take_along_axis(every, order, axis=1)

    def add(self, sentences: IntArray, *, rows: IntArray, pieces: IntArray, log_probs: FloatArray) -> None:
        """Record a step: the `pieces` [b, k] put to the rows [b, k] of the beams of `sentences` [b]."""
        if rows.shape == self._shape:
            self._steps.append((rows, pieces, log_probs))
            return
        step = (np.zeros(self._shape, np.int64), np.zeros(self._shape, np.int64), np.zeros(self._shape, np.float64))
        for record, values in zip(step, (rows, pieces, log_probs), strict=True):
            record[sentences, : rows.shape[1]] = values
        self._steps.append(step)

    def hypotheses(self) -> list[list[TokenHypothesis]]:
        """Read all kept hypotheses back from their last rows: best first, for each sentence."""
        sentence, rank = np.nonzero(self._ended["score"] > -np.inf)
        ended = self._ended[sentence, rank]
        length, row = ended["length"], ended["row"].copy()
        longest = int(length.max(initial=0))
        ids = np.zeros((len(sentence), longest), np.int64)
        log_probs = np.zeros((len(sentence), longest), np.float64)
        for step in reversed(range(longest)):
            rows, pieces, values = self._steps[step]
            ids[:, step], log_probs[:, step] = pieces[sentence, row], values[sentence, row]
            row = np.where(length > step, rows[sentence, row], row)
        found: list[list[TokenHypothesis]] = [[] for _ in range(self._shape[0])]
        for index, record in enumerate(ended):
            pieces_log_probs = np.append(log_probs[index, : length[index]], record["eos"])
            found[sentence[index]].append(
                TokenHypothesis(
                    ids=ids[index, : length[index]].tolist(),
                    # Added up one after the other, as greedy search does, so that the sums are the same to the bit.
                    log_probability=float(np.cumsum(pieces_log_probs)[-1]),
                    score=float(record["score"]),
                    piece_log_probabilities=pieces_log_probs.tolist(),
                    finished=bool(record["finished"]),
                )
            )
        return found
