"""Finds the lines of a block that need no closer look, with numpy: most lines of most text.

A line is plain if it is visible text in canonical form, with single spaces between its words. So
`nmt.data.words.comparable` returns it unchanged.
"""

from __future__ import annotations

import functools
import re
import unicodedata
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from nmt.data.preprocess.filters import REPLACEMENT, PairFilter
from nmt.data.text_form import IGNORABLE, combining_marks

LONGEST = 1 << 14
"""Characters of the longest plain line. It bounds memory."""
ASCII_CHARACTERS, LATIN_CHARACTERS, KNOWN_CHARACTERS = 0x80, 0x300, 0x10000
"""Ends of ranges of characters. The first ones have no combining marks. Those after the last range are not plain."""
OTHER, SPACE, PLAIN = 0, 1, 2


class LineFacts(NamedTuple):
    """Facts about N lines. Only those about plain lines mean something.

    Attributes:
        plain: Whether each line is plain; bool [N].
        words: Number of words; int64 [N].
        letters: Number of characters that are not spaces; int64 [N].
    """

    plain: NDArray[np.bool_]
    words: NDArray[np.int64]
    letters: NDArray[np.int64]


def inspect_lines(lines: Sequence[str]) -> LineFacts:
    """Return the facts about lines."""
    lengths = np.fromiter(map(len, lines), np.int64, len(lines))
    plain = (lengths > 0) & (lengths <= LONGEST)
    if not plain.all():
        lines = [line if fits else "" for line, fits in zip(lines, plain.tolist(), strict=True)]
        lengths[~plain] = 0
    kinds = _kinds("".join(lines))
    ends = np.cumsum(lengths)
    starts = ends - lengths
    space = kinds == SPACE
    bad = kinds == OTHER
    bad[1:] |= space[1:] & space[:-1]
    bad[starts[plain]] |= space[starts[plain]]
    bad[ends[plain] - 1] |= space[ends[plain] - 1]
    spaces = _count(space, starts, ends)
    plain &= _count(bad, starts, ends) == 0
    return LineFacts(plain, spaces + 1, lengths - spaces)


def accepts_plain(pair_filter: PairFilter, sources: LineFacts, targets: LineFacts) -> NDArray[np.bool_]:
    """Return for each pair whether both lines are plain and their lengths pass the filter; bool [N].

    The filter has no other reason to reject a pair of plain lines, except that they may be identical.
    """
    kept = sources.plain & targets.plain
    for side in (sources, targets):
        kept &= side.letters + side.words - 1 <= pair_filter.max_characters
    source_size = sources.letters if pair_filter.source_by_character else sources.words
    target_size = targets.letters if pair_filter.target_by_character else targets.words
    kept &= (source_size <= pair_filter.max_source) & (target_size <= pair_filter.max_target)
    by_character = pair_filter.source_by_character or pair_filter.target_by_character
    one, other = (side.letters if by_character else side.words for side in (sources, targets))
    return kept & (one <= pair_filter.max_ratio * other) & (other <= pair_filter.max_ratio * one)


def _count(marks: NDArray[np.bool_], starts: NDArray[np.int64], ends: NDArray[np.int64]) -> NDArray[np.int64]:
    """Count the marks between each start and end."""
    total = np.zeros(len(marks) + 1, dtype=np.int64)
    np.cumsum(marks, out=total[1:])
    counts: NDArray[np.int64] = total[ends] - total[starts]
    return counts


def _kinds(text: str) -> NDArray[np.uint8]:
    """Return the kind of each character; uint8 [characters]."""
    if text.isascii():
        return _table(ASCII_CHARACTERS)[np.frombuffer(text.encode(), np.uint8)]
    codes = np.frombuffer(text.encode("utf-32-le", "surrogatepass"), np.dtype("<u4"))
    size = LATIN_CHARACTERS if codes.max() < LATIN_CHARACTERS else KNOWN_CHARACTERS
    kinds: NDArray[np.uint8] = _table(size)[np.minimum(codes, KNOWN_CHARACTERS - 1)]
    return kinds


@functools.cache
def _table(size: int) -> NDArray[np.uint8]:
    """Return the kind of each of the first characters. The last of all known characters is not a character."""
    table = np.full(size, OTHER, dtype=np.uint8)
    marks = "" if size <= LATIN_CHARACTERS else re.escape(combining_marks())
    special = re.compile(f"[{IGNORABLE}{REPLACEMENT}{marks}]")
    for number, character in enumerate(map(chr, range(size))):
        if character.isprintable() and not special.match(character):
            table[number] = PLAIN if unicodedata.is_normalized("NFC", character) else OTHER
    table[ord(" ")] = SPACE
    return table
