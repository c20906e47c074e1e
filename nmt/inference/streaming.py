"""Numbers the lines of a text, and groups them into windows that are translated together, in bounded memory.

Long windows are faster, because sentences of similar length share a batch. But a person who types a line waits for its
translation, so a window ends if the next line has not arrived yet.
"""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Iterable, Iterator, Sequence, Sized
from dataclasses import dataclass, field, replace
from typing import Generic, NamedTuple, TypeVar


@dataclass(frozen=True)
class SourceLine:
    """A line to translate, with its number and the constraints on its translation."""

    text: str
    prefix: str = ""
    """The beginning of the translation. Models that write from right to left do not accept a prefix."""
    required: tuple[str, ...] = ()
    """Words or phrases that the translation must contain."""
    number: int = field(default=0, compare=False)
    """Line number from 1, for messages and output. 0: not numbered yet, see `number_lines`."""

    def __len__(self) -> int:
        """Return the number of characters of the line."""
        return len(self.text)


def number_lines(lines: Iterable[str | SourceLine], first: int = 1) -> list[SourceLine] | Iterator[SourceLine]:
    """Number lines by their position; a line that has a number keeps it.

    Args:
        lines: Strings, or lines with constraints.
        first: The number of the first line.

    Returns:
        A list for a list or tuple. Anything else is read lazily.
    """
    numbered = (_numbered(line, number) for number, line in enumerate(lines, first))
    return list(numbered) if isinstance(lines, (list, tuple)) else numbered


def _numbered(line: str | SourceLine, number: int) -> SourceLine:
    if isinstance(line, str):
        return SourceLine(line, number=number)
    return line if line.number else replace(line, number=number)


LineT = TypeVar("LineT", bound=Sized)
"""A line, or anything else whose `len` is its number of characters."""

# The first window is short, so that translations appear soon. Each full window doubles the next one.
FIRST_LINES = 8
# With this many batches, sorted by length, little is padding.
WINDOW_BATCHES = 16
WINDOW_CHARACTERS = 1_000_000
# A line that arrives this soon after the previous one joins the window, until the window is this old.
NEXT_LINE_SECONDS = 0.005
OLDEST_LINE_SECONDS = 0.05
# Short waits let Ctrl-C through on every system.
POLL_SECONDS = 0.5


@dataclass(frozen=True, kw_only=True)
class WindowSize:
    """The limits of a window."""

    lines: int
    """Most lines of a window."""
    characters: int
    """A window ends with the line that reaches this number of characters."""


def window_size(batch_sentences: int) -> WindowSize:
    """Return the best window for batches of this size."""
    return WindowSize(lines=batch_sentences * WINDOW_BATCHES, characters=WINDOW_CHARACTERS)


class Windowing(NamedTuple):
    """How the lines of a stream are grouped into windows."""

    after: int = 0
    """Leave out windows of a stream that have only the first `after` lines. The others are those of the whole text."""
    complete: bool = False
    """Wait until a window is complete, for lines of a file. Then the windows depend on the lines alone, not on time."""
    first: int = 0
    """Number of lines of the text before the stream, for a stream of a block of lines."""


WHOLE_TEXT = Windowing()


def windows(lines: Iterable[LineT], size: WindowSize, windowing: Windowing = WHOLE_TEXT) -> Iterator[list[LineT]]:
    """Group `lines` into windows, in order.

    Args:
        lines: The windows of a list or tuple are all large. Anything else is read in a thread, one window ahead, and
            begins with small windows. Errors of reading are raised here, after the lines before them.
        size: The limits of a window.
        windowing: How streams are grouped.
    """
    after = windowing.after
    source: _ListSource[LineT] | _StreamSource[LineT]
    if isinstance(lines, (list, tuple)):
        source, most, after = _ListSource(lines), size.lines, 0
    else:
        source, most = _StreamSource(lines, size, wait=windowing.complete), min(FIRST_LINES, size.lines)
    total = 0
    try:
        while window := source.take(most, size.characters):
            total += len(window)
            if total > after:
                yield window
            if len(window) == most:
                most = min(2 * most, size.lines)
    finally:
        source.close()


class _ListSource(Generic[LineT]):
    """Lines in memory."""

    def __init__(self, lines: Sequence[LineT]) -> None:
        self._lines = lines
        self._next = 0

    def take(self, most: int, characters: int) -> list[LineT]:
        window: list[LineT] = []
        for line in self._lines[self._next : self._next + most]:
            window.append(line)
            characters -= len(line)
            if characters <= 0:
                break
        self._next += len(window)
        return window

    def close(self) -> None:
        """Do nothing: there is no thread."""


class _StreamSource(Generic[LineT]):
    """Lines that are read in a thread while earlier ones are translated."""

    def __init__(self, lines: Iterable[LineT], size: WindowSize, *, wait: bool) -> None:
        self._size = size
        self._wait = wait
        self._waiting: deque[LineT] = deque()
        self._characters = 0  # in the waiting lines
        self._changed = threading.Condition()
        self._ended = False
        self._closed = False
        self._error: BaseException | None = None
        # A daemon, because it may wait for a line that never comes.
        threading.Thread(target=self._read, args=(lines,), name="nmt-reader", daemon=True).start()

    def take(self, most: int, characters: int) -> list[LineT]:
        """Wait for a line, and return it with the lines that arrive together with it; an empty list at the end."""
        with self._changed:
            while not self._waiting and not self._ended:
                self._changed.wait(POLL_SECONDS)
            self._wait_for_more(most, characters)
            if not self._waiting and self._error is not None:
                raise self._error
            window: list[LineT] = []
            while self._waiting and len(window) < most and characters > 0:
                line = self._waiting.popleft()
                window.append(line)
                characters -= len(line)
                self._characters -= len(line)
            self._changed.notify_all()
            return window

    def _wait_for_more(self, most: int, characters: int) -> None:
        end = time.monotonic() + OLDEST_LINE_SECONDS
        while self._may_grow(most, characters):
            if self._wait:
                self._changed.wait(POLL_SECONDS)
            elif time.monotonic() >= end or not self._changed.wait(NEXT_LINE_SECONDS):
                return

    def close(self) -> None:
        """Make the thread end at its next line."""
        with self._changed:
            self._closed = True
            self._changed.notify_all()

    def _may_grow(self, most: int, characters: int) -> bool:
        return not self._ended and len(self._waiting) < most and self._characters < characters

    def _full(self) -> bool:
        return len(self._waiting) >= self._size.lines or self._characters >= self._size.characters

    def _read(self, lines: Iterable[LineT]) -> None:
        try:
            for line in lines:
                with self._changed:
                    while self._full() and not self._closed:
                        self._changed.wait()
                    if self._closed:
                        return
                    self._waiting.append(line)
                    self._characters += len(line)
                    self._changed.notify_all()
        except BaseException as error:
            self._error = error
        finally:
            with self._changed:
                self._ended = True
                self._changed.notify_all()
