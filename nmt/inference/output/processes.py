"""Big files on many cores: windows of lines to several processes, their translations back in order."""

from __future__ import annotations

import logging
import multiprocessing
import os
import queue
import signal
import sys
import threading
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from multiprocessing.connection import wait
from typing import NamedTuple

from nmt import log
from nmt.errors import NMTError
from nmt.inference.constraints import Request
from nmt.inference.streaming import WINDOW_CHARACTERS, WindowSize

Work = Callable[[Sequence[str | Request], int], list[str]]
"""Makes the output of a window of lines, which so many lines have preceded."""

WINDOWS_AHEAD = 2
"""How many windows of lines for each process may be waiting for it, or for an earlier one to be written."""
POLL_SECONDS = 0.5

WINDOW = WindowSize(lines=1024, characters=WINDOW_CHARACTERS)
"""What one process works on at once."""


class _Result(NamedTuple):
    texts: list[str]
    process: int
    megabytes: int
    """The most memory that the process has used."""


def in_processes(
    make: Callable[[], Work], windows: Iterable[list[str | Request]], *, processes: int, before: int
) -> Iterator[str]:
    """Give the output of each window, in order, as soon as it is there.

    Args:
        make: Makes what does the work, once in each process; it is pickled.
        windows: Lines. They are asked for in a thread, so that waiting for some holds back nothing.
        processes: How many. Each computes with one thread and has all that `make` makes.
        before: How many lines came before the first window.

    Raises:
        NMTError: A process ended before its time; and whatever is raised there.
    """
    context = multiprocessing.get_context("spawn")
    level = log.logger.getEffectiveLevel()
    pool = ProcessPoolExecutor(processes, mp_context=context, initializer=_start, initargs=(make, level))
    waiting: queue.Queue[Future[_Result] | BaseException | None] = queue.Queue(WINDOWS_AHEAD * processes)
    stopped = threading.Event()
    arguments = (pool, windows, waiting, stopped, before)
    threading.Thread(target=_submit, args=arguments, name="nmt-submitter", daemon=True).start()
    memory: dict[int, int] = {}
    try:
        while (result := _next(waiting)) is not None:
            memory[result.process] = result.megabytes
            yield from result.texts
        pool.shutdown()  # all is done: who waits for the end leaves nothing behind that Python would complain about
        if memory:
            most = max(memory.values())
            log.logger.info("%d processes with one thread each, each used up to %d MB of memory", processes, most)
    except BrokenProcessPool as error:
        raise NMTError(
            "A translating process ended before its time; was there not enough memory? Each has a copy of the model: "
            "try fewer --processes."
        ) from error
    finally:
        stopped.set()
        pool.shutdown(wait=False, cancel_futures=True)


def _submit(
    pool: ProcessPoolExecutor,
    windows: Iterable[list[str | Request]],
    waiting: queue.Queue[Future[_Result] | BaseException | None],
    stopped: threading.Event,
    before: int,
) -> None:
    try:
        for window in windows:
            _put(waiting, pool.submit(_work, window, before), stopped)
            before += len(window)
            if stopped.is_set():
                return
        _put(waiting, None, stopped)
    except BaseException as error:
        _put(waiting, error, stopped)


def _put(
    waiting: queue.Queue[Future[_Result] | BaseException | None],
    item: Future[_Result] | BaseException | None,
    stopped: threading.Event,
) -> None:
    while not stopped.is_set():
        try:
            waiting.put(item, timeout=POLL_SECONDS)
            return
        except queue.Full:
            pass


def _next(waiting: queue.Queue[Future[_Result] | BaseException | None]) -> _Result | None:
    item = waiting.get()
    if isinstance(item, BaseException):
        raise item
    return None if item is None else item.result()


_work_of_this_process: Work | NMTError
"""What does the work, or why there is none."""


def _start(make: Callable[[], Work], level: int) -> None:
    """Get a process ready: it leaves Ctrl-C to the one that started it, and ends with it."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    parent = multiprocessing.parent_process()
    assert parent is not None
    threading.Thread(target=_end_with, args=(parent.sentinel,), daemon=True).start()
    log.setup(level=max(level, logging.WARNING))
    global _work_of_this_process
    try:
        _work_of_this_process = make()
    except NMTError as error:
        _work_of_this_process = error


def _end_with(sentinel: int) -> None:
    wait([sentinel])
    os._exit(1)


def _work(lines: Sequence[str | Request], before: int) -> _Result:
    import resource

    if isinstance(_work_of_this_process, NMTError):
        raise _work_of_this_process
    texts = _work_of_this_process(lines, before)
    used = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return _Result(texts, os.getpid(), used >> (20 if sys.platform == "darwin" else 10))
