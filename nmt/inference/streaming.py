"""Windows of lines: as many as there are, at once, in bounded memory.

Long windows translate faster, because sentences of like length share a batch. But whoever writes a line and waits for
its translation must get it: a window ends when the next line has not come yet.
"""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Iterable, Iterator, Sequence, Sized
from dataclasses import dataclass
from typing import Generic, TypeVar

LineT = TypeVar("LineT", bound=Sized)
"""A line, or anything else whose `len` is its number of characters."""

# The first translations appear soon; from there on, each full window is followed by one of twice as many lines.
FIRST_LINES = 8
# Sorted by length, little of so many full batches is padding.
WINDOW_BATCHES = 16
WINDOW_CHARACTERS = 1_000_000
# A line that comes this soon after the one before it still gets into the window, until the window is this old.
NEXT_LINE_SECONDS = 0.005
OLDEST_LINE_SECONDS = 0.05
# Waiting in short spells lets Ctrl-C through on every system.
POLL_SECONDS = 0.5


@dataclass(frozen=True, kw_only=True)
class WindowSize:
    """How much text is looked at together."""

    lines: int
    """Most lines of a window."""
    characters: int
    """A window ends with the line that reaches this number."""


def window_size(batch_sentences: int) -> WindowSize:
    """Return how much text is best translated together, in batches of so many sentences."""
    return WindowSize(lines=batch_sentences * WINDOW_BATCHES, characters=WINDOW_CHARACTERS)


def windows(lines: Iterable[LineT], size: WindowSize) -> Iterator[list[LineT]]:
    """Cut `lines` into windows: all of them, in order.

    Args:
        lines: Of a list or tuple, all windows are large. Anything else is read in a thread of its own, one window
            ahead, and begins with small windows. What reading it raises is raised here, after the lines before it.
        size: Of a window.
    """
    source: _ListSource[LineT] | _StreamSource[LineT]
    if isinstance(lines, (list, tuple)):
        source, most = _ListSource(lines), size.lines
    else:
        source, most = _StreamSource(lines, size), min(FIRST_LINES, size.lines)
    try:
        while window := source.take(most, size.characters):
            yield window
            if len(window) == most:
                most = min(2 * most, size.lines)
    finally:
        source.close()


class _ListSource(Generic[LineT]):
    """Lines that are all there."""

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
        """Nothing to stop."""


class _StreamSource(Generic[LineT]):
    """Lines that are read in a thread while others are translated."""

    def __init__(self, lines: Iterable[LineT], size: WindowSize) -> None:
        self._size = size
        self._waiting: deque[LineT] = deque()
        self._characters = 0  # of the waiting lines
        self._changed = threading.Condition()
        self._ended = False
        self._closed = False
        self._error: BaseException | None = None
        # A daemon: it may be waiting for a line that never comes.
        threading.Thread(target=self._read, args=(lines,), name="nmt-reader", daemon=True).start()

    def take(self, most: int, characters: int) -> list[LineT]:
        """Wait for a line, and return it with those that are there or come right behind it; nothing at the end."""
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
            if time.monotonic() >= end or not self._changed.wait(NEXT_LINE_SECONDS):
                return

    def close(self) -> None:
        """Let the thread end when it next gets a line."""
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
