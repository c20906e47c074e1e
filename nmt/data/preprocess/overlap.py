"""The overlap of the training text with validation and test sets."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

from nmt.data.corpus import ParallelText
from nmt.data.lines import is_blank
from nmt.data.words import comparable


@dataclass(frozen=True)
class HeldOutSet:
    """A validation or test set.

    Attributes:
        name: The name in messages and in the report.
        text: Its pairs, unchanged, and the facts about its files.
    """

    name: str
    text: ParallelText


class Overlap(NamedTuple):
    """How much of a held-out set is in the training text.

    Lines are equal if they look the same (`nmt.data.words.comparable`). Blank lines do not count.

    Attributes:
        sources: Pairs whose source is in the training text.
        targets: Pairs whose target is in the training text.
        both: Pairs that are in the training text as a whole.
        training_pairs: Training pairs with a source or target of the set.
    """

    sources: int
    targets: int
    both: int
    training_pairs: int


class OverlapCounter:
    """Counts the overlap of one held-out set with the training text."""

    def __init__(self, held: HeldOutSet) -> None:
        """Index the lines of the set."""
        self._pairs = [(_words(source), _words(target)) for source, target in held.text.pairs]
        # The number of the first pair with each line.
        self._sources: dict[str, int] = {}
        self._targets: dict[str, int] = {}
        self._both: dict[tuple[str, str], int] = {}
        for number, (source, target) in enumerate(self._pairs):
            if source:
                self._sources.setdefault(source, number)
            if target:
                self._targets.setdefault(target, number)
            if source and target:
                self._both.setdefault((source, target), number)
        self._clear()

    def _clear(self) -> None:
        self._seen_sources: set[int] = set()
        self._seen_targets: set[int] = set()
        self._seen_both: set[int] = set()
        self._training_pairs = 0

    def find(self, pairs: Iterable[tuple[str, str]]) -> list[int]:
        """Return the places of the training pairs, in the form of `comparable`, that have a side in the set."""
        sources, targets = self._sources, self._targets
        return [place for place, (source, target) in enumerate(pairs) if source in sources or target in targets]

    def add(self, pairs: Sequence[tuple[str, str]]) -> None:
        """Count training pairs in the form of `comparable`."""
        for place in self.find(pairs):
            source, target = pair = pairs[place]
            self._training_pairs += 1
            if source in self._sources:
                self._seen_sources.add(self._sources[source])
            if target in self._targets:
                self._seen_targets.add(self._targets[target])
            if pair in self._both:
                self._seen_both.add(self._both[pair])

    def take(self) -> dict[str, Any]:
        """Return the counts for `merge`, as a value of JSON, and start counting again."""
        counts = {
            "sources": sorted(self._seen_sources),
            "targets": sorted(self._seen_targets),
            "both": sorted(self._seen_both),
            "training_pairs": self._training_pairs,
        }
        self._clear()
        return counts

    def merge(self, counts: Mapping[str, Any]) -> None:
        """Add what `take` of a counter of the same set returned."""
        self._seen_sources.update(counts["sources"])
        self._seen_targets.update(counts["targets"])
        self._seen_both.update(counts["both"])
        self._training_pairs += counts["training_pairs"]

    def facts(self) -> Overlap:
        """Return the counts."""
        return Overlap(
            sources=sum(self._sources.get(source) in self._seen_sources for source, _ in self._pairs),
            targets=sum(self._targets.get(target) in self._seen_targets for _, target in self._pairs),
            both=sum(self._both.get(pair) in self._seen_both for pair in self._pairs),
            training_pairs=self._training_pairs,
        )


def comparable_pair(pair: tuple[str, str]) -> tuple[str, str]:
    """Return a pair in the form in which pairs are compared."""
    return comparable(pair[0]), comparable(pair[1])


def _words(line: str) -> str:
    return "" if is_blank(line) else comparable(line)
