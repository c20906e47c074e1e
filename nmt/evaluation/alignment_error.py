"""Alignment error rate (AER): the error of word alignments against gold alignments (Och & Ney 2003, section 6).

A are the predicted links, S the sure gold links, and P the possible gold links, which include S:

    precision = |A and P| / |A|     recall = |A and S| / |S|     AER = 1 - (|A and S| + |A and P|) / (|A| + |S|)

Counts are summed over all sentences. If every gold link is sure, AER is 1 - F1. Imports no torch.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from nmt.data.lines import read_lines
from nmt.errors import LINK_RULE, DataError, UnequalLines

Link = tuple[int, int]
"""The indices of a source word and a target word, from 0."""
GOLD_LINK = re.compile(r"(\d{1,9})([-?p])(\d{1,9})")


class Gold(NamedTuple):
    """The gold alignment of a sentence."""

    sure: frozenset[Link]
    possible: frozenset[Link]
    """Includes the sure links."""


@dataclass(frozen=True)
class AlignmentScore:
    """The counts behind AER, summed over sentences."""

    predicted: int
    """Predicted links."""
    sure: int
    """Sure gold links."""
    predicted_and_sure: int
    predicted_and_possible: int

    @property
    def precision(self) -> float:
        """Share of the predicted links that are possible; 1 without predicted links."""
        return self.predicted_and_possible / self.predicted if self.predicted else 1.0

    @property
    def recall(self) -> float:
        """Share of the sure links that were predicted; 1 without sure links."""
        return self.predicted_and_sure / self.sure if self.sure else 1.0

    @property
    def error_rate(self) -> float:
        """AER, from 0 to 1, lower is better; 0 without any links."""
        every = self.predicted + self.sure
        return 1.0 - (self.predicted_and_sure + self.predicted_and_possible) / every if every else 0.0

    def as_dict(self) -> dict[str, float]:
        """Return the score for JSON: shares between 0 and 1, and counts of links."""
        return {
            "aer": self.error_rate,
            "precision": self.precision,
            "recall": self.recall,
            "links": self.predicted,
            "gold_links": self.sure,
        }


def score_alignments(predicted: Sequence[Collection[Link]], gold: Sequence[Gold]) -> AlignmentScore:
    """Score alignments against gold alignments.

    Args:
        predicted: The links of each sentence; duplicates count once.
        gold: The gold links of each sentence.

    Raises:
        DataError: The numbers of sentences differ.
    """
    if len(predicted) != len(gold):
        raise DataError(f"There are {len(predicted)} alignments but {len(gold)} gold alignments. Each line needs one.")
    links = [set(sentence) for sentence in predicted]
    return AlignmentScore(
        predicted=sum(map(len, links)),
        sure=sum(len(sentence.sure) for sentence in gold),
        predicted_and_sure=sum(len(mine & right.sure) for mine, right in zip(links, gold, strict=True)),
        predicted_and_possible=sum(len(mine & right.possible) for mine, right in zip(links, gold, strict=True)),
    )


def best_single_links(gold: Gold) -> set[Link]:
    """Return the best alignment with at most one link per target word.

    It is the upper bound for attention that links each target word with its most attended source word.
    """
    best: dict[int, Link] = {}
    for link in (*sorted(gold.sure), *sorted(gold.possible)):
        best.setdefault(link[1], link)
    return set(best.values())


def read_gold(path: Path | str, pairs: Sequence[tuple[str, str]]) -> list[Gold]:
    """Read gold alignments in Pharaoh format: links such as `3-4`, or `3?4` and `3p4` for those that are only possible.

    Args:
        path: The file.
        pairs: Source and target of each line. Words are separated by white space.

    Raises:
        DataError: The file cannot be read, has another number of lines, or has an invalid link.
    """
    lines = list(read_lines(path, keep_broken=False))
    if len(lines) != len(pairs):
        raise UnequalLines(str(path), len(lines), "the text", len(pairs), rule=LINK_RULE)
    return [
        _parse(line, len(source.split()), len(target.split()), where=f"{path}, line {number}")
        for number, (line, (source, target)) in enumerate(zip(lines, pairs, strict=True), 1)
    ]


def _parse(line: str, source_words: int, target_words: int, *, where: str) -> Gold:
    sure, possible = set(), set()
    for text in line.split():
        match = GOLD_LINK.fullmatch(text)
        if match is None:
            raise DataError(
                f"{where}: {text!r} is not a link. A sure link is two numbers from 0 with a dash, such as 3-4. A "
                "possible link has a question mark, such as 3?4."
            )
        link = int(match[1]), int(match[3])
        if link[0] >= source_words or link[1] >= target_words:
            raise DataError(
                f"{where}: the link {text} is out of range. The source has {source_words} words and the target has "
                f"{target_words}, counted from 0."
            )
        possible.add(link)
        if match[2] == "-":
            sure.add(link)
    return Gold(frozenset(sure), frozenset(possible))
