"""From the hypotheses of a line's parts to its candidates: texts, scores and pieces.

A line that is translated in parts has candidates too: ways to choose a hypothesis of each part, the best first.
"""

from __future__ import annotations

import heapq
from collections.abc import Iterator, Mapping, Sequence
from itertools import islice
from typing import NamedTuple

from nmt.config.schema import DecodingConfig
from nmt.data.tokenizer import SubwordModel
from nmt.inference.placeholders import TranslatedSegment
from nmt.inference.results import Hypothesis
from nmt.inference.segmentation import one_line
from nmt.search import TokenHypothesis

MAX_COMBINATIONS = 50
"""Ways to put together the parts of a line that are tried for each candidate wanted: in a line that says the same again
and again, so many of them make the same text that all would take forever."""

Restored = Mapping[tuple[TranslatedSegment, tuple[int, ...]], str]
"""The text of a part's translation, which is given as target pieces; of parts from which something was taken out."""


class _Builder(NamedTuple):
    text: str
    hypothesis: TokenHypothesis


class NBestBuilder:
    """Writes the candidates of lines."""

    def __init__(self, target: SubwordModel, *, decoding: DecodingConfig, separator: str) -> None:
        """Keeps what it is given.

        Args:
            target: The subword model of the target side.
            decoding: How many candidates are wanted, and whether they were drawn at random.
            separator: What stands between the translations of two parts.
        """
        self._target = target
        self._n_best = decoding.n_best
        self._sampling = decoding.sampling
        self._separator = separator

    def write(
        self, parts: Sequence[tuple[TranslatedSegment, Sequence[TokenHypothesis]]], restored: Restored
    ) -> list[Hypothesis]:
        """Return the candidates of a line, best first, at most as many as are wanted; samples as they were drawn.

        Args:
            parts: At least one, each with its hypotheses, best first.
            restored: The texts of translations that are more than their pieces.
        """
        written = [self._written(part, hypotheses, restored) for part, hypotheses in parts]
        if self._sampling:
            # Samples stay as they were drawn: how often a text comes says how probable it is.
            return [self._joined(several) for several in islice(zip(*written, strict=True), self._n_best)]
        different = [_different(several) for several in written]
        scores = [[one.hypothesis.score for one in several] for several in different]
        found: dict[str, Hypothesis] = {}
        for places in islice(best_combinations(scores), MAX_COMBINATIONS * self._n_best):
            way = [several[place] for several, place in zip(different, places, strict=True)]
            text = self._text(way)
            if text not in found:
                found[text] = self._joined(way)
            if len(found) == self._n_best:
                break
        # They come in order; but sums of equal ones may differ in their last digit.
        return sorted(found.values(), key=lambda one: -one.score)

    def _written(
        self, part: TranslatedSegment, hypotheses: Sequence[TokenHypothesis], restored: Restored
    ) -> list[_Builder]:
        texts = self._target.decode([hypothesis.ids for hypothesis in hypotheses])
        return [
            _Builder(restored.get((part, tuple(hypothesis.ids)), one_line(text)), hypothesis)
            for text, hypothesis in zip(texts, hypotheses, strict=True)
        ]

    def _text(self, written: Sequence[_Builder]) -> str:
        return self._separator.join(filter(None, (one.text for one in written)))

    def _joined(self, written: Sequence[_Builder]) -> Hypothesis:
        """Return the translation of a line from those of its parts."""
        parts = [one.hypothesis for one in written]
        return Hypothesis(
            text=self._text(written),
            ids=[piece for part in parts for piece in part.ids],
            pieces=[piece for part in parts for piece in self._target.turned(self._target.pieces(part.ids))],
            score=sum(part.score for part in parts) / len(parts),
            log_probability=sum(part.log_probability for part in parts),
            piece_log_probabilities=[value for part in parts for value in self._log_probs(part)],
            finished=all(part.finished for part in parts),
            parts=[part.ids for part in parts],
        )

    def _log_probs(self, hypothesis: TokenHypothesis) -> list[float]:
        """Return the log-probability of each piece in the order of the text, and of EOS."""
        *pieces, eos = hypothesis.piece_log_probabilities
        return [*self._target.turned(pieces), eos]


def _different(written: Sequence[_Builder]) -> list[_Builder]:
    """Return the first of each text."""
    by_text: dict[str, _Builder] = {}
    for one in written:
        by_text.setdefault(one.text, one)
    return list(by_text.values())


def best_combinations(scores: Sequence[Sequence[float]]) -> Iterator[list[int]]:
    """Give all ways to choose one of each row, as places, by falling sum of their scores; each is made when asked for.

    A way is kept as the places above 0, and follows from the way in which the last of them is one less: from one alone,
    and never with a lower sum than its own. So the best of those that follow from what was given is the next.

    Args:
        scores: Rows of at least one number, each falling.
    """
    waiting: list[tuple[float, tuple[tuple[int, int], ...]]] = [(0.0, ())]
    while waiting:
        loss, raised = heapq.heappop(waiting)
        places = [0] * len(scores)
        for row, place in raised:
            places[row] = place
        yield places
        last = raised[-1][0] if raised else 0
        for row in range(last, len(scores)):
            place = places[row]
            if place + 1 < len(scores[row]):
                before = raised[:-1] if place else raised
                more = scores[row][place] - scores[row][place + 1]
                heapq.heappush(waiting, (loss + more, (*before, (row, place + 1))))
