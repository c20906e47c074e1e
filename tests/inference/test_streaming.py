"""Windows of lines: large where lines are plenty, small where somebody waits."""

from __future__ import annotations

import itertools
import queue
import threading
import time
from collections.abc import Iterable, Iterator

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nmt.inference.streaming import FIRST_LINES, WindowSize, windows

SIZE = WindowSize(lines=32, characters=100)


def test_windows_of_a_stream_grow() -> None:
    lines = [str(number % 10) for number in range(100)]
    assert [len(window) for window in windows(lines, SIZE)] == [32, 32, 32, 4]
    assert next(len(window) for window in windows(iter(lines), SIZE)) == FIRST_LINES
    assert max(len(window) for window in windows(iter(lines), SIZE)) <= SIZE.lines


def test_long_lines_end_a_window() -> None:
    lines = ["x" * 60] * 7
    for given_lines in (lines, iter(lines)):
        found = list(windows(given_lines, WindowSize(lines=8, characters=100)))
        assert list(itertools.chain(*found)) == lines
        assert max(map(len, found)) == 2


@settings(max_examples=30)
@given(st.lists(st.text(max_size=30), max_size=60), st.booleans())
def test_windows_have_all_lines_in_order(lines: list[str], arriving: bool) -> None:
    assert list(itertools.chain(*windows(iter(lines) if arriving else lines, SIZE))) == lines


def test_no_more_is_read_than_two_windows() -> None:
    read = []

    def endless() -> Iterator[str]:
        for number in itertools.count():
            read.append(number)
            yield str(number)

    for count, window in enumerate(windows(endless(), SIZE)):
        assert len(window) <= SIZE.lines
        time.sleep(0.002)
        if count == 20:
            break
    taken = len(read)
    assert taken <= 21 * SIZE.lines + SIZE.lines + 1
    time.sleep(0.05)
    assert len(read) <= taken + SIZE.lines + 1


def test_available_lines_do_not_wait() -> None:
    lines: queue.Queue[str | None] = queue.Queue()
    found: queue.Queue[list[str]] = queue.Queue()

    def work(source: Iterable[str]) -> None:
        for window in windows(source, SIZE):
            found.put(window)

    worker = threading.Thread(target=work, args=(iter(lines.get, None),), daemon=True)
    worker.start()
    for turn in range(3):
        lines.put(f"turn {turn}")
        assert found.get(timeout=60) == [f"turn {turn}"]
    lines.put(None)
    worker.join(timeout=60)
    assert not worker.is_alive()


def test_an_error_of_the_reader_is_raised_after_the_lines_before_it() -> None:
    def broken() -> Iterator[str]:
        yield "first"
        yield "second"
        raise KeyError("no third")

    found = windows(broken(), SIZE)
    assert next(found) == ["first", "second"]
    with pytest.raises(KeyError, match="no third"):
        next(found)


def test_the_reader_ends_when_it_is_closed() -> None:
    def endless() -> Iterator[str]:
        yield from map(str, itertools.count())

    iterator = windows(endless(), SIZE)
    next(iterator)
    iterator.close()
    deadline = time.monotonic() + 10
    while any(thread.name == "nmt-reader" for thread in threading.enumerate()):
        assert time.monotonic() < deadline
        time.sleep(0.01)
