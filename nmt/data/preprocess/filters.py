"""What training pairs are left out, and why."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal, NamedTuple

from nmt.data.languages import find_language
from nmt.data.lines import is_blank

Reason = Literal[
    "wrong encoding",
    "wrong number of columns",
    "control characters",
    "empty",
    "too long",
    "length ratio",
    "identical sides",
    "duplicate",
    "too many pieces",
]

CHARACTERS_PER_WORD = 4  # `max_words` is multiplied by this for languages that are counted in characters
MAX_CHARACTERS_PER_WORD = 100  # on average; beyond it there are no words, and segmentation would take much memory

# Lone surrogates are bytes that are not UTF-8; U+FFFD marks text that was broken before it came here.
REPLACEMENT = "\ufffd"
_BROKEN = re.compile(f"[\ud800-\udfff{REPLACEMENT}]")
# Control characters except the tab, and the two line and paragraph separators. Joiners and marks of direction are text.
_CONTROL = re.compile("[\x00-\x08\x0a-\x1f\x7f-\x9f\u2028\u2029]")


class FilteredExample(NamedTuple):
    """A pair that was left out."""

    line: int
    source: str
    target: str


@dataclass(frozen=True)
class PairFilter:
    """Judges pairs by their text alone.

    Attributes:
        max_source: Longest source, in words or characters.
        max_target: Longest target, in words or characters.
        max_characters: Longest side, in characters.
        max_ratio: Longer side over shorter side.
        identical: Leave out pairs with the same text on both sides.
        source_by_character: Count the source's characters (spaces aside), not its words.
        target_by_character: The same for the target.
    """

    max_source: int
    max_target: int
    max_characters: int
    max_ratio: float
    identical: bool
    source_by_character: bool
    target_by_character: bool

    def judge(self, source: str, target: str) -> Reason | None:
        """The first reason to leave this pair out, or None to keep it."""
        plain = source.isprintable() and target.isprintable()
        if not plain or REPLACEMENT in source or REPLACEMENT in target:
            both = f"{source}\t{target}"
            if _BROKEN.search(both):
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
        if self.identical and source_words == target_words:
            return "identical sides"
        return self._judge_lengths(source_words, target_words)

    def _judge_lengths(self, source_words: list[str], target_words: list[str]) -> Reason | None:
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
    *, max_words: int, max_ratio: float, identical: bool, source_language: str, target_language: str
) -> PairFilter:
    """The filter for a pair of languages; see `PairFilter`."""
    source_by_character = find_language(source_language).by_character
    target_by_character = find_language(target_language).by_character
    return PairFilter(
        max_source=max_words * (CHARACTERS_PER_WORD if source_by_character else 1),
        max_target=max_words * (CHARACTERS_PER_WORD if target_by_character else 1),
        max_characters=max_words * MAX_CHARACTERS_PER_WORD,
        max_ratio=max_ratio,
        identical=identical,
        source_by_character=source_by_character,
        target_by_character=target_by_character,
    )


class FilterCounts:
    """Counts what is left out of one corpus, by reason, and keeps the first few of each."""

    def __init__(self, *, max_examples: int, max_characters: int) -> None:
        self._max_examples = max_examples
        self._max_characters = max_characters
        self._counts: dict[Reason, int] = {}
        self._examples: dict[Reason, list[FilteredExample]] = {}

    def add(self, reason: Reason, line: int, source: str, target: str) -> None:
        """Counts one pair. Lines are to come in order."""
        count = self._counts[reason] = self._counts[reason] + 1 if reason in self._counts else 1
        if count <= self._max_examples:
            example = FilteredExample(line, self._shorten(source), self._shorten(target))
            self._examples.setdefault(reason, []).append(example)

    def __iter__(self) -> Iterator[tuple[Reason, int, list[FilteredExample]]]:
        """Gives each reason with its count and examples, most frequent first."""
        for reason in sorted(self._counts, key=lambda reason: (-self._counts[reason], reason)):
            yield reason, self._counts[reason], self._examples[reason]

    def _shorten(self, text: str) -> str:
        """Cuts long text, and shows what cannot be printed as escapes."""
        if len(text) > self._max_characters:
            text = text[: self._max_characters - 1] + "…"
        return "".join(character if character.isprintable() else ascii(character)[1:-1] for character in text)
