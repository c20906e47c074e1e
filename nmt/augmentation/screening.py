"""Chooses the translations of synthetic text that are kept, and counts why others are dropped."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from nmt.augmentation.translations import FlaggedHypothesis
from nmt.data.preprocess.filters import PairFilter
from nmt.data.streams import open_whole
from nmt.data.words import comparable
from nmt.errors import DataError
from nmt.metrics.sentence import SentenceMetric


class TranslatedLine(NamedTuple):
    """A line and its hypotheses, best first."""

    line: str
    hypotheses: list[FlaggedHypothesis]
    reference: str | None = None
    """The translation of the line in the training text."""


class Screen:
    """Chooses a hypothesis for each line.

    Attributes:
        kept: Number of lines with a usable hypothesis.
        dropped: Number of the other lines, by reason.
    """

    def __init__(
        self,
        drop: Collection[str],
        *,
        metric: SentenceMetric | None = None,
        pair_filter: PairFilter | None = None,
        copies: bool = True,
    ) -> None:
        """Keep the criteria.

        Args:
            drop: Flags; a hypothesis with one of them is not used.
            metric: Chooses the hypothesis that is closest to the reference. None: the first one is chosen.
            pair_filter: Judges the line with its hypothesis.
            copies: Whether a hypothesis may be equal to its line.
        """
        self._drop = frozenset(drop)
        self._metric = metric
        self._filter = pair_filter
        self._copies = copies
        self.kept = 0
        self.dropped: Counter[str] = Counter()

    def choose(self, lines: Iterable[TranslatedLine]) -> Iterator[str | None]:
        """Yield the translation of each line; None for a line without a usable hypothesis."""
        for one in lines:
            usable = [hypothesis for hypothesis in one.hypotheses if self._drop.isdisjoint(hypothesis.flags)]
            chosen = self._best(usable, one.reference).text if usable else None
            reason = self._flag(one.hypotheses) if chosen is None else self._reason(one.line, chosen)
            if reason is None:
                self.kept += 1
                yield chosen
            else:
                self.dropped[reason] += 1
                yield None

    def counts(self) -> dict[str, Any]:
        """Return the counts for a report: `kept`, and `dropped` by reason, the most frequent first.

        Raises:
            DataError: No line was kept.
        """
        dropped = dict(self.dropped.most_common())
        if not self.kept:
            raise DataError(
                f"No pair is left. Dropped: {describe_counts(dropped)}. Check the model with nmt evaluate, or drop "
                "fewer pairs with --drop."
            )
        return {"kept": self.kept, "dropped": dropped}

    def _best(self, usable: Sequence[FlaggedHypothesis], reference: str | None) -> FlaggedHypothesis:
        metric = self._metric
        if metric is None or reference is None or len(usable) == 1:
            return usable[0]
        return max(usable, key=lambda one: metric(one.text, reference))  # the more probable one of equals

    def _flag(self, hypotheses: Sequence[FlaggedHypothesis]) -> str:
        """Return why no hypothesis is usable: the first flag of the best one."""
        return next((flag for one in hypotheses for flag in one.flags if flag in self._drop), "empty")

    def _reason(self, line: str, chosen: str) -> str | None:
        if not self._copies and comparable(line).casefold() == comparable(chosen).casefold():
            return "copy"
        reason = None if self._filter is None else self._filter.reject(line, chosen)
        return "length ratio in words" if reason == "length ratio" else reason  # the flag counts pieces


def write_pairs(pairs: Iterable[tuple[str, str]], source: Path, target: Path) -> None:
    """Write parallel text; both files appear when they are complete.

    Raises:
        DataError: A file cannot be written.
    """
    with open_whole(source) as sources, open_whole(target) as targets:
        for pair in pairs:
            for stream, line in zip((sources, targets), pair, strict=True):
                stream.write(line.encode() + b"\n")


def describe_counts(counts: dict[str, int]) -> str:
    """Return reasons with their counts on one line: `12 repetition, 3 empty`."""
    return ", ".join(f"{count:,} {reason}" for reason, count in counts.items()) or "none"
