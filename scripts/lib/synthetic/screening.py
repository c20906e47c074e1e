"""Which pairs of synthetic text stay, and how many went for which reason."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from nmt.data.preprocess.filters import PairFilter
from nmt.data.streams import open_whole
from nmt.errors import DataError
from nmt.metrics.sentence import SentenceMetric
from synthetic.translating import Candidate


class Row(NamedTuple):
    """A line, and what models made of it."""

    line: str
    candidates: list[Candidate]
    reference: str | None = None
    """The translation that it has in the training text."""


class Screen:
    """Chooses translations, and counts.

    Attributes:
        kept: How many lines have one.
        dropped: How many have none, by reason.
    """

    def __init__(
        self,
        drop: Collection[str],
        *,
        metric: SentenceMetric | None = None,
        pair_filter: PairFilter | None = None,
        copies: bool = True,
    ) -> None:
        """Keep what is given.

        Args:
            drop: A candidate with one of these flags is not used.
            metric: Of the others, the one that is best by this metric against the reference is; None: the first.
            pair_filter: Judges the line with its translation.
            copies: A translation may be the line itself.
        """
        self._drop = frozenset(drop)
        self._metric = metric
        self._filter = pair_filter
        self._copies = copies
        self.kept = 0
        self.dropped: Counter[str] = Counter()

    def choose(self, rows: Iterable[Row]) -> Iterator[str | None]:
        """Give the translation of each line; None where there is none to be used."""
        for row in rows:
            usable = [one for one in row.candidates if self._drop.isdisjoint(one.flags)]
            chosen = self._best(usable, row.reference).text if usable else None
            reason = self._flag(row.candidates) if chosen is None else self._reason(row.line, chosen)
            if reason is None:
                self.kept += 1
                yield chosen
            else:
                self.dropped[reason] += 1
                yield None

    def counts(self) -> dict[str, Any]:
        """Return what is reported: `kept`, and `dropped` by reason, the most frequent one first.

        Raises:
            DataError: Nothing was kept.
        """
        dropped = dict(self.dropped.most_common())
        if not self.kept:
            raise DataError(
                f"no pair is left; dropped: {in_words(dropped)}. How good is the model (nmt evaluate)? --drop says "
                "what is dropped"
            )
        return {"kept": self.kept, "dropped": dropped}

    def _best(self, usable: Sequence[Candidate], reference: str | None) -> Candidate:
        metric = self._metric
        if metric is None or reference is None or len(usable) == 1:
            return usable[0]
        return max(usable, key=lambda one: metric(one.text, reference))  # of equals the first: the more probable one

    def _flag(self, candidates: Sequence[Candidate]) -> str:
        """Say why none can be used: the first flag of the best one."""
        return next((flag for one in candidates for flag in one.flags if flag in self._drop), "empty")

    def _reason(self, line: str, chosen: str) -> str | None:
        if not self._copies and line.casefold().split() == chosen.casefold().split():
            return "copy"
        reason = None if self._filter is None else self._filter.reject(line, chosen)
        return "length ratio in words" if reason == "length ratio" else reason  # the flag's is in pieces


def write_pairs(pairs: Iterable[tuple[str, str]], source: Path, target: Path) -> None:
    """Write parallel text; both files appear when they are whole.

    Raises:
        DataError: One cannot be written.
    """
    with open_whole(source) as sources, open_whole(target) as targets:
        for pair in pairs:
            for stream, line in zip((sources, targets), pair, strict=True):
                stream.write(line.encode() + b"\n")


def in_words(counts: dict[str, int]) -> str:
    """Return reasons with their counts for a log line: `12 repetition, 3 empty`."""
    return ", ".join(f"{count:,} {reason}" for reason, count in counts.items()) or "none"
