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
BYTE_CHARACTERS, LATIN_CHARACTERS, KNOWN_CHARACTERS = 0x100, 0x300, 0x10000
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
    at_ends = np.zeros(len(lines), dtype=np.bool_)
    at_ends[plain] = (kinds[(ends - lengths)[plain]] == SPACE) | (kinds[ends[plain] - 1] == SPACE)
    spaces = np.flatnonzero(kinds == SPACE)
    doubled = spaces[1:][np.diff(spaces) == 1]
    plain &= ~at_ends & (_count(np.flatnonzero(kinds == OTHER), ends) == 0) & (_count(doubled, ends) == 0)
    spaces_of_lines = _count(spaces, ends)
    return LineFacts(plain, spaces_of_lines + 1, lengths - spaces_of_lines)


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


def _count(positions: NDArray[np.int64], ends: NDArray[np.int64]) -> NDArray[np.int64]:
    """Count the positions, which ascend, before each end and not before the previous end."""
    return np.diff(np.searchsorted(positions, ends), prepend=0)


def _kinds(text: str) -> NDArray[np.uint8]:
    """Return the kind of each character; uint8 [characters]."""
    try:
        return np.frombuffer(text.encode("latin-1").translate(_table(BYTE_CHARACTERS).tobytes()), np.uint8)
    except UnicodeEncodeError:
        pass
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
