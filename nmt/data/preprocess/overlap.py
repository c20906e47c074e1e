"""How much of the validation and test sets is also in the training text."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from nmt.data.corpus import Contents
from nmt.data.lines import is_blank


class OverlapCheck:
    """One validation or test set, and which of its lines have been seen in training text.

    Lines are compared word for word; blank ones are not looked for.

    Attributes:
        name: What messages call it.
        pairs: Its text as it is: (source, target).
        digests: Of its files.
    """

    def __init__(self, name: str, pairs: Sequence[tuple[str, str]], files: Sequence[Contents]) -> None:
        self.name = name
        self.pairs = list(pairs)
        self.digests = [file.digest for file in files]
        self._pairs = [(_words(source), _words(target)) for source, target in pairs]
        self._sources = {source for source, _ in self._pairs if source}
        self._targets = {target for _, target in self._pairs if target}
        self._both = {(source, target) for source, target in self._pairs if source and target}
        self._seen_sources: set[str] = set()
        self._seen_targets: set[str] = set()
        self._seen_both: set[tuple[str, str]] = set()
        self._training_pairs = 0

    def look(self, pairs: Iterable[tuple[str, str]]) -> None:
        """Notes which of these training pairs (words joined by single spaces) are held out."""
        for pair in pairs:
            source, target = pair
            found = False
            if source in self._sources:
                self._seen_sources.add(source)
                found = True
            if target in self._targets:
                self._seen_targets.add(target)
                found = True
            if found:
                self._training_pairs += 1
                if pair in self._both:
                    self._seen_both.add(pair)

    def counts(self) -> dict[str, int]:
        """How many of its lines were seen, and how many training pairs have one of them."""
        return {
            "sources": sum(source in self._seen_sources for source, _ in self._pairs),
            "targets": sum(target in self._seen_targets for _, target in self._pairs),
            "both": sum(pair in self._seen_both for pair in self._pairs),
            "training_pairs": self._training_pairs,
        }


def _words(line: str) -> str:
    return "" if is_blank(line) else " ".join(line.split())
