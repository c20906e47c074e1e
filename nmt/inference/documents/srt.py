"""SRT subtitles."""

from __future__ import annotations

import re
from bisect import bisect_left
from collections.abc import Iterator, Sequence
from functools import partial
from itertools import accumulate
from typing import NamedTuple

from nmt.errors import DataError
from nmt.inference.documents.document import Document, Fill, UnitCounts
from nmt.inference.documents.languages import Languages
from nmt.inference.documents.text import Edit, Unit, decode, has_words

LINE = re.compile(r"([^\r\n]*)(\r*\n|\r|$)")
TIME = r"-?\d+:\d{1,2}:\d{1,2}(?:[,.:]\d{1,3})?"
TIMING = re.compile(rf"\s*{TIME}\s*-->\s*{TIME}(?:\s.*)?$")
NUMBER = re.compile(r"\s*\d+\s*$")
OPENING = re.compile(r"(?:\{\\[^{}]*\}|<[A-Za-z][^<>]*>|\s)*")
CLOSING = re.compile(r"(?:</[A-Za-z][^<>]*>|\s)*$")
DASH = re.compile(r"\s*[-‐‑–—]\s*")
WORD = re.compile(r"(?:<[^<>]*>|[^\s<]|<)+")
BREAK_AFTER = "、。，！？；：…」』）"


class SubtitleLine(NamedTuple):
    """A line of the file."""

    number: int
    start: int
    text: str
    end: str
    """The line break."""


def read_srt(data: bytes, *, name: str, languages: Languages, fill: Fill, encoding: str | None) -> Document:
    """Read subtitles; see `read_xliff`. All cues are translated: the file has one language.

    Raises:
        DataError: The file is broken, or the encoding is not UTF-8 and not named.
    """
    encoded = decode(data, name=name, declared=None, encoding=encoding)
    document = Document(name, encoded, [], UnitCounts(), partial(_structure, name=name))
    for _, lines in _cues(encoded.text, name):
        groups = list(_groups(lines)) if lines else []
        if not groups:
            document.counts.excluded += 1
            continue
        document.counts.missing += 1
        for group in groups:
            document.units.append(Unit(group.line, [group.source], partial(_edit, group=group)))
    return document


class _Group(NamedTuple):
    """Lines of a cue that are one sentence or the turn of one speaker."""

    line: int
    start: int
    end: int
    source: str
    breaks: list[str]
    """The line breaks inside."""


def _groups(lines: Sequence[SubtitleLine]) -> Iterator[_Group]:
    """Yield the texts of a cue. A line that begins with a dash or comes after a blank line begins a text."""
    starts = [
        place
        for place, line in enumerate(lines)
        if not place or DASH.match(line.text) or not (line.text.strip() and lines[place - 1].text.strip())
    ]
    for first, after in zip(starts, [*starts[1:], len(lines)], strict=True):
        rows = lines[first:after]
        last = rows[-1]
        raw = " ".join(row.text for row in rows)
        dash = DASH.match(raw)
        before = OPENING.match(raw, dash.end() if dash else 0)
        assert before is not None
        head = before.end()
        tail = CLOSING.search(raw, head)
        # Tags beyond the first or the last line are part of the source, because places in `raw` are those of the file
        # only as long as no line break is between.
        head = min(head, len(rows[0].text))
        end = max(tail.start() if tail else len(raw), len(raw) - len(last.text))
        source = raw[head:end]
        if not has_words(source):
            continue
        stop = last.start + len(last.text) - (len(raw) - end)
        breaks = [row.end for row in rows[:-1]]
        yield _Group(rows[0].number, rows[0].start + head, stop, " ".join(source.split()), breaks)


def _edit(translations: Sequence[str], *, group: _Group) -> Edit:
    translation = translations[0].strip() or group.source
    rows = break_lines(translation, len(group.breaks) + 1)
    return Edit(group.start, group.end, "".join(_interleave(rows, group.breaks)))


def _interleave(rows: Sequence[str], breaks: Sequence[str]) -> Iterator[str]:
    for place, row in enumerate(rows):
        yield row + (breaks[place] if place < len(rows) - 1 else "")


def break_lines(text: str, count: int) -> list[str]:
    """Break a text into at most `count` lines of about equal length: at spaces, or else behind punctuation."""
    words, joint = WORD.findall(text), " "
    if len(words) < count:
        words, joint = re.findall(rf"[^{BREAK_AFTER}]+[{BREAK_AFTER}]*|[{BREAK_AFTER}]+", text), ""
    ends = [end - len(joint) for end in accumulate(len(word) + len(joint) for word in words)]
    rows: list[str] = []
    first, start = 0, 0
    while count > 1 and len(words) - first > 1:
        goal = start + (ends[-1] - start) / count
        after = bisect_left(ends, goal, first, len(words) - 2)
        cut = after + (after == first or goal - ends[after - 1] > ends[after] - goal)
        rows.append(joint.join(words[first:cut]))
        first, start, count = cut, ends[cut - 1] + len(joint), count - 1
    return [*rows, joint.join(words[first:])]


def _lines(text: str) -> list[SubtitleLine]:
    return [
        SubtitleLine(number, match.start(), match[1], match[2])
        for number, match in enumerate(LINE.finditer(text), 1)
        if match[0]
    ]


def _cues(text: str, name: str) -> list[tuple[list[str], list[SubtitleLine]]]:
    """Return the head (number and times) and the lines of text of each cue.

    Raises:
        DataError: There is text before the first cue, or the times of a cue are broken.
    """
    lines = _lines(text)
    timings = [place for place, line in enumerate(lines) if TIMING.match(line.text)]
    timed = set(timings)
    heads = [
        place - 1 if place and NUMBER.match(lines[place - 1].text) and place - 1 not in timed else place
        for place in timings
    ]
    for place, line in enumerate(lines):
        if "-->" in line.text and place not in timed:
            raise DataError(
                f"{name}, line {line.number}: {line.text.strip()!r} is not a timing such as "
                "'00:00:01,000 --> 00:00:02,500'. Correct the file."
            )
    stray = [line for line in lines[: heads[0] if heads else len(lines)] if line.text.strip()]
    if stray:
        raise DataError(
            f"{name}, line {stray[0].number}: text before the first cue: {stray[0].text.strip()[:60]!r}. "
            "Is this an SRT file?"
        )
    cues = []
    for head, timing, end in zip(heads, timings, [*heads, len(lines)][1:], strict=True):
        content = lines[timing + 1 : end]
        while content and not content[-1].text.strip():
            content = content[:-1]
        while content and not content[0].text.strip():
            content = content[1:]
        cues.append(([line.text for line in lines[head : timing + 1]], content))
    return cues


def _structure(text: str, *, name: str) -> object:
    return [head for head, _ in _cues(text, name)]
