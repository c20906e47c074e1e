"""Quality flags: signs of a bad translation in its source, its text and its scores."""

from __future__ import annotations

import re
import unicodedata
from collections import Counter
from collections.abc import Iterator, Sequence

from nmt.data.lines import is_blank
from nmt.data.words import canonical
from nmt.inference.protected_items import Kind, find_protected
from nmt.inference.results import Hypothesis, Translation

# How many times longer one side is than the other, in pieces, beyond a margin, because short lines vary more.
LENGTH_RATIO = 2.0
LENGTH_MARGIN = 6

# A repetition: an expression of at most 4 words, 3 times in a row, that is not repeated in the source.
REPEATED_WORDS = 4
REPETITIONS = 3
# A repetition of characters, for languages without spaces and for endless words.
REPEATED_LETTERS = re.compile(r"(.{2,12}?)\1{4,}|(\w)\2{7,}")

# Mean log-probability of a piece below which a translation is a guess: a probability below one fifth.
LOW_SCORE = -1.6

# A copy of fewer words is often right, such as a name.
COPIED_WORDS = 4

# Smaller numbers may be written as words.
LARGEST_SPELLED = 12
NUMBER = re.compile(r"\d+(?:[.,:\u00a0\u202f'’]\d+)*")

EMOJI_SELECTOR = "\ufe0f"

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
    "missing_emoji",
    "unknown_words",
    "wrong_script",
    "replacement_character",
)
"""All flags, in the order in which `find_flags` returns them."""


def find_flags(translation: Translation) -> list[str]:
    """Return the flags of the best hypothesis of a line; none for a blank line."""
    if not translation.hypotheses:
        return []
    best = translation.hypotheses[0]
    source, text = canonical(translation.source), canonical(best.text)
    found = {
        *_shape(sum(map(len, translation.source_segments)), best),
        *_copied(source, text),
        *_missing(source, text),
        *translation.familiarity_flags,
    }
    if "\ufffd" in translation.source:
        found.add("replacement_character")
    if text and _repeats(text) and not _repeats(source):
        found.add("repetition")
    return [flag for flag in FLAGS if flag in found]


def _shape(source_pieces: int, best: Hypothesis) -> Iterator[str]:
    if is_blank(best.text):
        yield "empty"
    if not best.finished:
        yield "unfinished"
    shorter, longer = sorted((source_pieces, len(best.ids)))
    if longer > LENGTH_RATIO * shorter + LENGTH_MARGIN:
        yield "length_ratio"
    if best.piece_log_probabilities and best.log_probability < LOW_SCORE * len(best.piece_log_probabilities):
        yield "low_score"


def _repeats(text: str) -> bool:
    """Return whether an expression is repeated several times in a row."""
    words = text.casefold().split()
    for size in range(1, REPEATED_WORDS + 1):
        run = 0  # number of consecutive words equal to the word `size` positions earlier
        for word, earlier in zip(words[size:], words, strict=False):
            run = run + 1 if word == earlier else 0
            if run == size * (REPETITIONS - 1):
                return True
    return any(match[0].strip(" .-_*=") for match in REPEATED_LETTERS.finditer(text))


def _copied(source: str, text: str) -> Iterator[str]:
    source_words, words = source.casefold().split(), text.casefold().split()
    if source_words == words and sum(any(map(str.isalpha, word)) for word in words) >= COPIED_WORDS:
        yield "copied_source"


def _missing(source: str, text: str) -> Iterator[str]:
    """Yield a flag for each kind of item that occurs more often in the source than in the translation."""
    kinds: dict[Kind, Counter[str]] = {}
    rest: list[str] = []
    end = 0
    for span, kind, start in find_protected(source):
        kinds.setdefault(kind, Counter())[span] += 1
        rest.append(source[end:start])
        end = start + len(span)
    rest.append(source[end:])
    for kind, spans in kinds.items():
        if any(_count(span, text) < count for span, count in spans.items()):
            yield "missing_placeholder" if kind == "access key" else f"missing_{kind}"
    if Counter(_numbers(" ".join(rest))) - Counter(_numbers(text, smallest=0)):
        yield "missing_number"


def _count(item: str, text: str) -> int:
    """Count an item in a text. The selector of the colourful form of an emoji does not matter."""
    return text.replace(EMOJI_SELECTOR, "").count(item.replace(EMOJI_SELECTOR, "") or item)


def _numbers(text: str, smallest: int = LARGEST_SPELLED + 1) -> Sequence[str]:
    """Return the digits of each number of at least `smallest`, in any grouping and script."""
    numbers = []
    for match in NUMBER.findall(text):
        digits = "".join(str(unicodedata.digit(character)) for character in match if character.isdigit())
        if not digits.isascii() or int(digits[:20]) >= smallest:
            numbers.append(digits)
    return numbers
