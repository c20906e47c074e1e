"""Translates big files with several processes: windows of lines go out, their translations come back in order."""

from __future__ import annotations

import multiprocessing
import os
import queue
import sys
import threading
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass
from typing import Any, Generic, NamedTuple, Protocol, TypeVar

from nmt import log
from nmt.errors import NMTError
from nmt.inference.streaming import WINDOW_CHARACTERS, SourceLine, WindowSize
from nmt.processes import begin_worker

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


TagT = TypeVar("TagT")


class WorkerPool(Protocol):
    """Processes that each have a worker.

    Attributes:
        windows_ahead: Most windows that wait for a process, are translated, or wait for an earlier window.
    """

    windows_ahead: int

    def submit(self, window: Any) -> Future[list[str]]:
        """Translate a window, as soon as a process is free."""

    def finish(self) -> None:
        """Wait for the end of the processes, after the last window."""

    def stop(self) -> None:
        """Drop all windows. Without an effect after `finish`."""


class ProcessPool:
    """A pool of processes of this machine."""

    def __init__(self, make: Callable[[], Callable[[Any], list[str]]], *, processes: int) -> None:
        """Describe the pool. The processes start with the first windows.

        Args:
            make: Makes the worker, once in each process; it is pickled.
            processes: Number of processes. Each computes with one thread and has its own copy of the worker.
        """
        context = multiprocessing.get_context("spawn")
        level = log.logger.getEffectiveLevel()
        self._pool = ProcessPoolExecutor(processes, mp_context=context, initializer=_start, initargs=(make, level))
        self._memory: dict[int, int] = {}
        self._processes = processes
        self.windows_ahead = WINDOWS_AHEAD * processes

    def submit(self, window: Any) -> Future[list[str]]:
        """Translate a window, as soon as a process is free."""
        texts: Future[list[str]] = Future()
        try:
            self._pool.submit(_work, window).add_done_callback(lambda done: self._pass_on(done, texts))
        except BrokenProcessPool:
            texts.set_exception(_ended_unexpectedly())
        return texts

    def _pass_on(self, done: Future[_Result], texts: Future[list[str]]) -> None:
        if done.cancelled():
            texts.cancel()
            return
        error = done.exception()
        if isinstance(error, BrokenProcessPool):
            error = _ended_unexpectedly()
        if error is not None:
            texts.set_exception(error)
            return
        result = done.result()
        self._memory[result.process] = result.megabytes
        texts.set_result(result.texts)

    def finish(self) -> None:
        """Wait for the end of the processes, so that Python finds no running process at exit."""
        self._pool.shutdown()
        if self._memory:
            peak = max(self._memory.values())
            log.logger.info("%d processes with one thread each, peak memory %d MB per process", self._processes, peak)

    def stop(self) -> None:
        """Drop all windows."""
        self._pool.shutdown(wait=False, cancel_futures=True)


def _ended_unexpectedly() -> NMTError:
    return NMTError(
        "A translation process ended unexpectedly, possibly because memory ran out. Each process has a copy of the "
        "model. Try fewer --processes."
    )


def in_processes(pool: WorkerPool, windows: Iterable[list[SourceLine]]) -> Iterator[str]:
    """Yield the output of each window, in order, as soon as it is ready.

    Args:
        pool: The processes. They end with the iterator.
        windows: Windows of numbered lines; see `in_order`.

    Raises:
        NMTError: A process ended unexpectedly, or raised an error.
    """
    for _, texts in in_order(pool, ((None, window) for window in windows)):
        yield from texts


def in_order(pool: WorkerPool, windows: Iterable[tuple[TagT, Any | None]]) -> Iterator[tuple[TagT, list[str]]]:
    """Yield the tag and the output of each window, in order, as soon as it is ready.

    Args:
        pool: The processes. They end with the iterator.
        windows: A tag and a window, or None for no window. They are read in a thread, so that slow input does not
            delay output.

    Raises:
        NMTError: A process ended unexpectedly, or raised an error.
    """
    waiting: queue.Queue[_PendingWindow[TagT] | BaseException | None] = queue.Queue(pool.windows_ahead)
    stopped = threading.Event()
    arguments = (pool, windows, waiting, stopped)
    threading.Thread(target=_submit, args=arguments, name="nmt-submitter", daemon=True).start()
    try:
        while (item := waiting.get()) is not None:
            if isinstance(item, BaseException):
                raise item
            yield item.tag, [] if item.texts is None else item.texts.result()
        pool.finish()
    finally:
        stopped.set()
        pool.stop()


@dataclass(frozen=True)
class _PendingWindow(Generic[TagT]):
    tag: TagT
    texts: Future[list[str]] | None


def _submit(
    pool: WorkerPool,
    windows: Iterable[tuple[TagT, Any | None]],
    waiting: queue.Queue[_PendingWindow[TagT] | BaseException | None],
    stopped: threading.Event,
) -> None:
    try:
        for tag, window in windows:
            _put(waiting, _PendingWindow(tag, None if window is None else pool.submit(window)), stopped)
            if stopped.is_set():
                return
        _put(waiting, None, stopped)
    except BaseException as error:
        _put(waiting, error, stopped)


def _put(
    waiting: queue.Queue[_PendingWindow[TagT] | BaseException | None],
    item: _PendingWindow[TagT] | BaseException | None,
    stopped: threading.Event,
) -> None:
    while not stopped.is_set():
        try:
            waiting.put(item, timeout=POLL_SECONDS)
            return
        except queue.Full:
            pass


_worker: Callable[[Any], list[str]] | NMTError
"""The worker of this process, or the error that occurred when it was made."""


def _start(make: Callable[[], Callable[[Any], list[str]]], level: int) -> None:
    """Initialize a process, which ends with its parent."""
    parent = multiprocessing.parent_process()
    assert parent is not None
    begin_worker(parent.sentinel, level)
    global _worker
    try:
        _worker = make()
    except NMTError as error:
        _worker = error


def _work(window: Any) -> _Result:
    import resource

    if isinstance(_worker, NMTError):
        raise _worker
    texts = _worker(window)
    used = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return _Result(texts, os.getpid(), used >> (20 if sys.platform == "darwin" else 10))
