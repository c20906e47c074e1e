"""Translates big files with several processes: windows of lines go out, their translations come back in order."""

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
from nmt.inference.streaming import WINDOW_CHARACTERS, SourceLine, WindowSize

Work = Callable[[Sequence[SourceLine]], list[str]]
"""Returns the output of a window of lines."""

WINDOWS_AHEAD = 2
"""Windows per process that may wait for a process, or for an earlier window to be written."""
POLL_SECONDS = 0.5

WINDOW = WindowSize(lines=1024, characters=WINDOW_CHARACTERS)
"""The unit of work of a process."""


class _Result(NamedTuple):
    texts: list[str]
    process: int
    megabytes: int
    """Peak memory of the process."""


def in_processes(make: Callable[[], Work], windows: Iterable[list[SourceLine]], *, processes: int) -> Iterator[str]:
    """Yield the output of each window, in order, as soon as it is ready.

    Args:
        make: Makes the worker, once in each process; it is pickled.
        windows: Windows of numbered lines. They are read in a thread, so that slow input does not delay output.
        processes: Number of processes. Each computes with one thread and has its own copy of the worker.

    Raises:
        NMTError: A process ended unexpectedly, or raised an error.
    """
    context = multiprocessing.get_context("spawn")
    level = log.logger.getEffectiveLevel()
    pool = ProcessPoolExecutor(processes, mp_context=context, initializer=_start, initargs=(make, level))
    waiting: queue.Queue[Future[_Result] | BaseException | None] = queue.Queue(WINDOWS_AHEAD * processes)
    stopped = threading.Event()
    arguments = (pool, windows, waiting, stopped)
    threading.Thread(target=_submit, args=arguments, name="nmt-submitter", daemon=True).start()
    memory: dict[int, int] = {}
    try:
        while (result := _next(waiting)) is not None:
            memory[result.process] = result.megabytes
            yield from result.texts
        pool.shutdown()  # waits for the end, so that Python finds no running process at exit
        if memory:
            peak = max(memory.values())
            log.logger.info("%d processes with one thread each, peak memory %d MB per process", processes, peak)
    except BrokenProcessPool as error:
        raise NMTError(
            "A translation process ended unexpectedly, possibly because memory ran out. Each process has a copy of the "
            "model. Try fewer --processes."
        ) from error
    finally:
        stopped.set()
        pool.shutdown(wait=False, cancel_futures=True)


def _submit(
    pool: ProcessPoolExecutor,
    windows: Iterable[list[SourceLine]],
    waiting: queue.Queue[Future[_Result] | BaseException | None],
    stopped: threading.Event,
) -> None:
    try:
        for window in windows:
            _put(waiting, pool.submit(_work, window), stopped)
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


_worker: Work | NMTError
"""The worker of this process, or the error that occurred when it was made."""


def _start(make: Callable[[], Work], level: int) -> None:
    """Initialize a process: it ignores Ctrl-C, which its parent handles, and ends with its parent."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    parent = multiprocessing.parent_process()
    assert parent is not None
    threading.Thread(target=_end_with, args=(parent.sentinel,), daemon=True).start()
    log.setup(level=max(level, logging.WARNING))
    global _worker
    try:
        _worker = make()
    except NMTError as error:
        _worker = error


def _end_with(sentinel: int) -> None:
    wait([sentinel])
    os._exit(1)


def _work(lines: Sequence[SourceLine]) -> _Result:
    import resource

    if isinstance(_worker, NMTError):
        raise _worker
    texts = _worker(lines)
    used = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return _Result(texts, os.getpid(), used >> (20 if sys.platform == "darwin" else 10))
