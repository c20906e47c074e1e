"""The filters: which training pairs are left out, and why."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Literal, NamedTuple

from nmt.data.languages import counts_characters
from nmt.data.lines import is_blank
from nmt.data.words import comparable

Reason = Literal[
    "wrong encoding",
    "wrong number of columns",
    "control characters",
    "empty",
    "too long",
    "length ratio",
    "identical sides",
    "duplicate",
    "held out",
    "too many pieces",
]

CHARACTERS_PER_WORD = 4  # `max_words` is multiplied by this for languages that are counted in characters
MAX_CHARACTERS_PER_WORD = 100  # on average; longer text has no words, and its segmentation would take much memory
MAX_EXAMPLES = 3  # kept of each reason
MAX_EXAMPLE_CHARACTERS = 100

# Lone surrogates are bytes that are not UTF-8; U+FFFD marks text that was broken before it came here.
REPLACEMENT = "\ufffd"
_BROKEN = re.compile(f"[\ud800-\udfff{REPLACEMENT}]")
# Control characters except the tab, and the two line and paragraph separators. Joiners and marks of direction are text.
_CONTROL = re.compile("[\x00-\x08\x0a-\x1f\x7f-\x9f\u2028\u2029]")


def is_broken(text: str) -> bool:
    """Whether a text has bytes that are not UTF-8, or marks of such bytes."""
    return bool(_BROKEN.search(text))


class FilteredExample(NamedTuple):
    """A pair that was left out."""

    line: int
    source: str
    target: str


@dataclass(frozen=True)
class PairFilter:
    """Accepts or rejects training pairs by their text alone.

    Attributes:
        max_source: Longest source, in words or characters.
        max_target: Longest target, in words or characters.
        max_characters: Longest side, in characters.
        max_ratio: Largest ratio of the longer to the shorter side.
        identical: Whether to leave out pairs with the same text on both sides.
        source_by_character: Whether the length of the source is its number of characters (without spaces), not words.
        target_by_character: The same option for the target.
    """

    max_source: int
    max_target: int
    max_characters: int
    max_ratio: float
    identical: bool
    source_by_character: bool
    target_by_character: bool

    def reject(self, source: str, target: str, form: tuple[str, str] | None = None) -> Reason | None:
        """Return the first reason to leave this pair out; None if the pair is kept.

        Args:
            source: The source line.
            target: The target line.
            form: Both in the form of `comparable`, if it is known.
        """
        plain = source.isprintable() and target.isprintable()
        if not plain or REPLACEMENT in source or REPLACEMENT in target:
            both = f"{source}\t{target}"
            if is_broken(both):
                return "wrong encoding"
            if _CONTROL.search(both):
                return "control characters"
            if is_blank(source) or is_blank(target):
                return "empty"
        if len(source) > self.max_characters or len(target) > self.max_characters:
            return "too long"
        source_words, target_words = source.split(), target.split()
        if not source_words or not target_words:
            return "empty"
        if self.identical:
            same_source, same_target = form or (comparable(source), comparable(target))
            if same_source == same_target:
                return "identical sides"
        return self._reject_lengths(source_words, target_words)

    def _reject_lengths(self, source_words: list[str], target_words: list[str]) -> Reason | None:
        source_length, target_length = len(source_words), len(target_words)
        if self.source_by_character or self.target_by_character:
            source_characters, target_characters = len("".join(source_words)), len("".join(target_words))
            source_size = source_characters if self.source_by_character else source_length
            target_size = target_characters if self.target_by_character else target_length
            source_length, target_length = source_characters, target_characters  # the ratio's unit
        else:
            source_size, target_size = source_length, target_length
        if source_size > self.max_source or target_size > self.max_target:
            return "too long"
        if source_length > self.max_ratio * target_length or target_length > self.max_ratio * source_length:
            return "length ratio"
        return None


def make_filter(
    *,
    max_words: int,
    max_ratio: float,
    identical: bool,
    source_language: str,
    target_language: str,
    source_lines: Sequence[str] = (),
    target_lines: Sequence[str] = (),
) -> PairFilter:
    """Make the filter for a pair of languages; see `PairFilter` and `FiltersConfig` for the options.

    Lengths are counted in words or characters by the script of the lines. Without lines, the code of the language
    decides.
    """
    source_by_character = counts_characters(source_language, source_lines)
    target_by_character = counts_characters(target_language, target_lines)
    return PairFilter(
        max_source=max_words * (CHARACTERS_PER_WORD if source_by_character else 1),
        max_target=max_words * (CHARACTERS_PER_WORD if target_by_character else 1),
        max_characters=max_words * MAX_CHARACTERS_PER_WORD,
        max_ratio=max_ratio,
        identical=identical,
        source_by_character=source_by_character,
        target_by_character=target_by_character,
    )


class FilteredPairs(NamedTuple):
    """The pairs of one corpus that were filtered for one reason.

    Attributes:
        reason: The reason.
        pairs: Number of pairs.
        examples: The first few of these pairs.
    """

    reason: Reason
    pairs: int
    examples: tuple[FilteredExample, ...]

    @classmethod
    def load(cls, stored: tuple[Reason, int, Sequence[tuple[int, str, str]]]) -> FilteredPairs:
        """Return what was stored as JSON."""
        reason, pairs, examples = stored
        return cls(reason, pairs, tuple(FilteredExample(*example) for example in examples))


class FilterCounts:
    """Counts the filtered pairs of one corpus by reason, and keeps the first few of each reason."""

    def __init__(
        self,
        *,
        max_examples: int = MAX_EXAMPLES,
        max_characters: int = MAX_EXAMPLE_CHARACTERS,
        start: Sequence[FilteredPairs] = (),
    ) -> None:
        """Start counting.

        Args:
            max_examples: Examples kept of each reason.
            max_characters: Longest side of an example.
            start: Pairs that an earlier pass filtered.
        """
        self._max_examples = max_examples
        self._max_characters = max_characters
        self._counts: dict[Reason, int] = {filtered.reason: filtered.pairs for filtered in start}
        self._examples = {filtered.reason: list(filtered.examples) for filtered in start}

    def add(self, reason: Reason, line: int, source: str, target: str) -> None:
        """Count one pair. Lines must ascend."""
        count = self._counts[reason] = self._counts.get(reason, 0) + 1
        if count <= self._max_examples:
            example = FilteredExample(line, self._shorten(source), self._shorten(target))
            self._examples.setdefault(reason, []).append(example)

    def merge(self, filtered: Iterable[FilteredPairs]) -> None:
        """Add the counts of text that follows the text counted so far."""
        for reason, pairs, examples in filtered:
            self._counts[reason] = self._counts.get(reason, 0) + pairs
            kept = self._examples.setdefault(reason, [])
            kept += examples[: self._max_examples - len(kept)]

    def facts(self) -> tuple[FilteredPairs, ...]:
        """Return the counts and examples of each reason, the most frequent reason first."""
        reasons = sorted(self._counts, key=lambda reason: (-self._counts[reason], reason))
        return tuple(FilteredPairs(reason, self._counts[reason], tuple(self._examples[reason])) for reason in reasons)

    def _shorten(self, text: str) -> str:
        """Truncate long text, and escape what is not printable."""
        if len(text) > self._max_characters:
            text = text[: self._max_characters - 1] + "…"
        return "".join(character if character.isprintable() else ascii(character)[1:-1] for character in text)
