"""What makes a translation suspicious, told from its source, its text and its scores."""

from __future__ import annotations

import re
import unicodedata
from collections import Counter
from collections.abc import Iterator, Sequence

from nmt.inference.placeholders import Kind, find_protected
from nmt.inference.results import Hypothesis, Translation

# Times as long as the other side, in pieces, and more by this many: short lines differ more.
LENGTH_RATIO = 2.0
LENGTH_MARGIN = 6

# An expression of at most so many words that comes this often in a row, and not in the source.
REPEATED_WORDS = 4
REPETITIONS = 3
# The same in letters, for languages without spaces and for endless words.
REPEATED_LETTERS = re.compile(r"(.{2,12}?)\1{4,}|(\w)\2{7,}")

# The mean log-probability of pieces below which a translation is a guess: each has a probability under a fifth.
LOW_SCORE = -1.6

# A copy of fewer words is often right: names, numbers.
COPIED_WORDS = 4

# Smaller numbers may be written as words.
LARGEST_SPELLED = 12
NUMBER = re.compile(r"\d+(?:[.,:\u00a0\u202f'’]\d+)*")

FLAGS = (
    "empty",
    "unfinished",
    "length_ratio",
    "repetition",
    "low_score",
    "copied_source",
    "missing_number",
    "missing_placeholder",
    "missing_tag",
    "missing_url",
)
"""All that `find_flags` may say, in this order."""


def find_flags(source: str, translation: Translation) -> list[str]:
    """Return what is suspicious about the best translation of a line: names of FLAGS, none for a blank line."""
    if not translation.hypotheses:
        return []
    best = translation.hypotheses[0]
    found = {
        *_shape(sum(map(len, translation.source_parts)), best),
        *_copied(source, best.text),
        *_missing(source, best.text),
    }
    if best.text and _repeats(best.text) and not _repeats(source):
        found.add("repetition")
    return [flag for flag in FLAGS if flag in found]


def _shape(source_pieces: int, best: Hypothesis) -> Iterator[str]:
    if not best.text:
        yield "empty"
    if not best.finished:
        yield "unfinished"
    shorter, longer = sorted((source_pieces, len(best.ids)))
    if longer > LENGTH_RATIO * shorter + LENGTH_MARGIN:
        yield "length_ratio"
    if best.piece_log_probabilities and best.log_probability < LOW_SCORE * len(best.piece_log_probabilities):
        yield "low_score"


def _repeats(text: str) -> bool:
    """Whether an expression comes several times in a row."""
    words = text.casefold().split()
    for size in range(1, REPEATED_WORDS + 1):
        run = 0  # how many words in a row are those `size` before them
        for word, earlier in zip(words[size:], words, strict=False):
            run = run + 1 if word == earlier else 0
            if run == size * (REPETITIONS - 1):
                return True
    return any(match[0].strip(" .-_*=") for match in REPEATED_LETTERS.finditer(text))


def _copied(source: str, text: str) -> Iterator[str]:
    given, written = source.casefold().split(), text.casefold().split()
    if given == written and sum(any(map(str.isalpha, word)) for word in given) >= COPIED_WORDS:
        yield "copied_source"


def _missing(source: str, text: str) -> Iterator[str]:
    """Give what is in the source more often than in the translation."""
    kinds: dict[Kind, Counter[str]] = {}
    rest: list[str] = []
    place = 0
    for span, kind, start in find_protected(source):
        kinds.setdefault(kind, Counter())[span] += 1
        rest.append(source[place:start])
        place = start + len(span)
    rest.append(source[place:])
    for kind, spans in kinds.items():
        if any(text.count(span) < count for span, count in spans.items()):
            yield f"missing_{kind}"
    if Counter(_numbers(" ".join(rest))) - Counter(_numbers(text, smallest=0)):
        yield "missing_number"


def _numbers(text: str, smallest: int = LARGEST_SPELLED + 1) -> Sequence[str]:
    """Return the digits of each number from `smallest` on, however they are grouped and in whatever script."""
    found = []
    for match in NUMBER.findall(text):
        digits = "".join(str(unicodedata.digit(character)) for character in match if character.isdigit())
        if not digits.isascii() or int(digits[:20]) >= smallest:
            found.append(digits)
    return found
