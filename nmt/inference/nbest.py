"""Builds the n-best list of a line from the hypotheses of its segments: texts, scores and pieces."""

from __future__ import annotations

import heapq
from collections.abc import Iterator, Mapping, Sequence
from itertools import islice
from typing import NamedTuple

from nmt.config.schema import DecodingConfig
from nmt.data.tokenizer import SubwordModel
from nmt.inference.placeholders import SourceSegment
from nmt.inference.results import Hypothesis
from nmt.inference.segmentation import one_line
from nmt.search import TokenHypothesis

MAX_COMBINATIONS = 50
"""Combinations of segment hypotheses that are tried for each of the n best. A repetitive line has so many combinations
with the same text that trying all of them would never end."""

RestoredTexts = Mapping[tuple[SourceSegment, tuple[int, ...]], str]
"""The text of a segment's translation, given as target ids, for segments with protected items."""


class _TextHypothesis(NamedTuple):
    text: str
    hypothesis: TokenHypothesis


class NBestBuilder:
    """Builds n-best lists."""

    def __init__(self, target: SubwordModel, *, decoding: DecodingConfig, separator: str) -> None:
        """Configure the lists.

        Args:
            target: The subword model of the target side.
            decoding: Options: the number of hypotheses, and whether they are samples.
            separator: The text between the translations of two segments.
        """
        self._target = target
        self._n_best = decoding.n_best
        self._sampling = decoding.sampling
        self._separator = separator

    def build(
        self, segments: Sequence[tuple[SourceSegment, Sequence[TokenHypothesis]]], restored: RestoredTexts
    ) -> list[Hypothesis]:
        """Return the n-best list of a line: different texts, best first; samples as they were drawn.

        Args:
            segments: At least one, each with its hypotheses, best first.
            restored: The texts of translations whose segments have protected items.
        """
        rows = [self._decode(segment, hypotheses, restored) for segment, hypotheses in segments]
        if self._sampling:
            # Equal samples stay: their frequency estimates their probability.
            return [self._join(drawn) for drawn in islice(zip(*rows, strict=True), self._n_best)]
        rows = [_unique_texts(row) for row in rows]
        scores = [[each.hypothesis.score for each in row] for row in rows]
        by_text: dict[str, Hypothesis] = {}
        for indices in islice(best_combinations(scores), MAX_COMBINATIONS * self._n_best):
            chosen = [row[index] for row, index in zip(rows, indices, strict=True)]
            text = self._text(chosen)
            if text not in by_text:
                by_text[text] = self._join(chosen)
            if len(by_text) == self._n_best:
                break
        # They are found in order, but equal sums may differ in their last digit.
        return sorted(by_text.values(), key=lambda hypothesis: -hypothesis.score)

    def _decode(
        self, segment: SourceSegment, hypotheses: Sequence[TokenHypothesis], restored: RestoredTexts
    ) -> list[_TextHypothesis]:
        texts = self._target.decode([hypothesis.ids for hypothesis in hypotheses])
        return [
            _TextHypothesis(restored.get((segment, tuple(hypothesis.ids)), one_line(text)), hypothesis)
            for text, hypothesis in zip(texts, hypotheses, strict=True)
        ]

    def _text(self, segments: Sequence[_TextHypothesis]) -> str:
        return self._separator.join(filter(None, (segment.text for segment in segments)))

    def _join(self, segments: Sequence[_TextHypothesis]) -> Hypothesis:
        """Return the hypothesis of a line from one hypothesis of each segment."""
        tokens = [segment.hypothesis for segment in segments]
        return Hypothesis(
            text=self._text(segments),
            ids=[piece for each in tokens for piece in each.ids],
            pieces=[piece for each in tokens for piece in self._target.in_text_order(self._target.pieces(each.ids))],
            score=sum(each.score for each in tokens) / len(tokens),
            log_probability=sum(each.log_probability for each in tokens),
            piece_log_probabilities=[value for each in tokens for value in self._log_probs(each)],
            finished=all(each.finished for each in tokens),
            segments=[each.ids for each in tokens],
        )

    def _log_probs(self, hypothesis: TokenHypothesis) -> list[float]:
        """Return the log-probabilities of the pieces in the order of the text, then of EOS."""
        *pieces, eos = hypothesis.piece_log_probabilities
        return [*self._target.in_text_order(pieces), eos]


def _unique_texts(row: Sequence[_TextHypothesis]) -> list[_TextHypothesis]:
    """Return the first hypothesis of each text."""
    by_text: dict[str, _TextHypothesis] = {}
    for each in row:
        by_text.setdefault(each.text, each)
    return list(by_text.values())


def best_combinations(scores: Sequence[Sequence[float]]) -> Iterator[list[int]]:
    """Generate all choices of one entry per row, as indices, by falling sum of their scores.

    A choice is stored as its indices above 0. Its only predecessor is the choice whose last such index is one less, and
    a predecessor never has a lower sum. So the best successor of the choices generated so far comes next.

    Args:
        scores: Rows of at least one number, each falling.
    """
    queue: list[tuple[float, tuple[tuple[int, int], ...]]] = [(0.0, ())]
    while queue:
        loss, raised = heapq.heappop(queue)
        indices = [0] * len(scores)
        for row, index in raised:
            indices[row] = index
        yield indices
        last = raised[-1][0] if raised else 0
        for row in range(last, len(scores)):
            index = indices[row]
            if index + 1 < len(scores[row]):
                rest = raised[:-1] if index else raised
                difference = scores[row][index] - scores[row][index + 1]
                heapq.heappush(queue, (loss + difference, (*rest, (row, index + 1))))
