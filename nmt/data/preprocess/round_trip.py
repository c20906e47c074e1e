"""Round trips: which target lines the subword model does not give back, and what becomes of them.

No model can score higher than its own references after a trip through its subword model.
"""

from __future__ import annotations

import difflib
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple

from nmt.data.text_form import plain_spaces, single_zero_width_spaces, split_clusters
from nmt.data.tokenizer import SubwordModel

MAX_CHANGES = 5
"""Kinds of changes in the report."""
MAX_DIFFERENCES = 200
"""Changed words of a shard whose characters are compared."""


class Change(NamedTuple):
    """A change of characters: `before` is written as `after` on some lines."""

    before: str
    after: str
    lines: int


class RoundTrips(NamedTuple):
    """The outcome for some lines.

    Attributes:
        lines: Number of lines.
        changed: Lines that are not given back. Tabs, runs of spaces and runs of zero-width spaces do not count.
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
        for word, text in zip(words, self._model.restore(words, ids), strict=True):
            if text != word and text != _plain(word):
                self._written[word] = text

    def forget(self, words: Iterable[str]) -> None:
        """Forget words."""
        if self._written:
            for word in words:
                self._written.pop(word, None)

    def __bool__(self) -> bool:
        return bool(self._written)

    def changes(self, line: str) -> list[tuple[str, str]]:
        """Return the changed words of a line, each as it is and as it is written; a whole line that was learned too."""
        words = (line, *line.split(" "))
        if self._written.keys().isdisjoint(words):
            return []
        return [(word, self._written[word]) for word in dict.fromkeys(words) if word in self._written]


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
        for line in lines if self._words else ():
            changed = self._words.changes(line)
            if changed:
                self._changed += 1
                self._counts.update({each for pair in changed for each in self._compare(*pair)})

    def counts(self) -> dict[str, Any]:
        """Return the counts as a value of JSON, for `RoundTripTotal`."""
        changes = [[*change, count] for change, count in self._counts.items()]
        return {"lines": self._lines, "changed": self._changed, "changes": changes}

    def _compare(self, word: str, text: str) -> frozenset[tuple[str, str]]:
        """Return the differing parts of two texts."""
        found = self._differences.get((word, text))
        if found is None:
            if len(self._differences) >= MAX_DIFFERENCES:
                return frozenset()
            found = self._differences[word, text] = frozenset(differences(_plain(word), text))
        return found


class RoundTripTotal:
    """Adds the counts of the parts of a text."""

    def __init__(self) -> None:
        self._lines = self._changed = 0
        self._counts: Counter[tuple[str, str]] = Counter()

    def merge(self, counts: Mapping[str, Any]) -> None:
        """Add what `RoundTripCounter.counts` returned."""
        self._lines += counts["lines"]
        self._changed += counts["changed"]
        for before, after, lines in counts["changes"]:
            self._counts[before, after] += lines

    def facts(self) -> RoundTrips:
        """Return the total."""
        frequent = sorted(self._counts.items(), key=lambda item: (-item[1], item[0]))[:MAX_CHANGES]
        return RoundTrips(self._lines, self._changed, tuple(Change(*change, lines=count) for change, count in frequent))


def differences(before: str, after: str) -> list[tuple[str, str]]:
    """Return the parts in which two texts differ. A part begins and ends with different characters.

    A letter and its marks are compared as a whole, so that another order of the marks is one difference.
    """
    one, other = split_clusters(before), split_clusters(after)
    matcher = difflib.SequenceMatcher(None, one, other, autojunk=False)
    changes = [
        ("".join(one[a:b]), "".join(other[c:d])) for kind, a, b, c, d in matcher.get_opcodes() if kind != "equal"
    ]
    return [_without_common_ends(*change) for change in changes]


def _without_common_ends(before: str, after: str) -> tuple[str, str]:
    start = _common_start(before, after)
    before, after = before[start:], after[start:]
    end = _common_start(before[::-1], after[::-1])
    return before[: len(before) - end], after[: len(after) - end]


def _common_start(one: str, other: str) -> int:
    """Return how many characters two texts have in common at their start."""
    pairs = enumerate(zip(one, other, strict=False))
    return next((index for index, (a, b) in pairs if a != b), min(len(one), len(other)))


def _plain(text: str) -> str:
    """Return a text with a single space for each run of spaces and tabs, and single zero-width spaces."""
    return single_zero_width_spaces(" ".join(part for part in plain_spaces(text).split(" ") if part))


def count_round_trips(model: SubwordModel, lines: Sequence[str]) -> RoundTrips:
    """Segment lines, write them again and count those that change."""
    words = ChangedWords(model)
    texts = list(dict.fromkeys(lines))
    words.learn(texts, model.encode(texts))
    counter = RoundTripCounter(words)
    counter.add(lines)
    total = RoundTripTotal()
    total.merge(counter.counts())
    return total.facts()
