"""Lines of text on their way to the model and back."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence

from nmt.data.text.lines import is_blank

# Characters that some program takes for the end of a line or cannot show: C0 and C1 controls (tab, line feed, carriage
# return, NEL among them) and the line and paragraph separators.
CONTROLS = re.compile("[\x00-\x1f\x7f-\x9f\u2028\u2029]+")

# Where a line that is too long is best cut: behind the end of a sentence, of a clause, of a word.
CLOSING = "[\"'»«”“’‘)\\]」』）】]*"
CUTS = (
    re.compile(f"(?<![.!?…])[.!?…]+{CLOSING}\\s+|(?<![。！？])[。！？]+{CLOSING}\\s*"),
    re.compile(f"[,;:]{CLOSING}\\s+|\\s[–—-]\\s|[、，；：]"),
    re.compile("\\s+"),
)

# Languages that put no space between sentences.
WITHOUT_SPACES = frozenset({"ja", "km", "lo", "my", "th", "yue", "zh"})


def clean(line: str) -> str:
    """Return a line as the model should see it: control characters are spaces; empty if there is nothing to see."""
    return "" if is_blank(line) else CONTROLS.sub(" ", line)


def one_line(text: str) -> str:
    """Return a translation as a line: without line breaks of any kind or other control characters."""
    return CONTROLS.sub(" ", text).strip()


def part_separator(language: str) -> str:
    """Return what stands between two sentences of a language (its code, such as `de` or `zh-Hant`)."""
    return "" if re.split("[-_]", language.lower())[0] in WITHOUT_SPACES else " "


def split_long(text: str, *, longest: int, count: Callable[[Sequence[str]], list[int]]) -> list[str]:
    """Cut a text into parts that are short enough: at ends of sentences, else of clauses, of words, anywhere.

    Args:
        text: One line.
        longest: Most pieces of a part.
        count: Gives the number of pieces of each of some texts.

    Returns:
        The parts in order: the whole text, but for spaces at the cuts.
    """
    parts = (part.strip() for part in _split(text, longest, count, level=0))
    return [part for part in parts if part]


def _split(text: str, longest: int, count: Callable[[Sequence[str]], list[int]], level: int) -> list[str]:
    segments = _halves(text) if level == len(CUTS) else _segments(text, CUTS[level])
    parts: list[str] = []
    room = 0
    for segment, size in zip(segments, count(segments), strict=True):
        if size > longest and len(segment) > 1:
            parts += _split(segment, longest, count, min(level + 1, len(CUTS)))
            room = 0
        elif parts and size <= room:
            parts[-1] += segment
            room -= size
        else:
            parts.append(segment)
            room = longest - size
    return parts


def _segments(text: str, cut: re.Pattern[str]) -> list[str]:
    ends = [match.end() for match in cut.finditer(text)]
    return [text[start:end] for start, end in zip([0, *ends], [*ends, len(text)], strict=True) if start < end]


def _halves(text: str) -> list[str]:
    return [text[: len(text) // 2], text[len(text) // 2 :]]
