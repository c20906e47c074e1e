"""Round trips: which target lines the subword model does not give back, and what becomes of them.

No model can score higher than its own references after a trip through its subword model.
"""

from __future__ import annotations

import difflib
from collections import Counter
from collections.abc import Sequence
from typing import Any, NamedTuple

from nmt.data.tokenizer import SubwordModel

MAX_CHANGES = 5
"""Kinds of changes in the report."""
MAX_DIFFERENCES = 200
"""Changed words whose characters are compared."""


class Change(NamedTuple):
    """A change of characters: `before` is written as `after` on some lines."""

    before: str
    after: str
    lines: int


class RoundTrips(NamedTuple):
    """The outcome for some lines.

    Attributes:
        lines: Number of lines.
        changed: Lines that are not given back. Runs of spaces do not count.
        changes: The most frequent changes.
    """

    lines: int
    changed: int
    changes: tuple[Change, ...]

    def describe(self) -> dict[str, Any]:
        """Return the entry for the report."""
        return {
            "lines": self.lines,
            "changed": self.changed,
            "changes": [change._asdict() for change in self.changes],
        }


class ChangedWords:
    """The words that a subword model does not give back."""

    def __init__(self, model: SubwordModel) -> None:
        """Take the model of the target side, for text that runs from left to right."""
        self._model = model
        self._written: dict[str, str] = {}

    def learn(self, words: Sequence[str], ids: Sequence[Sequence[int]]) -> None:
        """Take the segmentation of words, which may be whole lines."""
        for word, text in zip(words, self._model.decode(ids), strict=True):
            if text != word and text != " ".join(part for part in word.split(" ") if part):
                self._written[word] = text

    def changes(self, line: str) -> list[tuple[str, str]]:
        """Return the changed words of a line, each as it is and as it is written; a whole line that was learned too."""
        if not self._written:
            return []
        return [
            (word, self._written[word]) for word in dict.fromkeys((line, *line.split(" "))) if word in self._written
        ]


class RoundTripCounter:
    """Counts the lines of one text that are not given back."""

    def __init__(self, words: ChangedWords) -> None:
        """Take the changed words, which must be known for each line before it is counted."""
        self._words = words
        self._lines = self._changed = 0
        self._differences: dict[tuple[str, str], frozenset[tuple[str, str]]] = {}
        self._counts: Counter[tuple[str, str]] = Counter()

    def add(self, lines: Sequence[str]) -> None:
        """Count some lines."""
        self._lines += len(lines)
        for line in lines:
            changed = self._words.changes(line)
            if changed:
                self._changed += 1
                self._counts.update({each for pair in changed for each in self._compare(*pair)})

    def facts(self) -> RoundTrips:
        """Return the counts."""
        frequent = sorted(self._counts.items(), key=lambda item: (-item[1], item[0]))[:MAX_CHANGES]
        return RoundTrips(self._lines, self._changed, tuple(Change(*change, lines=count) for change, count in frequent))

    def _compare(self, word: str, text: str) -> frozenset[tuple[str, str]]:
        """Return the differing parts of two texts."""
        found = self._differences.get((word, text))
        if found is None:
            if len(self._differences) >= MAX_DIFFERENCES:
                return frozenset()
            found = self._differences[word, text] = frozenset(differences(word, text))
        return found


def differences(before: str, after: str) -> list[tuple[str, str]]:
    """Return the parts in which two texts differ."""
    matcher = difflib.SequenceMatcher(None, before, after, autojunk=False)
    return [(before[a:b], after[c:d]) for kind, a, b, c, d in matcher.get_opcodes() if kind != "equal"]


def count_round_trips(model: SubwordModel, lines: Sequence[str]) -> RoundTrips:
    """Segment lines, write them again and count those that change."""
    words = ChangedWords(model)
    texts = list(dict.fromkeys(lines))
    words.learn(texts, model.encode(texts))
    counter = RoundTripCounter(words)
    counter.add(lines)
    return counter.facts()
