"""Alignment error rate: how far word alignments are from gold ones (Och & Ney 2003, section 6).

With the links A that were found, the sure gold links S, and the possible ones P, the sure ones among them:

    precision = |A and P| / |A|     recall = |A and S| / |S|     AER = 1 - (|A and S| + |A and P|) / (|A| + |S|)

Counts are summed over all sentences first. Where every gold link is sure, AER is 1 - F1. Needs no torch.
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
"""A source word and a target word, both counted from 0."""
GOLD_LINK = re.compile(r"(\d{1,9})([-?p])(\d{1,9})")


class Gold(NamedTuple):
    """The gold alignment of a sentence."""

    sure: frozenset[Link]
    possible: frozenset[Link]
    """The sure links among them."""


@dataclass(frozen=True)
class AlignmentScore:
    """How alignments compare with gold ones; all counts are sums over sentences."""

    found: int
    """Links that were found."""
    sure: int
    """Gold links that are sure."""
    found_and_sure: int
    found_and_possible: int

    @property
    def precision(self) -> float:
        """Share of the found links that are possible; 1 if none was found."""
        return self.found_and_possible / self.found if self.found else 1.0

    @property
    def recall(self) -> float:
        """Share of the sure links that were found; 1 if there is none."""
        return self.found_and_sure / self.sure if self.sure else 1.0

    @property
    def error_rate(self) -> float:
        """AER, 0 to 1, less being better; 0 if there is nothing to find and nothing was found."""
        every = self.found + self.sure
        return 1.0 - (self.found_and_sure + self.found_and_possible) / every if every else 0.0


def score_alignments(found: Sequence[Collection[Link]], gold: Sequence[Gold]) -> AlignmentScore:
    """Score alignments against gold ones.

    Args:
        found: The links of each sentence. One that is given twice counts once.
        gold: The gold links of as many sentences.

    Raises:
        DataError: There are not as many.
    """
    if len(found) != len(gold):
        raise DataError(f"There are {len(found)} alignments, but {len(gold)} gold ones. Each line needs its own.")
    links = [set(sentence) for sentence in found]
    return AlignmentScore(
        found=sum(map(len, links)),
        sure=sum(len(sentence.sure) for sentence in gold),
        found_and_sure=sum(len(mine & right.sure) for mine, right in zip(links, gold, strict=True)),
        found_and_possible=sum(len(mine & right.possible) for mine, right in zip(links, gold, strict=True)),
    )


def best_single_links(gold: Gold) -> set[Link]:
    """Return the best alignment that has at most one link for each target word.

    This is what attention could reach when a target word is linked with the source word it looks at most: a target word
    that belongs to several source words cannot be linked with all of them.
    """
    best: dict[int, Link] = {}
    for link in (*sorted(gold.sure), *sorted(gold.possible)):
        best.setdefault(link[1], link)
    return set(best.values())


def read_gold(path: Path | str, pairs: Sequence[tuple[str, str]]) -> list[Gold]:
    """Read gold alignments in Pharaoh format: links such as `3-4`, or `3?4` and `3p4` for those that are only possible.

    Args:
        path: The file.
        pairs: Source and target of each line. Words are what white space separates.

    Raises:
        DataError: The file cannot be read, has another number of lines, or a link that cannot be.
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
                f"{where}: {text!r} is not a link. A link is two numbers from 0 with a dash, such as 3-4, or "
                "with a question mark, 3?4, if it is only possible."
            )
        link = int(match[1]), int(match[3])
        if link[0] >= source_words or link[1] >= target_words:
            raise DataError(
                f"{where}: the link {text} names a word that is not there; the source has {source_words} words, the "
                f"target {target_words}, counted from 0."
            )
        possible.add(link)
        if match[2] == "-":
            sure.add(link)
    return Gold(frozenset(sure), frozenset(possible))
