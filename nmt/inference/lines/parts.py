"""A line in the parts that a model translates: its sentences, if that is wanted, and pieces of over-long ones."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from nmt.config.schema import Config
from nmt.data.subwords.tokenizer import SubwordModel
from nmt.inference.lines.sentences import split_sentences
from nmt.inference.lines.text import split_long


def longest_part(configs: Sequence[Config], given: Mapping[str, Any]) -> int:
    """Return the most source pieces that models translate at once.

    Args:
        configs: Their configurations. Of several models the one that has seen the shortest sentences decides.
        given: Decoding options of the user, named as in the schema, which come before.
    """
    longest: int | None = given.get("max_source_pieces")
    return longest or min(config.decoding.max_source_pieces or config.data.filters.max_pieces for config in configs)


class Parts(NamedTuple):
    """The parts of a line."""

    texts: list[str]
    ids: list[list[int]]
    """The pieces of each; none is empty."""
    over_long: bool
    """Whether something was cut because it has more pieces than the model was trained on."""


class Cutter:
    """Cuts lines into parts."""

    def __init__(self, subwords: SubwordModel, *, longest: int | None, sentences: bool) -> None:
        """Keeps what it is given.

        Args:
            subwords: Of the source side.
            longest: Most pieces of a part. None: any number.
            sentences: Whether each sentence is a part of its own.
        """
        self._subwords = subwords
        self._longest = longest
        self._sentences = sentences

    def cut(self, text: str, ids: list[int]) -> Parts:
        """Return the parts of `text`, which has the pieces `ids`; none if there are no pieces.

        What is too long as a whole is cut into its sentences: several of them together, even if they were not too
        long, are seldom what the model has learnt from, and it leaves some of them out.
        """
        cut_anyway = self._is_over_long(ids)
        texts = split_sentences(text) if self._sentences or cut_anyway else []
        if len(texts) < 2:
            return self._fitting(text, ids)
        every = [self._fitting(*pair) for pair in zip(texts, self._subwords.encode(texts), strict=True)]
        return Parts(
            [text for parts in every for text in parts.texts],
            [row for parts in every for row in parts.ids],
            over_long=any(parts.over_long for parts in every) or (cut_anyway and not self._sentences),
        )

    def _fitting(self, text: str, ids: list[int]) -> Parts:
        if not self._is_over_long(ids):
            return Parts([text], [ids], over_long=False) if ids else Parts([], [], over_long=False)
        assert self._longest is not None
        texts = split_long(
            text, longest=self._longest, count=lambda texts: list(map(len, self._subwords.encode(texts)))
        )
        rows = [(part, row) for part, row in zip(texts, self._subwords.encode(texts), strict=True) if row]
        return Parts([part for part, _ in rows], [row for _, row in rows], over_long=True)

    def _is_over_long(self, ids: list[int]) -> bool:
        return self._longest is not None and len(ids) > self._longest
